import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announcementId } from '../../../../src/cm/ids.ts'
import { reassembleCiphertext } from '../../../../src/cm/message/block-file.ts'
import {
  type OpenedMessage,
  openCiphertext,
  openContainer,
} from '../../../../src/cm/message/decode-message.ts'
import { judgeMessage } from '../../../../src/cm/message/judge-message.ts'
import {
  hasAllBlocks,
  messageBlocks,
  vectorCertificate,
  vectorKeyId,
  vectorOwner,
} from '../../../support/message-vectors.ts'
import { vectorJson, vectorPath } from '../../../support/vectors.ts'

interface Expected {
  readonly sender: { readonly user: string; readonly keyId: string }
  readonly subject: string
  readonly bodyText: string | null
  readonly bodyHtml: string | null
  readonly bodyXml: string | null
  readonly attachments: readonly { readonly name: string; readonly size: number; readonly sha256: string }[]
  readonly recipients: readonly {
    readonly user: string
    readonly type: 'To' | 'Cc' | 'Bcc'
    readonly keyId: string
    readonly ackResponse: string
    readonly ackRequest: string
    readonly bypassToken: {
      readonly secret: string
      readonly created: string
      readonly expires: string
    } | null
  }[]
  readonly header: {
    readonly from: string
    readonly keyTransport: Readonly<Record<string, string>>
    readonly ack: Readonly<Record<string, string>>
    readonly messageUniqueId: string
    readonly forwardedMessageId?: string
    readonly replyThreadId?: string
    readonly date: string
  }
  readonly messageHash: string
  readonly announcementId: string
  readonly received: Readonly<Record<string, { readonly clock: string; readonly zipSha256?: string }>>
}

const NAMES = [
  '01-plain',
  '02-html-attachment',
  '03-multi',
  '04-reply',
  '05-forward',
  '06a-bypass-issued',
  '06b-bypass-used',
  '06c-bypass-second',
  '07-multi-block',
  '08-embargo',
  '10-entangled',
  '11-self',
  '12-folder-sync',
  '16-empty',
  '17-unknown-sender',
]

let workDir = ''
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'cm-message-'))
})
afterEach(() => rm(workDir, { recursive: true }))

async function openFor(name: string, user: string): Promise<OpenedMessage> {
  const { announcements, blocks } = messageBlocks(`messages/${name}`)
  const announcement = announcements.find(({ recipient }) => recipient === vectorKeyId(user))
  if (announcement === undefined) throw new Error(`nothing for ${user}`)
  const files = announcement.dataBlocks.map((key) => blocks.get(key) ?? { key, path: 'missing' })
  const ciphertextPath = join(workDir, 'ciphertext')
  expect(
    await reassembleCiphertext({
      blocks: files,
      messageHash: announcement.messageHash,
      outputPath: ciphertextPath,
    }),
  ).toMatchObject({
    kind: 'ok',
  })
  const opened = await openCiphertext({ ciphertextPath, workDir, owner: vectorOwner(user) })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  return opened
}

describe.each(NAMES)('message %s', (name) => {
  const expected = vectorJson<Expected>(`messages/${name}/expected.json`)
  const isThere = hasAllBlocks(`messages/${name}`)

  it.skipIf(!isThere)('decodes for each recipient as the reference recorded', async () => {
    for (const [user, received] of Object.entries(expected.received)) {
      const opened = await openFor(name, user)
      const { header } = opened
      expect(header.from).toEqual({ keyId: expected.sender.keyId, text: expected.header.from.slice(0, -41) })
      expect(header.recipients.map(({ type, keyId }) => [type, keyId])).toEqual(
        expected.recipients.map(({ type, keyId }) => [type.toLowerCase(), keyId]),
      )
      expect(Object.fromEntries(header.keyTransports)).toEqual(expected.header.keyTransport)
      expect(Object.fromEntries(header.acknowledgmentIds)).toEqual(expected.header.ack)
      expect(header.messageUniqueId).toBe(expected.header.messageUniqueId)
      expect(header.replyThreadId).toBe(expected.header.replyThreadId)
      expect(header.forwardedMessageId).toBe(expected.header.forwardedMessageId)
      expect(header.subject).toBe(expected.subject)
      expect(header.date?.text).toBe(expected.header.date)
      expect(opened.bodyText).toBe(expected.bodyText ?? undefined)
      expect(opened.bodyHtml).toBe(expected.bodyHtml ?? undefined)
      expect(opened.bodyXml).toBe(expected.bodyXml ?? undefined)
      expect(
        opened.attachments.map(({ name: shown, size, sha256 }) => ({ name: shown, size, sha256 })),
      ).toEqual(expected.attachments.map(({ name: shown, size, sha256 }) => ({ name: shown, size, sha256 })))
      if (received.zipSha256 !== undefined) expect(opened.zipSha256).toBe(received.zipSha256)
      const ours = expected.recipients.find((recipient) => recipient.user === user)
      expect(Buffer.from(opened.acknowledgment.acknowledgmentSecret ?? []).toString('hex')).toBe(
        ours?.ackResponse,
      )
      expect(opened.acknowledgment.acknowledgmentId).toBe(ours?.ackRequest)
      expect(opened.acknowledgment.bypassGrant ?? null).toEqual(ours?.bypassToken)
      expect(opened.warnings).toEqual([])
    }
  })

  it.skipIf(!isThere)('is signed by its sender and names each recipient', async () => {
    for (const [user, received] of Object.entries(expected.received)) {
      const opened = await openFor(name, user)
      const judged = await judgeMessage(opened, {
        owner: vectorKeyId(user),
        certificates: [vectorCertificate(expected.sender.user)],
        nowMs: Date.parse(received.clock),
      })
      expect(judged.verdict).toEqual({
        signature: 'good',
        signer: expected.sender.keyId,
        reason: undefined,
        heldUntilMs: undefined,
      })
      expect(judged.isNamed).toBe(true)
      expect(judged.dateFault).toBeUndefined()
      expect(judged.isFolderSync).toBe(name === '12-folder-sync')
      expect(judged.receipt?.acknowledgmentSecret).toBeDefined()
    }
  })

  it('has the recorded ids', () => {
    const { announcements } = messageBlocks(`messages/${name}`)
    for (const announcement of announcements) {
      expect(announcement.messageHash).toBe(expected.messageHash)
      expect(announcementId(announcement.dataBlocks)).toBe(expected.announcementId)
    }
  })
})

describe('a container file', () => {
  it('opens without a key, acknowledgment left alone', async () => {
    const opened = await openContainer({ containerPath: vectorPath('messages/03-multi/container.bin') ?? '' })
    expect(opened).toMatchObject({
      kind: 'opened',
      acknowledgment: { acknowledgmentSecret: undefined },
      warnings: [],
    })
  })

  it('of a signed forward shows where the original lies', async () => {
    const opened = await openContainer({
      containerPath: vectorPath('messages/05-forward/container.bin') ?? '',
    })
    expect(opened).toMatchObject({
      forwardedOriginal: {
        id: '5408573f0d4c39ed30e928ba5cfbd12627431fec',
        zip: { name: '5408573F0D4C39ED30E928BA5CFBD12627431FEC.ZIP' },
      },
    })
  })
})
