import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../../../src/base/secret.ts'
import {
  type AnnouncementId,
  acknowledgmentId,
  announcementId,
  dataBlockKey,
  type KeyId,
} from '../../../../src/cm/ids.ts'
import {
  type OpenedMessage,
  openCiphertext,
  openContainer,
} from '../../../../src/cm/message/decode-message.ts'
import { headerObjections } from '../../../../src/cm/message/encode-header-txt.ts'
import {
  type EncodedMessage,
  EncodeMessageError,
  encodeMessage,
  type MessageRecipient,
  type MessageToEncode,
} from '../../../../src/cm/message/encode-message.ts'
import { openForwardedOriginal } from '../../../../src/cm/message/forwarded-original.ts'
import { judgeMessage } from '../../../../src/cm/message/judge-message.ts'
import { readZipEntryBytes, type ZipEntry } from '../../../../src/cm/message/zip-read.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from '../../../support/message-vectors.ts'
import { vectorPath } from '../../../support/vectors.ts'

const DATE_MS = Date.UTC(2025, 0, 20, 10)
const UNIQUE_ID = 'ab'.repeat(20)

/** Different bytes each time, the same in each run. */
function countingRandom(): (count: number) => Uint8Array {
  let calls = 0
  return (count) => {
    calls += 1
    const stream = createHash('sha512').update(`random ${calls}`).digest()
    return stream.subarray(0, count)
  }
}

const recipient = (user: string, more: Partial<MessageRecipient> = {}): MessageRecipient => ({
  type: 'to',
  keyId: vectorKeyId(user),
  text: `${user} <${user}@example.net>`,
  transport: 'server=Mail.example.net:8081',
  certificate: vectorCertificate(user),
  ...more,
})

let workDir = ''
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'cm-encode-'))
})
afterEach(() => rm(workDir, { recursive: true }))

const message = (more: Partial<MessageToEncode> = {}): MessageToEncode => ({
  workDir,
  sender: {
    keyId: vectorKeyId('alice'),
    text: 'Alice Example <alice@example.org>',
    transport: 'server=mail.example.org:8081',
    secretKey: new Secret(vectorOwner('alice').secretKeys[0] ?? ''),
  },
  recipients: [recipient('bob')],
  messageUniqueId: UNIQUE_ID,
  subject: 'Grüße',
  dateMs: DATE_MS,
  bodyText: 'Hello\r\nBob\r\n',
  ...more,
})

const encode = (more: Partial<MessageToEncode> = {}): Promise<EncodedMessage> =>
  encodeMessage(message(more), countingRandom())

async function openFor(encoded: EncodedMessage, user: string): Promise<OpenedMessage> {
  const folder = join(workDir, `for-${user}`)
  await mkdir(folder, { recursive: true })
  const opened = await openCiphertext({
    ciphertextPath: encoded.ciphertextPath,
    workDir: folder,
    owner: vectorOwner(user),
  })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  return opened
}

