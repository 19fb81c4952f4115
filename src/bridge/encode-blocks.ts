import { open } from 'node:fs/promises'
import { dataProofInput, encodeDataBlockHeader } from '../cm/data-block.ts'
import { type KeyId, mailboxHash } from '../cm/ids.ts'
import type { EncodedMessage } from '../cm/message/encode-message.ts'
import { announcementProofInput, encodeMessageAnnouncement } from '../cm/message-announcement.ts'
import { PROOF_OF_WORK_FLOORS, type ProofOfWorkStrength, strongerDemand } from '../cm/proof-of-work.ts'
import type { ProofOfWorkSolver } from '../cm/proof-of-work-solver.ts'
import { formatUtcTime } from '../cm/utc-time.ts'
import type { StoredBypassSecret } from '../store/bypass-queries.ts'
import type { EncodedBlock } from '../store/outbound-operations.ts'
import { tokenFor } from './bypass-tokens.ts'

/** What one recipient's key announcement asks of those who write to it. */
export interface RecipientDemand {
  readonly recipientId: number
  readonly keyId: KeyId
  /** `server=host:port,…` */
  readonly transport: string
  readonly mailboxPrefixes: readonly string[]
  readonly proofOfWork: ProofOfWorkStrength
  /** Stands for that work: only the server's floor is proved then (CM wire 6). */
  readonly bypassSecret?: StoredBypassSecret | undefined
}

export interface BlocksToEncode {
  readonly solver: ProofOfWorkSolver
  readonly encoded: EncodedMessage
  readonly dateMs: number
  readonly recipients: readonly RecipientDemand[]
  /** In [0, 1): picks the mailbox (CM wire 3.4). */
  readonly random: () => number
  readonly signal: AbortSignal
}

/** The blocks of one ciphertext: its data for every target, and one announcement for each recipient (CM wire 8.5). */
export async function encodeBlocks(input: BlocksToEncode): Promise<EncodedBlock[]> {
  const date = formatUtcTime(input.dateMs)
  const targets = [...new Set(input.recipients.map(({ transport }) => transport))]
  const blocks: EncodedBlock[] = []
  for (const slice of input.encoded.blocks) {
    const bytes = slice.end - slice.start
    const payload = await readSlice(input.encoded.ciphertextPath, slice.start, bytes)
    const proofOfWork = await input.solver.solve({
      ...PROOF_OF_WORK_FLOORS.server.data,
      data: Buffer.concat(dataProofInput(date, payload)),
      signal: input.signal,
    })
    const text = encodeDataBlockHeader({ date, proofOfWork, payloadBytes: bytes })
    for (const target of targets) {
      blocks.push({
        type: 'data',
        key: slice.key,
        target,
        text,
        payload: { start: slice.start, bytes },
        recipientId: null,
      })
    }
  }
  for (const recipient of input.recipients) blocks.push(await announce(input, date, recipient))
  return blocks
}

async function announce(
  input: BlocksToEncode,
  date: string,
  recipient: RecipientDemand,
): Promise<EncodedBlock> {
  const { mailboxPrefixes, keyId, bypassSecret } = recipient
  const mailboxPrefix = mailboxPrefixes[Math.floor(input.random() * mailboxPrefixes.length)] ?? '0'
  const parts = {
    date,
    recipient: keyId,
    messageHash: input.encoded.messageHash,
    dataBlocks: input.encoded.blocks.map(({ key }) => key),
  }
  const floor = PROOF_OF_WORK_FLOORS.server['message-announcement']
  const demand = bypassSecret === undefined ? strongerDemand(recipient.proofOfWork, floor) : floor
  const proofOfWork = await input.solver.solve({
    ...demand,
    data: announcementProofInput(parts),
    signal: input.signal,
  })
  return {
    type: 'message-announcement',
    key: mailboxHash(mailboxPrefix, keyId),
    target: recipient.transport,
    text: encodeMessageAnnouncement({
      ...parts,
      mailboxPrefix,
      proofOfWork,
      bypassToken: bypassSecret === undefined ? undefined : tokenFor(bypassSecret, parts),
    }),
    payload: null,
    recipientId: recipient.recipientId,
  }
}

/** At most one block of 8 MiB at a time is in memory. */
export async function readSlice(path: string, start: number, bytes: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const buffer = Buffer.alloc(bytes)
    const { bytesRead } = await file.read(buffer, 0, bytes, start)
    if (bytesRead !== bytes) throw new Error(`the ciphertext file ${path} is too short`)
    return buffer
  } finally {
    await file.close()
  }
}
