import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseCertificate } from '../../../src/cm/openpgp/certificates.ts'
import { MAX_PASTED_BYTES, type PastedKey, readPastedKeys } from '../../../src/cm/pasted-keys.ts'

/** K11: armor as people really paste it. All variants are made from K04. */

const CASES = new URL('../../golden/cases/', import.meta.url)
const PUBLIC = readFileSync(new URL('K04.asc', CASES), 'utf8')
const SECRET = readFileSync(new URL('K04-secret.asc', CASES), 'utf8')
const OTHER = readFileSync(new URL('K16.asc', CASES), 'utf8')
const KEY_ID = 'a9b99c3cbdb2b7d382dab794969b7c38489cdbed'
const NOW_MS = Date.parse('2026-12-31T00:00:00Z')

const lines = (edit: (line: string) => string, text = PUBLIC): string =>
  `${text.trimEnd().split('\n').map(edit).join('\n')}\n`
const withHeader = (...headers: string[]): string =>
  PUBLIC.replace('BLOCK-----\n\n', `BLOCK-----\n${headers.join('\n')}\n\n`)
const isChecksum = (line: string): boolean => /^=[^=]{4}$/.test(line)
const binary = (armored: string): Buffer =>
  Buffer.from(
    armored
      .split('\n')
      .slice(2, -2)
      .filter((line) => !isChecksum(line))
      .join(''),
    'base64',
  )

function keysOf(input: string | Uint8Array): readonly PastedKey[] {
  const read = readPastedKeys(input)
  if (read.kind === 'refused') throw new Error(read.sentence)
  return read.keys
}

async function keyIdOf(armored: string): Promise<string> {
  const read = await parseCertificate(armored, NOW_MS)
  return read.kind === 'ok' ? read.certificate.keyId : read.reason
}

const READ: readonly (readonly [string, string | Uint8Array])[] = [
  ['as it is', PUBLIC],
  ['CRLF line ends', PUBLIC.replaceAll('\n', '\r\n')],
  ['CR line ends', PUBLIC.replaceAll('\n', '\r')],
  ['a blank after every line', lines((line) => `${line} `)],
  ['a tab after every line', lines((line) => `${line}\t`)],
  ['Version and Comment headers', withHeader('Version: GnuPG v2', 'Comment: https://gnupg.org')],
  ['a fingerprint as comment', withHeader(`Comment: ${KEY_ID.toUpperCase()}${KEY_ID}`)],
  ['no checksum', lines((line) => line, PUBLIC.replace(/^=.{4}\n/m, ''))],
  ['text before and after', `Hello,\nmy key: see below\n\n${PUBLIC}\n-- \nMulti\n`],
  ['text on the same lines', `my key: ${PUBLIC.trimEnd()} thanks`],
  ['no blank line behind the header', withHeader('Version: GnuPG v2').replace('v2\n\n', 'v2\n')],
  ['no blank line and no header', PUBLIC.replace('BLOCK-----\n\n', 'BLOCK-----\n')],
  ['every line indented by two', lines((line) => `  ${line}`)],
  ['every line indented by a tab', lines((line) => `\t${line}`)],
  ['every line quoted', lines((line) => `> ${line}`)],
  ['every line quoted twice', lines((line) => `>> ${line}`)],
  ['a quotation without blanks', lines((line) => `>${line}`)],
  ['a quotation with headers', lines((line) => `| ${line}`, withHeader('Version: GnuPG v1'))],
  ['all line ends turned into blanks', PUBLIC.replaceAll('\n', ' ')],
  ['on one line with headers', withHeader('Version: GnuPG v1', 'Comment: a b c').replaceAll('\n', ' ')],
  ['on one line in one word', PUBLIC.replaceAll('\n', '')],
  ['an empty line after every line', lines((line) => `${line}\n`, withHeader('Version: GnuPG v1'))],
  [
    'wrapped at another width',
    PUBLIC.replaceAll(/(.{40})/g, (part) => (part.includes('-') ? part : `${part}\n`)),
  ],
  ['a byte order mark in front', `\ufeff${PUBLIC}`],
  ['a byte order mark in a file', Buffer.from(`\ufeff${PUBLIC}`)],
  ['UTF-16 as a Windows shell writes it', Buffer.from(`\ufeff${PUBLIC}`, 'utf16le')],
  ['UTF-16 without a mark', Buffer.from(PUBLIC, 'utf16le')],
  ['dashes escaped', PUBLIC.replaceAll('-----BEGIN', '- -----BEGIN').replaceAll('-----END', '- -----END')],
  ['a no-break space on the blank line', PUBLIC.replace('\n\n', '\n\u00a0\n')],
  ['a no-break space in Latin-1', Buffer.from(PUBLIC.replace('\n\n', '\n\u00a0\n'), 'latin1')],
  ['no-break spaces as indentation', lines((line) => `\u00a0\u00a0${line}`)],
  ['a zero-width space in every line', lines((line) => line.replace(/^(.{8})/, '$1\u200b'))],
  ['long dashes', PUBLIC.replaceAll('-----', '—--')],
  ['four dashes', PUBLIC.replaceAll('-----', '----')],
  ['binary', binary(PUBLIC)],
]