describe('an encoded message', () => {
  it('decodes to what went in and is judged good', async () => {
    await writeFile(join(workDir, 'big'), Buffer.alloc(3_000_000, 'x'))
    const encoded = await encode({
      bodyHtml: '<p>Hello</p>',
      replyThreadId: 'cd'.repeat(20),
      attachments: [
        { name: 'čaj.txt', bytes: Buffer.from('tea') },
        { name: '../ČAJ.txt', bytes: Buffer.from('more tea') },
        { name: 'big.bin', path: join(workDir, 'big'), size: 3_000_000 },
      ],
      extraEntries: [{ name: 'MIME.JSON', bytes: Buffer.from('{}') }],
    })
    const opened = await openFor(encoded, 'bob')
    expect(opened).toMatchObject({
      bodyText: 'Hello\nBob\n',
      bodyHtml: '<p>Hello</p>',
      header: { messageUniqueId: UNIQUE_ID, replyThreadId: 'cd'.repeat(20), subject: 'Grüße' },
      warnings: [],
    })
    expect(opened.attachments.map(({ name, size }) => [name, size])).toEqual([
      ['čaj.txt', 3],
      ['ČAJ (2).txt', 8],
      ['big.bin', 3_000_000],
    ])
    expect(opened.entries.map(({ name }) => name)).toEqual(
      [
        'HEADER.TXT',
        'BODY.TXT',
        'BODY.HTML',
        'MIME.JSON',
        '_čaj.txt',
        '_ČAJ (2).txt',
        '_big.bin',
        `ACK_${vectorKeyId('bob').toUpperCase()}.BIN`,
      ].toSorted((a, b) => ORDER(a) - ORDER(b)),
    )
    const judged = await judgeMessage(opened, {
      owner: vectorKeyId('bob'),
      certificates: [vectorCertificate('alice')],
      nowMs: DATE_MS,
    })
    expect(judged).toMatchObject({ verdict: { signature: 'good' }, isNamed: true, dateFault: undefined })
    const secret = judged.receipt?.acknowledgmentSecret?.reveal() ?? new Uint8Array()
    expect(acknowledgmentId(secret)).toBe(encoded.recipients[0]?.acknowledgmentId)
  })

  it('has the header order of the reference and nothing a strict reader objects to', async () => {
    const { headerTxt } = await encode({
      recipients: [recipient('bob'), recipient('carol', { type: 'cc' })],
      replyThreadId: 'cd'.repeat(20),
    })
    const names = headerTxt
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => line.split(':')[0])
    const [bob, carol, alice] = ['bob', 'carol', 'alice'].map(vectorKeyId)
    expect(names).toEqual([
      'From',
      'To',
      `KeyTransport-${bob}`,
      `Ack-${bob}`,
      'Cc',
      `KeyTransport-${carol}`,
      `Ack-${carol}`,
      'MessageUniqueId',
      'ReplyThreadId',
      'Subject',
      'Date',
      `KeyTransport-${alice}`,
    ])
    expect(headerTxt.toString()).toContain(`KeyTransport-${bob}: server=mail.example.net:8081\n`)
    expect(headerObjections(headerTxt)).toEqual([])
  })

  it('for two recipients seals an acknowledgment for each, and only they can read their own', async () => {
    const encoded = await encode({ recipients: [recipient('bob'), recipient('carol', { type: 'cc' })] })
    for (const [index, user] of ['bob', 'carol'].entries()) {
      const opened = await openFor(encoded, user)
      expect(opened.acknowledgment.acknowledgmentId).toBe(encoded.recipients[index]?.acknowledgmentId)
    }
    const opened = await openFor(encoded, 'bob')
    const others = opened.entries.find(({ name }) => name === `ACK_${vectorKeyId('carol').toUpperCase()}.PGP`)
    expect(others).toBeDefined()
  })

  it('hands a bypass token to a single recipient in a sealed acknowledgment', async () => {
    const bypassGrant = { secret: '0f'.repeat(20), created: '2025-01-19T08:00:00Z', expires: 'never' }
    const encoded = await encode({ recipients: [recipient('bob', { bypassGrant })] })
    const opened = await openFor(encoded, 'bob')
    expect(opened.acknowledgment).toMatchObject({
      bypassGrant,
      acknowledgmentId: encoded.recipients[0]?.acknowledgmentId,
    })
  })

  it('to a Bcc recipient shows the others without acknowledgments and nobody else', async () => {
    const encoded = await encode({
      recipients: [recipient('zofia', { type: 'bcc' })],
      displayRecipients: [{ ...recipient('bob'), type: 'to' }],
    })
    const opened = await openFor(encoded, 'zofia')
    const { header } = opened
    expect(header.recipients.map(({ type, keyId }) => [type, keyId])).toEqual([
      ['to', vectorKeyId('bob')],
      ['bcc', vectorKeyId('zofia')],
    ])
    expect([...header.acknowledgmentIds.keys()]).toEqual([vectorKeyId('zofia')])
    expect([...header.keyTransports.keys()]).toContain(vectorKeyId('bob'))
    const forBob = await openCiphertext({
      ciphertextPath: encoded.ciphertextPath,
      workDir,
      owner: vectorOwner('bob'),
    })
    expect(forBob).toEqual({ kind: 'unreadable', reason: 'not-for-us' })
  })

  it('to oneself has no second KeyTransport line', async () => {
    const { headerTxt } = await encode({ recipients: [recipient('alice')] })
    expect(headerTxt.toString().match(/KeyTransport-/g)).toHaveLength(1)
  })

  it('is cut into blocks that are named by their hashes', async () => {
    await writeFile(join(workDir, 'big'), Buffer.alloc(150_000, 'x'))
    const encoded = await encode({
      recipients: [recipient('bob', { transport: 'entangled' })],
      attachments: [{ name: 'big', path: join(workDir, 'big'), size: 150_000 }],
    })
    const ciphertext = await readFile(encoded.ciphertextPath)
    expect(encoded.target).toBe('entangled')
    expect(encoded.blocks).toHaveLength(3)
    for (const { key, start, end } of encoded.blocks) {
      expect(dataBlockKey(ciphertext.subarray(start, end))).toBe(key)
      expect(end - start).toBeLessThanOrEqual(65_536)
    }
    expect(dataBlockKey(ciphertext)).toBe(encoded.messageHash)
    expect(announcementId(encoded.blocks.map(({ key }) => key))).toBe(encoded.announcementId)
    expect(encoded.ciphertextBytes).toBe(ciphertext.length)
  })

  it('leaves only the ciphertext in the work directory and no secret in its printout', async () => {
    const encoded = await encode()
    await expect(readFile(join(workDir, 'message.zip'))).rejects.toThrow('ENOENT')
    expect(JSON.stringify(encoded.recipients)).toContain('[redacted]')
  })

  it('carries a hostile subject and user id on one line each', async () => {
    const { headerTxt } = await encode({
      subject: 'a\r\nBcc: x\u2028b\u0085c\u0000d\ud800',
      recipients: [recipient('bob', { text: 'Bob\nFrom: Eve' })],
    })
    expect(headerTxt.toString()).toContain('\nSubject: a Bcc: x b c d\ufffd\n')
    expect(headerTxt.toString()).toContain(`\nTo: Bob From: Eve ${vectorKeyId('bob')}\n`)
  })

  it('never names an empty user id, which the reference cannot show', async () => {
    const { headerTxt } = await encode({ recipients: [recipient('bob', { text: '' })] })
    expect(headerTxt.toString()).toContain(`\nTo: ${vectorKeyId('bob')} ${vectorKeyId('bob')}\n`)
  })
})

