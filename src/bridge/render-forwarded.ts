import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../base/clock.ts'
import type { KeyId } from '../cm/ids.ts'
import type { OpenedMessage } from '../cm/message/decode-message.ts'
import type { Account } from '../store/account-queries.ts'
import { messageIdOfUniqueId } from '../store/inbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import { judgeForwarded } from './judge-inbound.ts'
import type { KeyLookup, LookupOutcome } from './key-lookup.ts'
import { messageToRender } from './render/message-to-render.ts'
import { MAX_FORWARD_DEPTH, type MessageToRender } from './render/render-message.ts'

/** The originals inside signed forwards as messages of their own, each with its verdict (CM message 6, design 8.7). */

/** A large archive on a slow machine; a stuck thread is ended after this. */
const OPEN_TIME_MS = duration.hour

interface Given {
  readonly account: Account
  readonly opened: OpenedMessage
  /** Private, new, and kept until the result is rendered. */
  readonly workDir: string
  readonly arrivedMs: number
  readonly userIdOf: (keyId: KeyId) => string | undefined
}

/**
 * The original of a signed forward; undefined when there is none, or it cannot be read. Its signer's key is looked for
 * like that of every sender. Nothing in it is for us: it is not acknowledged, and no secret in it is looked at.
 */
export function forwardedToRender(
  context: BridgeContext,
  given: Given,
): Promise<MessageToRender | undefined> {
  return openLevel(context, given, 1)
}

const NOTHING_FOUND: LookupOutcome = { kind: 'answered', found: [], unusable: [], dropped: [] }
/** Of originals deeper inside only keys we hold are known: each search may take a minute, at servers its sender chose. */
const KNOWN_KEYS_ONLY: KeyLookup = {
  byAddress: async () => NOTHING_FOUND,
  byKeyId: async () => NOTHING_FOUND,
}

async function openLevel(
  context: BridgeContext,
  given: Given,
  depth: number,
): Promise<MessageToRender | undefined> {
  const { account, workDir } = given
  const { zip, forwardedOriginal } = given.opened
  if (forwardedOriginal === undefined || depth > MAX_FORWARD_DEPTH) return undefined
  // A small message was opened without it.
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  const containerPath = join(workDir, `forwarded-${depth}.bin`)
  const opened = await context.pool.run(
    'openForwardedOriginal',
    { opened: { zip, forwardedOriginal }, containerPath },
    { timeLimitMs: OPEN_TIME_MS },
  )
  if (opened?.kind !== 'opened') {
    context.log.info({ depth, reason: opened?.reason }, 'a forwarded original cannot be read')
    return undefined
  }
  const thread = opened.header.replyThreadId
  const asking = depth === 1 ? context : { ...context, lookup: KNOWN_KEYS_ONLY }
  const { verdict, sender } = await judgeForwarded(asking, { account, opened })
  return messageToRender(opened, {
    owner: account.keyId,
    userIdOf: (keyId) => (keyId === sender?.keyId ? sender.userId : given.userIdOf(keyId)),
    verdict,
    origin: { messageId: forwardedOriginal.id, receivedFrom: undefined },
    arrivedMs: given.arrivedMs,
    replyToIds:
      thread === undefined
        ? []
        : [messageIdOfUniqueId(context.store.read, account.id, thread) ?? `<${thread}@cm.invalid>`],
    fingerprint: 'always',
    forwarded: await openLevel(context, { ...given, opened }, depth + 1),
  })
}
