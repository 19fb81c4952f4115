import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openContainer } from '../../../../src/cm/message/decode-message.ts'
import { readZipEntries, readZipEntryBytes, type ZipSource } from '../../../../src/cm/message/zip-read.ts'
import { type RawEntry, rawZip } from '../../../support/raw-zip.ts'

let folder = ''
let number = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cm-zip-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function writeNext(bytes: Uint8Array): Promise<string> {
  number += 1
  const path = join(folder, `${number}`)
  await writeFile(path, bytes)
  return path
}

/** Both ways an archive is read: large ones from files, small ones in memory. */
const PLACES: readonly (readonly [string, (bytes: Uint8Array, start?: number) => Promise<ZipSource>])[] = [
  ['in a file', async (bytes, start = 0) => ({ path: await writeNext(bytes), start })],
  ['in memory', async (bytes, start = 0) => ({ bytes, start })],
]

const entry = (name: string | Uint8Array, more: Partial<RawEntry> = {}): RawEntry => ({
  name,
  content: Buffer.from('content'),
  ...more,
})
const MEBIBYTE = 1024 * 1024

describe.each(PLACES)('an archive %s', (_, source) => {
  const read = async (bytes: Buffer) => readZipEntries(await source(bytes))

  it('that starts inside it is read from there', async () => {
    const zip = await source(
      Buffer.concat([Buffer.alloc(312, 'x'), rawZip([entry('a'), entry('b', { deflate: true })])]),
      312,
    )
    const listed = await readZipEntries(zip)
    if (listed.kind !== 'ok') throw new Error(listed.reason)
    for (const one of listed.entries) {
      expect((await readZipEntryBytes(zip, one, { maxBytes: 10 })).toString()).toBe('content')
    }
  })

  it.each<[string, Buffer, string]>([
    ['no bytes', Buffer.alloc(0), 'not-a-zip'],
    ['other bytes', Buffer.from('hello, this is not an archive at all'), 'not-a-zip'],
    ['its end cut off', rawZip([entry('a')]).subarray(0, -5), 'not-a-zip'],
    ['its beginning cut off', rawZip([entry('a'), entry('b')]).subarray(40), 'zip-damaged'],
    ['bytes behind its end', Buffer.concat([rawZip([entry('a')]), Buffer.alloc(3)]), 'not-a-zip'],
    ['HEADER.TXT twice', rawZip([entry('HEADER.TXT'), entry('HEADER.TXT')]), 'zip-duplicate-name'],
    ['an encrypted entry', rawZip([entry('a', { flags: 1, deflate: true })]), 'zip-encrypted'],
    ['a strongly encrypted entry', rawZip([entry('a', { flags: 0x41 })]), 'zip-damaged'],
    ['a method we do not know', rawZip([entry('a', { method: 14 })]), 'zip-method'],
    ['a name of two kibibytes', rawZip([entry('a'.repeat(2048))]), 'zip-name-too-long'],
    [
      'fewer entries by count than by directory',
      rawZip([entry('a'), entry('b')], { count: 1 }),
      'zip-damaged',
    ],
    ['more entries by count than by directory', rawZip([entry('a')], { count: 2 }), 'zip-damaged'],
    ['entries that share their bytes', rawZip([entry('a'), entry('b', { offset: 0 })]), 'zip-overlap'],
    ['an entry that reaches behind its end', rawZip([entry('a', { offset: 60 })]), 'zip-overlap'],
    [
      'a hundred mebibytes in a few bytes',
      rawZip([entry('a', { content: Buffer.alloc(100 * MEBIBYTE), deflate: true })]),
      'zip-too-large',
    ],
    ['stored sizes that disagree', rawZip([entry('a', { size: 3 })]), 'zip-damaged'],
  ])('with %s is refused', async (_, bytes, reason) => {
    expect(await read(bytes)).toEqual({ kind: 'unreadable', reason })
  })

  it('of 100,000 entries is refused before they are listed', async () => {
    const many = Array.from({ length: 100_000 }, (_, index) =>
      entry(`_${index}`, { content: Buffer.alloc(0) }),
    )
    expect(await read(rawZip(many))).toEqual({ kind: 'unreadable', reason: 'zip-too-many-entries' })
  })

  it('may hold two attachments of one name, as the reference writes them', async () => {
    expect(await read(rawZip([entry('_a'), entry('_a')]))).toMatchObject({ kind: 'ok' })
  })

  it('has names in UTF-8 with and without the flag, and else in Windows-1252', async () => {
    const listed = await read(
      rawZip([entry('_č', { flags: 0x800 }), entry('_ž'), entry(Buffer.from('_caf\xe9', 'latin1'))]),
    )
    expect(listed).toMatchObject({ entries: [{ name: '_č' }, { name: '_ž' }, { name: '_café' }] })
  })

  it("whose file is missing is our fault, not the sender's", async () => {
    await expect(readZipEntries({ path: join(folder, 'none'), start: 0 })).rejects.toThrow('ENOENT')
  })
})