const ENTRY_ORDER = [/^HEADER/, /^BODY.TXT/, /^BODY.HTML/, /\.BIN$/, /^MIME/, /^_č/, /^_Č/, /^_big/]
function ORDER(name: string): number {
  return ENTRY_ORDER.findIndex((pattern) => pattern.test(name))
}

describe('encoding refuses', () => {
  it.each<[string, Partial<MessageToEncode>]>([
    ['no recipient', { recipients: [] }],
    ['a recipient twice', { recipients: [recipient('bob'), recipient('bob', { type: 'cc' })] }],
    [
      'server and Entangled recipients together',
      { recipients: [recipient('bob'), recipient('carol', { transport: 'entangled' })] },
    ],
    ['a transport that is none', { recipients: [recipient('bob', { transport: 'smtp' })] }],
    ['a date after 2037', { dateMs: Date.UTC(2040, 0, 1) }],
    ['an entry called like a header', { extraEntries: [{ name: 'HEADER.TXT', bytes: Buffer.alloc(0) }] }],
    ['an entry that would be an attachment', { extraEntries: [{ name: '_x', bytes: Buffer.alloc(0) }] }],
    ['a message id of another form', { messageUniqueId: 'x' }],
    ['a key id of another form', { recipients: [recipient('bob', { keyId: 'x' as KeyId })] }],
  ])('%s', async (_, more) => {
    await expect(encode(more)).rejects.toThrow(EncodeMessageError)
  })

  it('an attachment file that is not there or has another size', async () => {
    await expect(
      encode({ attachments: [{ name: 'x', path: join(workDir, 'none'), size: 1 }] }),
    ).rejects.toThrow()
    await writeFile(join(workDir, 'short'), 'abc')
    await expect(
      encode({ attachments: [{ name: 'x', path: join(workDir, 'short'), size: 5 }] }),
    ).rejects.toThrow()
  })
})

describe('an archive written twice', () => {
  it('has the same bytes, so that it tells nothing of clock, zone or machine', async () => {
    const first = await openFor(await encode(), 'bob')
    const second = await openFor(await encode(), 'bob')
    expect(second.zipSha256).toBe(first.zipSha256)
    const body = first.entries.find(({ name }) => name === 'BODY.TXT')
    expect(body && (await readZipEntryBytes(first.zip, body, { maxBytes: 100 })).toString()).toBe(
      'Hello\nBob\n',
    )
  })
})

describe('a signed forward', () => {
  it('has the shape of the reference’s, and its original the same bytes', async () => {
    const recorded = await openContainer({
      containerPath: vectorPath('messages/05-forward/container.bin') ?? '',
    })
    if (recorded.kind !== 'opened' || recorded.forwardedOriginal === undefined) throw new Error('no forward')
    const { forwardedOriginal, zip: archive } = recorded
    const read = (entry: ZipEntry) => readZipEntryBytes(archive, entry, { maxBytes: 1_000_000 })
    const id = forwardedOriginal.id as AnnouncementId
    const zip = { bytes: await read(forwardedOriginal.zip) }
    const signature = await read(forwardedOriginal.signature)
    const opened = await openFor(await encode({ forwarded: { id, zip, signature } }), 'bob')
    const namesOf = ({ entries }: OpenedMessage) =>
      entries.map(({ name }) => name).filter((name) => /^[0-9A-F]{40}\./.test(name))
    expect(namesOf(opened)).toEqual(namesOf(recorded))
    expect(opened.forwardedOriginal?.id).toBe(id)
    expect(opened.warnings).toEqual([])
    const lines = Buffer.from(
      await readZipEntryBytes(opened.zip, entryNamed(opened, 'HEADER.TXT'), { maxBytes: 10_000 }),
    )
    expect(lines.toString()).toMatch(/^MessageUniqueId: .*\nForwardedMessageId: [0-9a-f]{40}\nSubject: /m)
    const original = await openForwardedOriginal({ opened, containerPath: join(workDir, 'original') })
    if (original?.kind !== 'opened') throw new Error('the original cannot be read')
    const judged = await judgeMessage(original, {
      owner: undefined,
      certificates: [vectorCertificate('alice')],
      nowMs: DATE_MS,
    })
    expect(judged.verdict).toMatchObject({ signature: 'good', signer: vectorKeyId('alice') })
  })
})

function entryNamed(opened: OpenedMessage, wanted: string): ZipEntry {
  const entry = opened.entries.find(({ name }) => name === wanted)
  if (entry === undefined) throw new Error(`no entry ${wanted}`)
  return entry
}
