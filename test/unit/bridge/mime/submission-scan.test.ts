import { describe, expect, it } from 'vitest'
import { SubmissionScan } from '../../../../src/bridge/mime/submission-scan.ts'
import { mailCase } from '../../../support/mail-files.ts'

const OWN = ['alice@example.org', 'alice@xn--bcher-kva.example']

function scan(content: string | Uint8Array, chunkSize = 1 << 20) {
  const bytes = Buffer.from(content as Uint8Array)
  const reading = new SubmissionScan()
  const kept: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += chunkSize) {
    kept.push(Buffer.from(reading.push(bytes.subarray(at, at + chunkSize))))
  }
  kept.push(reading.end())
  return { bytes: Buffer.concat(kept), ...reading.judge(OWN) }
}

function message(...header: readonly string[]): string {
  return `${header.map((line) => `${line}\r\n`).join('')}\r\nbody\r\n`
}

describe('submitted octets', () => {
  it.each([
    ['a\nb', 'a\r\nb\r\n'],
    ['a\rb\r\n', 'a\r\nb\r\n'],
    ['a\r\r\nb\r', 'a\r\n\r\nb\r\n'],
    ['\n\n', '\r\n\r\n'],
    ['a\r\nb\r\n', 'a\r\nb\r\n'],
    ['\r', '\r\n'],
    ['', ''],
  ])('%j are kept as %j', (input, expected) => {
    for (const size of [1, 2, 3, 100]) expect(scan(input, size).bytes.toString('latin1')).toBe(expected)
  })

  it('with a NUL are refused', () => {
    expect(scan(mailCase('M29.eml')).refusal).toEqual({ kind: 'nul' })
    expect(scan(mailCase('M29.eml'), 1).refusal).toEqual({ kind: 'nul' })
  })

  it('are indexed as they are kept', () => {
    const { bytes, index } = scan(mailCase('M29.eml'))
    expect(index.size).toBe(bytes.length)
    expect(index.envelope.subject).toBe('M29 first')
  })
})

describe('the header of a submitted message', () => {
  it.each([
    [message('From: Alice <alice@example.org>'), undefined],
    [message('from : ALICE@EXAMPLE.ORG'), undefined],
    [message('From: alice@bücher.example'), undefined],
    [message('From: a:alice@example.org;'), undefined],
    [message('From: alice@example.org', 'Sender: alice@example.org'), undefined],
    [message('Subject: x'), { kind: 'not-own-address', field: 'From', found: [] }],
    [message('From: undisclosed:;'), { kind: 'not-own-address', field: 'From', found: [] }],
    [
      message('From: eve@example.org'),
      { kind: 'not-own-address', field: 'From', found: ['eve@example.org'] },
    ],
    [
      message('From: alice@example.org, eve@example.org'),
      { kind: 'not-own-address', field: 'From', found: ['alice@example.org', 'eve@example.org'] },
    ],
    [
      message('From: alice@example.org <eve@example.org>'),
      { kind: 'not-own-address', field: 'From', found: ['eve@example.org'] },
    ],
    [
      message('From: alice@example.org eve@example.org'),
      { kind: 'not-own-address', field: 'From', found: ['alice@example.orgeve@example.org'] },
    ],
    [
      message('From: alice@example.org', 'Sender: eve@example.org'),
      { kind: 'not-own-address', field: 'Sender', found: ['eve@example.org'] },
    ],
    [
      message('From: alice@example.org', 'FROM: alice@example.org'),
      { kind: 'repeated-field', field: 'From' },
    ],
    [
      message('From: alice@example.org', 'Sender: alice@example.org', 'Sender: alice@example.org'),
      { kind: 'repeated-field', field: 'Sender' },
    ],
    [message('From: alice@example.org\rFrom: eve@example.org'), { kind: 'repeated-field', field: 'From' }],
    [
      message('From: alice@example.org', `X: ${'x'.repeat(300_000)}`),
      { kind: 'over-limit', limit: 'header' },
    ],
    [
      message('From: alice@example.org', ...Array.from({ length: 10_000 }, () => 'X: y')),
      { kind: 'over-limit', limit: 'header' },
    ],
  ])('%# is judged', (content, refusal) => {
    expect(scan(content).refusal).toEqual(refusal)
  })

  it('nests and divides only so far', () => {
    const open = (depth: number) =>
      Array.from(
        { length: depth },
        (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\r\n\r\n--b${n}\r\n`,
      )
    expect(scan(`From: alice@example.org\r\n${open(49).join('')}\r\nx`).refusal).toBeUndefined()
    expect(scan(`From: alice@example.org\r\n${open(50).join('')}\r\nx`).refusal).toEqual({
      kind: 'over-limit',
      limit: 'depth',
    })
    const parts = (count: number) =>
      `From: alice@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(count)}--b--\r\n`
    expect(scan(parts(899)).refusal).toBeUndefined()
    expect(scan(parts(900)).refusal).toEqual({ kind: 'over-limit', limit: 'parts' })
  })
})
