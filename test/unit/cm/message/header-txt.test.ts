import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AcknowledgmentId, KeyId } from '../../../../src/cm/ids.ts'
import { encodeHeaderTxt, headerObjections } from '../../../../src/cm/message/encode-header-txt.ts'
import { parseHeaderTxt } from '../../../../src/cm/message/header-txt.ts'

const A = '1'.repeat(40)
const B = 'abcdef0123'.repeat(4)
const parse = (text: string) => parseHeaderTxt(Buffer.from(text))
const header = (text: string) => {
  const parsed = parse(text)
  if (parsed.kind !== 'ok') throw new Error(parsed.reason)
  return parsed.header
}

describe('exactly one From line', () => {
  it.each([
    ['is read', `From: Ann <a@x> ${A}\n`, { keyId: A, text: 'Ann <a@x>' }],
    ['is read in any case and with CRLF', `FROM: Ann ${B.toUpperCase()}\r\n`, { keyId: B, text: 'Ann' }],
    ['may be a bare key id', `From: ${A}\n`, { keyId: A, text: '' }],
    ['may hold a key id in its text: the last one counts', `From: ${B} ${A}\n`, { keyId: A, text: B }],
    [
      'may hold separators of other scripts',
      `From: A\u2028From: x ${A}\n`,
      { keyId: A, text: 'A\u2028From: x' },
    ],
  ])('%s', (_, text, from) => {
    expect(header(text).from).toEqual(from)
  })

  it.each([
    ['none', 'Subject: x\n', 'no-from'],
    ['one without a key id', 'From: Ann\n', 'no-from'],
    ['one with a digit too many', `From: Ann 0${A}\n`, 'no-from'],
    ['one without the blank', `From:Ann ${A}\n`, 'no-from'],
    ['one behind a byte order mark', `\ufeffFrom: Ann ${A}\n`, 'no-from'],
    ['two', `From: Ann ${A}\nFrom: Bob ${B}\n`, 'several-from'],
    ['one that can be read and one that cannot', `From: Ann ${A}\nfrom: Bob\n`, 'several-from'],
    ['the same twice', `From: Ann ${A}\nFrom: Ann ${A}\n`, 'several-from'],
  ])('and not %s', (_, text, reason) => {
    expect(parse(text)).toEqual({ kind: 'unreadable', reason })
  })
})

describe('other lines', () => {
  it('are read by name in any case, the last of a repeated one', () => {
    const parsed = parse(`From: A ${A}\nsubject: 1\nSUBJECT: 2\nDate: 2026-01-02T03:04:05Z\n`)
    expect(parsed).toMatchObject({ header: { subject: '2' }, warnings: ['repeated-header'] })
  })

  it('keep an empty subject apart from a missing one', () => {
    expect(header(`From: A ${A}\nSubject: \n`).subject).toBe('')
    expect(header(`From: A ${A}\nSubject:\n`).subject).toBeUndefined()
  })

  it('give a date only when it is a real instant', () => {
    const date = (text: string) => header(`From: A ${A}\nDate: ${text}\n`).date?.ms
    expect(date('2026-01-02T03:04:05Z')).toBe(Date.UTC(2026, 0, 2, 3, 4, 5))
    for (const text of [
      '2026-02-30T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-01-01T24:00:00Z',
      '2026-01-01',
      '',
    ]) {
      expect(date(text)).toBeUndefined()
    }
  })

  it('give transports of both kinds and ignore others', () => {
    const { keyTransports } = header(
      `From: A ${A}\nKeyTransport-${B.toUpperCase()}: server=h:1\r\nKeyTransport-${A}: entangled\r\nKeyTransport-${A}: smtp\n`,
    )
    expect([...keyTransports]).toEqual([
      [B, 'server=h:1'],
      [A, 'entangled'],
    ])
  })

  it('warn of a recipient without a key id', () => {
    expect(parse(`From: A ${A}\nTo: Bob\n`)).toMatchObject({
      header: { recipients: [] },
      warnings: expect.arrayContaining(['unreadable-recipient']),
    })
  })
})

describe('hostile headers', () => {
  it.each([
    ['not UTF-8', Buffer.from([0x46, 0xff]), 'header-not-utf8'],
    ['larger than a mebibyte', Buffer.alloc(1024 * 1024 + 1, 'x'), 'header-too-large'],
    [
      'with 5,000 recipients',
      Buffer.from(`From: A ${A}\n${`To: B ${B}\n`.repeat(5000)}`),
      'too-many-recipients',
    ],
  ])('%s are refused', (_, bytes, reason) => {
    expect(parseHeaderTxt(bytes)).toEqual({ kind: 'unreadable', reason })
  })

  it.each([
    ['carriage returns', '\r'],
    ['line feeds', '\n'],
    ['blanks', ' '],
    ['hex digits', 'a'],
    ['colons', ': '],
  ])(
    'of a mebibyte of %s take no time',
    (_, character) => {
      const filler = character.repeat(1_000_000 / character.length)
      expect(parse(`From: A ${A}\nSubject: ${filler}x\n`)).toMatchObject({ kind: 'ok' })
      expect(parse(`From: ${filler}x\n`)).toMatchObject({ kind: 'unreadable' })
    },
    2000,
  )
})

describe('what we write', () => {
  const keyId = fc.stringMatching(/^[0-9a-f]{40}$/) as fc.Arbitrary<KeyId>
  const text = fc.string({ unit: 'binary', maxLength: 40 })

  it('is read back by us and has nothing a strict reader objects to, whatever people put in', () => {
    const target = fc.record({
      type: fc.constantFrom('to', 'cc', 'bcc'),
      keyId,
      text,
      transport: fc.constantFrom('server=h.example:8081', 'entangled'),
      acknowledgmentId: keyId as fc.Arbitrary<string> as fc.Arbitrary<AcknowledgmentId>,
    })
    const fields = fc.record({
      sender: fc.record({ keyId, text, transport: fc.constant('server=s.example:8081') }),
      targets: fc.uniqueArray(target, { minLength: 1, maxLength: 4, selector: (one) => one.keyId }),
      messageUniqueId: keyId,
      subject: text,
      dateMs: fc.integer({ min: 0, max: Date.UTC(2037, 11, 31) }),
    })
    fc.assert(
      fc.property(fields, (given) => {
        const bytes = encodeHeaderTxt(given)
        expect(headerObjections(bytes)).toEqual([])
        const parsed = parseHeaderTxt(bytes)
        expect(parsed).toMatchObject({
          kind: 'ok',
          header: { from: { keyId: given.sender.keyId }, messageUniqueId: given.messageUniqueId },
        })
        const recipients = parsed.kind === 'ok' ? parsed.header.recipients : []
        expect(recipients.map((one) => [one.type, one.keyId])).toEqual(
          given.targets.map((one) => [one.type, one.keyId]),
        )
      }),
    )
  })

  it('is found wanting when a line that readers need is gone', () => {
    const whole = `From: A ${A}\nTo: B ${B}\nKeyTransport-${B}: server=h:1\nMessageUniqueId: ${B}\nSubject: \nDate: 2026-01-02T03:04:05Z\nKeyTransport-${A}: server=h:1\n`
    expect(headerObjections(Buffer.from(whole))).toEqual([])
    for (const line of whole.trimEnd().split('\n')) {
      expect(headerObjections(Buffer.from(whole.replace(`${line}\n`, ''))), line).not.toEqual([])
    }
    expect(headerObjections(Buffer.from(whole.slice(0, -1)))).not.toEqual([])
  })
})