describe.each(PLACES)('an entry %s', (_, source) => {
  const readFirst = async (bytes: Buffer): Promise<Buffer> => {
    const zip = await source(bytes)
    const listed = await readZipEntries(zip)
    if (listed.kind !== 'ok' || listed.entries[0] === undefined) throw new Error('unreadable')
    return readZipEntryBytes(zip, listed.entries[0], { maxBytes: 100 })
  }

  it.each<[string, RawEntry, string]>([
    ['a wrong CRC-32', entry('a', { crc: 1 }), 'CRC-32'],
    ['more bytes than it says', entry('a', { deflate: true, size: 3 }), 'more bytes'],
    ['fewer bytes than it says', entry('a', { deflate: true, size: 30 }), 'fewer bytes'],
    ['another name in its local header', entry('a', { localName: 'b' }), 'names differ'],
    [
      'bytes that are no deflate stream',
      entry('a', { method: 8, content: Buffer.from('zzzzzzz') }),
      'unpacked',
    ],
  ])('with %s is damaged', async (_, one, message) => {
    await expect(readFirst(rawZip([one]))).rejects.toThrow(message)
  })

  it('of no bytes is read', async () => {
    expect(await readFirst(rawZip([entry('a', { content: Buffer.alloc(0) })]))).toHaveLength(0)
  })
})

describe('a container with a hostile archive', () => {
  const ID = '11'.repeat(20)
  const header = entry('HEADER.TXT', {
    content: Buffer.from(`From: A ${ID}\nSubject: x\nDate: 2025-01-20T10:00:00Z\n`),
  })
  const open = async (entries: readonly RawEntry[]) => {
    const zip = rawZip([header, ...entries])
    const containerPath = await writeNext(Buffer.concat([Buffer.from([0, 0]), zip]))
    return openContainer({ containerPath })
  }

  it('never yields a name that could leave a folder, hide or open a device', async () => {
    const names = [
      '_../../etc/passwd',
      '_..\\..\\boot.ini',
      '_/abs',
      '_.bashrc',
      '_nul.txt',
      '_a\u0000b.pdf',
      '_',
      '_dir/',
      '_x',
      '_X',
      '__x',
    ]
    const opened = await open(names.map((name) => entry(name)))
    expect(opened).toMatchObject({ kind: 'opened', warnings: expect.arrayContaining(['attachment-renamed']) })
    expect(opened.kind === 'opened' && opened.attachments.map(({ name }) => name)).toEqual([
      'passwd',
      'boot.ini',
      'abs',
      'bashrc',
      'file-nul.txt',
      'ab.pdf',
      'attachment',
      'dir',
      'x',
      'X (2)',
      '_x',
    ])
  })

  it('shows both of two attachments of one name', async () => {
    const opened = await open([
      entry('_a.txt', { content: Buffer.from('1') }),
      entry('_a.txt', { content: Buffer.from('2') }),
    ])
    expect(opened.kind === 'opened' && opened.attachments.map(({ name }) => name)).toEqual([
      'a.txt',
      'a (2).txt',
    ])
    const digests = opened.kind === 'opened' ? opened.attachments.map(({ sha256 }) => sha256) : []
    expect(new Set(digests).size).toBe(2)
  })

  it('with an empty entry name or an unknown one is shown without it', async () => {
    expect(await open([entry(''), entry('X-THING')])).toMatchObject({ kind: 'opened', attachments: [] })
  })

  it('shows a body whose CRC-32 is wrong, with a warning, and reads it again without an error', async () => {
    const opened = await open([entry('BODY.TXT', { crc: 1 }), entry('_a', { crc: 1 })])
    expect(opened).toMatchObject({ bodyText: 'content', warnings: ['entry-damaged'] })
    if (opened.kind !== 'opened' || opened.attachments[0] === undefined) throw new Error('not opened')
    expect(await readZipEntryBytes(opened.zip, opened.attachments[0].entry, { maxBytes: 10 })).toHaveLength(7)
    expect(opened.entries).toContainEqual(opened.attachments[0].entry)
  })

  it('shows what can be read of a body that is not UTF-8', async () => {
    const opened = await open([entry('BODY.TXT', { content: Buffer.from('caf\xe9', 'latin1') })])
    expect(opened).toMatchObject({ bodyText: 'caf\ufffd', warnings: ['body-not-utf8'] })
  })

  it('goes to quarantine when an attachment cannot be unpacked', async () => {
    expect(await open([entry('_a', { deflate: true, size: 3 })])).toEqual({
      kind: 'unreadable',
      reason: 'zip-damaged',
    })
  })
})
