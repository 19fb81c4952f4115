import { acknowledgmentProofInput, encodeAcknowledgment, parseAcknowledgment } from '../cm/acknowledgment.ts'
import { dataProofInput, encodeDataBlockHeader } from '../cm/data-block.ts'
import { idBytes } from '../cm/ids.ts'
import {
  announcementProofInput,
  encodeMessageAnnouncement,
  parseMessageAnnouncements,
} from '../cm/message-announcement.ts'
import { measureProofOfWork, PROOF_OF_WORK_FLOORS, strongerDemand } from '../cm/proof-of-work.ts'
import { formatUtcTime } from '../cm/utc-time.ts'
import { bypassSecretOfRecipient } from '../store/bypass-queries.ts'
import type { UnpostedBlock } from '../store/outbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import { tokenFor } from './bypass-tokens.ts'

/**
 * A block that waited too long gets today's Date and a proof of work for it; nothing else of it changes (design 4). The
 * new proof is at least as strong as the old one, which was made for what the recipient asked.
 */
export async function renewBlock(
  context: Pick<BridgeContext, 'clock' | 'solver' | 'store'>,
  given: { readonly block: UnpostedBlock; readonly payload: Uint8Array | null; readonly signal: AbortSignal },
): Promise<string> {
  const { block, payload, signal } = given
  const date = formatUtcTime(context.clock.now())
  const { solver } = context
  switch (block.type) {
    case 'data': {
      if (payload === null) throw new Error('a data block has a payload')
      const data = Buffer.concat(dataProofInput(date, payload))
      const proofOfWork = await solver.solve({ ...PROOF_OF_WORK_FLOORS.server.data, data, signal })
      return encodeDataBlockHeader({ date, proofOfWork, payloadBytes: payload.length })
    }
    case 'message-announcement': {
      const parsed = parseMessageAnnouncements(block.text)
      const announcement = parsed.kind === 'ok' ? parsed.records[0]?.announcement : undefined
      const recipient = announcement?.recipient
      if (announcement === undefined || recipient === undefined) {
        throw new Error('our own announcement cannot be read')
      }
      const shown = measureProofOfWork(announcement.proofOfWork ?? '', announcementProofInput(announcement))
      const demand = strongerDemand(shown, PROOF_OF_WORK_FLOORS.server['message-announcement'])
      const parts = { ...announcement, recipient, date }
      const proofOfWork = await solver.solve({ ...demand, data: announcementProofInput(parts), signal })
      return encodeMessageAnnouncement({
        ...parts,
        proofOfWork,
        bypassToken: renewToken(context, block, parts),
      })
    }
    case 'acknowledgment': {
      const { acknowledgment } = parseAcknowledgment(block.text)
      const { secret } = acknowledgment
      if (secret === undefined) throw new Error('our own acknowledgment cannot be read')
      const data = acknowledgmentProofInput({ date, secret })
      const proofOfWork = await solver.solve({
        ...PROOF_OF_WORK_FLOORS.server.acknowledgment,
        data,
        signal,
      })
      return encodeAcknowledgment({ date, proofOfWork, secret: idBytes(secret) })
    }
  }
}

/** The token is made over the Date too. */
function renewToken(
  { store }: Pick<BridgeContext, 'store'>,
  { recipientId }: UnpostedBlock,
  parts: Parameters<typeof tokenFor>[1],
): string | undefined {
  const secret = recipientId === null ? undefined : bypassSecretOfRecipient(store.read, recipientId)
  return secret === undefined ? undefined : tokenFor(secret, parts)
}