const REFUSED: readonly (readonly [string, string | Uint8Array, number])[] = [
  [
    'a wrong checksum',
    lines((line) => (isChecksum(line) ? '=AAAA' : line)),
    PUBLIC.split('\n').findIndex(isChecksum) + 1,
  ],
  [
    'a lost character',
    lines((line) => line.replace('mDMEZ3', 'mDMZ3')),
    PUBLIC.split('\n').findIndex(isChecksum),
  ],
  ['a lost line', PUBLIC.split('\n').toSpliced(5, 1).join('\n'), PUBLIC.split('\n').findIndex(isChecksum)],
  ['a stray word', PUBLIC.replace(/^(.*\n.*\n.*\n)/, '$1<br>\n'), 4],
  ['no end', PUBLIC.split('\n').slice(0, -2).join('\n'), 1],
  ['no begin', PUBLIC.split('\n').slice(1).join('\n'), PUBLIC.split('\n').length - 2],
  ['nothing between', '\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n', 2],
  ['another end', PUBLIC.replace('END PGP PUBLIC', 'END PGP PRIVATE'), 1],
  [
    'a key cut off and closed',
    `${PUBLIC.split('\n').slice(0, 6).join('\n')}\n-----END PGP PUBLIC KEY BLOCK-----\n`,
    1,
  ],
  ['no key at all', 'Hello,\nhow are you?\n', 1],
  ['nothing', '', 1],
  ['a message', '-----BEGIN PGP MESSAGE-----\n\nhQEMA0\n-----END PGP MESSAGE-----\n', 1],
]

describe('K11: read', () => {
  it.each(READ)('%s', async (_name, input) => {
    const keys = keysOf(input)
    expect(keys).toHaveLength(1)
    expect(keys[0]?.kind).toBe('public')
    expect(await keyIdOf(keys[0]?.armored ?? '')).toBe(KEY_ID)
    expect(binary(keys[0]?.armored ?? '').equals(binary(PUBLIC))).toBe(true)
  })

  it('two keys in a row, and in one block, both', async () => {
    const inOneBlock = Buffer.concat([binary(PUBLIC), binary(OTHER)])
    for (const input of [`${PUBLIC}${OTHER}`, `${PUBLIC}\nand\n\n${OTHER}`, inOneBlock]) {
      const keys = keysOf(input)
      expect(await Promise.all(keys.map(({ armored }) => keyIdOf(armored)))).toEqual([
        KEY_ID,
        'aa37cf6403b473f63fc6017cc17de71391654863',
      ])
    }
  })

  it('a secret key, and says that it is one', () => {
    expect(keysOf(lines((line) => `> ${line}`, SECRET)).map(({ kind }) => kind)).toEqual(['secret'])
    expect(keysOf(`${PUBLIC}${SECRET}`).map(({ kind }) => kind)).toEqual(['public', 'secret'])
    expect(keysOf(binary(SECRET)).map(({ kind }) => kind)).toEqual(['secret'])
  })
})

describe('K11: refused with a sentence that names the line', () => {
  it.each(REFUSED)('%s', (_name, input, line) => {
    const read = readPastedKeys(input)
    expect(read).toEqual({ kind: 'refused', sentence: expect.stringMatching(new RegExp(`^line ${line}: `)) })
  })

  it('what is far too large', () => {
    expect(readPastedKeys('x'.repeat(MAX_PASTED_BYTES + 1)).kind).toBe('refused')
  })

  it('a file of dashes, and of thousands of tiny blocks, in a moment', () => {
    const begin = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
    const tiny = `${begin}\nAAAA\n${begin.replace('BEGIN', 'END')}\n`
    const many = tiny.repeat(Math.floor(MAX_PASTED_BYTES / tiny.length))
    expect(readPastedKeys('-'.repeat(MAX_PASTED_BYTES)).kind).toBe('refused')
    expect(readPastedKeys(many)).toMatchObject({ sentence: expect.stringMatching(/^line 1: /) })
  })

  it('a damaged binary file', () => {
    expect(readPastedKeys(binary(PUBLIC).subarray(0, 100))).toMatchObject({ sentence: /^the file: / })
  })
})

describe('K11: a key block from the network is held to the strict form', () => {
  const strict = new Set([
    'as it is',
    'CRLF line ends',
    'a blank after every line',
    'a tab after every line',
    'Version and Comment headers',
    'a fingerprint as comment',
    'no checksum',
    'text before and after',
    'wrapped at another width',
    'binary',
  ])

  it.each(READ)('%s', async (name, input) => {
    // A string of its own per octet, as a block from the network is read.
    const block = typeof input === 'string' ? input : new Uint8Array(input)
    const isRead = (await keyIdOf(block as string)) === KEY_ID
    const isHarmless = strict.has(name)
    expect(isRead).toBe(isHarmless)
  })
})
