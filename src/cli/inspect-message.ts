import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { messageToRender } from '../bridge/render/message-to-render.ts'
import { renderToFile } from '../bridge/render/render-to-file.ts'
import { findBypassSecret } from '../cm/bypass-token.ts'
import type { KeyId } from '../cm/ids.ts'
import { reassembleCiphertext } from '../cm/message/block-file.ts'
import {
  type MessageOwner,
  type OpenedMessage,
  openCiphertext,
  openContainer,
  type UnreadableReason,
} from '../cm/message/decode-message.ts'
import { type Disposition, decideDisposition, type WorkResult } from '../cm/message/disposition.ts'
import { type JudgedMessage, judgeMessage } from '../cm/message/judge-message.ts'
import {
  announcementProofInput,
  type MessageAnnouncement,
  messageIdOf,
  parseMessageAnnouncements,
} from '../cm/message-announcement.ts'
import { measureProofOfWork, meetsDemand } from '../cm/proof-of-work.ts'
import { CliError, misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'
import {
  type InspectMessageFlags,
  type InspectMessageInput,
  readInspectMessageInput,
} from './inspect-message-input.ts'
import { type MessageReport, reportMessage } from './inspect-message-report.ts'
import { finishInspect } from './inspect-result.ts'

/**
 * `cmbridge inspect message`: what the bridge would make of a message, offline. Prints JSON; ends with 0 when it would
 * be shown, 1 when it would go to quarantine, 2 for misuse. Adds itself below `inspect`.
 */
export function registerInspectMessage(inspect: Command, context: CliContext): void {
  inspect
    .command('message [blocks...]')
    .description('decrypt, verify and judge one message')
    .option('--container <file>', 'a decrypted message: signature length, signature, ZIP')
    .option('--announcement <file>', 'a message announcement; its data blocks follow')
    .option('--secret-key <file...>', 'our secret keys, armored, without passphrase')
    .option('--public-key <file...>', 'keys that may have signed')
    .option('--demand <bits,matches>', 'the proof of work we ask of strangers')
    .option('--bypass-secret <hex...>', 'bypass secrets we have issued')
    .option('--now <date>', 'the time to judge by, like 2025-01-20T10:00:00Z')
    .option('--eml <file>', 'write the message as IMAP would serve it')
    .action(async (blocks: string[], _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<InspectMessageFlags>()
      const input = await readInspectMessageInput(blocks, flags, context)
      const workDir = await mkdtemp(join(tmpdir(), 'cmbridge-inspect-'))
      try {
        const report = await inspectMessage(input, workDir, flags.eml)
        const isRejected = report.disposition === 'quarantine'
        finishInspect(context, { exitCode: isRejected ? 1 : 0, json: report, reason: report.reason })
      } finally {
        await rm(workDir, { recursive: true, force: true })
      }
    })
}

/** What is known of the message before it is opened. */
interface Found {
  readonly announcement: MessageAnnouncement | undefined
  readonly owner: MessageOwner | undefined
  readonly work: WorkResult
}

type Opened =
  | { readonly kind: 'opened'; readonly message: OpenedMessage; readonly found: Found }
  | { readonly kind: 'unreadable'; readonly reason: UnreadableReason; readonly found: Found }

async function inspectMessage(
  input: InspectMessageInput,
  workDir: string,
  emlPath: string | undefined,
): Promise<MessageReport> {
  const opened =
    input.source.kind === 'container'
      ? await openGivenContainer(input, input.source.path)
      : await openAnnounced(input, input.source, workDir)
  if (opened.kind === 'unreadable') {
    return reportMessage({ ...opened.found, disposition: decideDisposition(opened) })
  }
  const { message, found } = opened
  const judged = await judgeMessage(message, {
    owner: found.owner?.keyId,
    certificates: [...input.certificates, ...input.secretKeys.map((key) => key.certificate)].map(
      ({ armored }) => armored,
    ),
    nowMs: input.nowMs,
  })
  const disposition = dispositionOf(judged, found)
  if (emlPath !== undefined) await writeEml({ input, opened: message, judged, disposition, found }, emlPath)
  return reportMessage({ ...found, opened: message, judged, disposition })
}

function dispositionOf(judged: JudgedMessage, found: Found): Disposition {
  return decideDisposition({
    kind: 'readable',
    signature: judged.verdict.signature,
    heldUntilMs: judged.verdict.heldUntilMs,
    // Without a secret key there is nobody who could be named.
    isNamed: judged.isNamed || found.owner === undefined,
    dateFault: judged.dateFault,
    isFolderSync: judged.isFolderSync,
    work: found.work,
    hasCollision: false,
    isBlocked: false,
  })
}

/** Of several secret keys the one that the message names, else the first. */
async function openGivenContainer(input: InspectMessageInput, containerPath: string): Promise<Opened> {
  const owners = ownersOf(input)
  const first = await openContainer({ containerPath })
  const found: Found = { announcement: undefined, owner: owners[0], work: 'unknown' }
  if (first.kind === 'unreadable') return { ...first, found }
  const named = new Set(first.header.recipients.map(({ keyId }) => keyId))
  const owner = owners.find(({ keyId }) => named.has(keyId)) ?? owners[0]
  const message = await openContainer({ containerPath, owner })
  if (message.kind === 'unreadable') return { ...message, found }
  return { kind: 'opened', message, found: { ...found, owner } }
}

function ownersOf(input: InspectMessageInput): MessageOwner[] {
  return input.secretKeys.map((key) => ({
    keyId: key.certificate.keyId,
    secretKeys: [key.armored.reveal()],
  }))
}

async function openAnnounced(
  input: InspectMessageInput,
  source: Extract<InspectMessageInput['source'], { kind: 'announcement' }>,
  workDir: string,
): Promise<Opened> {
  const announcement = chooseRecord(input, source)
  const owners = ownersOf(input)
  const owner = owners.find(({ keyId }) => keyId === announcement.recipient) ?? owners[0]
  if (owner === undefined) throw misuse('--announcement needs --secret-key FILE to decrypt with')
  const found: Found = { announcement, owner, work: workOf(input, announcement) }
  const files = new Map(source.blocks.map((block) => [block.key, block]))
  const blocks = announcement.dataBlocks.flatMap((key) => files.get(key) ?? [])
  if (blocks.length < announcement.dataBlocks.length) {
    return { kind: 'unreadable', reason: 'missing-block', found }
  }
  const ciphertextPath = join(workDir, 'ciphertext.pgp')
  const { messageHash } = announcement
  const joined = await reassembleCiphertext({ blocks, messageHash, outputPath: ciphertextPath })
  if (joined.kind === 'failed') return { kind: 'unreadable', reason: joined.reason, found }
  if (joined.kind === 'damaged-block')
    throw misuse(`the file of block ${joined.key} changed while it was read`)
  const message = await openCiphertext({ ciphertextPath, workDir, owner })
  return message.kind === 'unreadable' ? { ...message, found } : { kind: 'opened', message, found }
}

/** The record whose data blocks are those given; of several the one for a key we hold. */
function chooseRecord(
  input: InspectMessageInput,
  source: { readonly text: string; readonly blocks: readonly { readonly key: string }[] },
): MessageAnnouncement {
  const parsed = parseMessageAnnouncements(source.text)
  if (parsed.kind !== 'ok') throw new CliError(`the announcement is ${parsed.kind}`)
  const records = parsed.records.map(({ announcement }) => announcement)
  if (records[0] === undefined) throw new CliError('the announcement has no record with a MessageHash')
  const given = new Set<string>(source.blocks.map(({ key }) => key))
  const fitting = records.filter(({ dataBlocks }) => {
    const wanted = new Set<string>(dataBlocks)
    return wanted.size === given.size && dataBlocks.every((key) => given.has(key))
  })
  const candidates = fitting.length > 0 ? fitting : records
  const ours = new Set<KeyId | undefined>(input.secretKeys.map((key) => key.certificate.keyId))
  return candidates.find(({ recipient }) => ours.has(recipient)) ?? candidates[0] ?? records[0]
}

/** A work demand is only made when one is given; a token of ours stands for it (CM wire 6). */
function workOf(input: InspectMessageInput, announcement: MessageAnnouncement): WorkResult {
  const proofInput = announcementProofInput(announcement)
  const shown = measureProofOfWork(announcement.proofOfWork ?? '', proofInput)
  if (announcement.bypassToken !== undefined && shown.matches >= 0) {
    const secrets = input.bypassSecrets.map((secret) => ({
      secret,
      keyId: announcement.recipient ?? ('' as KeyId),
      created: '1970-01-01T00:00:00Z',
      expires: 'never',
    }))
    if (findBypassSecret(announcement.bypassToken, proofInput, { secrets, nowMs: input.nowMs })) {
      return 'bypassed'
    }
  }
  if (input.demand === undefined) return 'unknown'
  return meetsDemand(shown, input.demand) ? 'met' : 'below'
}

interface ToWrite {
  readonly input: InspectMessageInput
  readonly opened: OpenedMessage
  readonly judged: JudgedMessage
  readonly disposition: Disposition
  readonly found: Found
}

async function writeEml({ input, opened, judged, disposition, found }: ToWrite, path: string): Promise<void> {
  const certificates = [...input.certificates, ...input.secretKeys.map((key) => key.certificate)]
  const { verdict } = judged
  const isTrue = verdict.signature === 'good' || verdict.signature === 'mismatch'
  const message = await messageToRender(opened, {
    owner: found.owner?.keyId,
    userIdOf: (keyId) => certificates.find((one) => one.keyId === keyId)?.primaryUserId,
    verdict: {
      signature: verdict.signature,
      reason: disposition.reason,
      show: disposition.show,
      signer: isTrue ? verdict.signer : undefined,
      trust: undefined,
      firstSeenMs: undefined,
      collidingKeys: [],
    },
    origin: {
      messageId:
        found.announcement === undefined ? opened.zipSha256.slice(0, 40) : messageIdOf(found.announcement),
      receivedFrom: undefined,
    },
    arrivedMs: input.nowMs,
    replyToIds:
      opened.header.replyThreadId === undefined ? [] : [`<${opened.header.replyThreadId}@cm.invalid>`],
    fingerprint: 'always',
  })
  await renderToFile(message, path)
}
