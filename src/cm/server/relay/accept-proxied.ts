import type { Clock } from '../../../base/clock.ts'
import { type BlockRules, type BlockVerdict, DEFAULT_MAX_AGES } from '../../block-verdict.ts'
import { mergeBlocks } from '../../merge.ts'
import { parseTransport, type ServerAddress } from '../../transport.ts'
import type { JudgeBlock } from '../block-judge.ts'
import { RELAY_LIMITS } from './limits.ts'
import type { ProxiedUpload } from './port.ts'
import { parsePostTo } from './post-to.ts'
import type { ProxiedItem } from './queue-port.ts'

export interface AcceptContext {
  readonly judge: JudgeBlock
  readonly clock: Clock
  /** False for a server behind a proxy that is not set up: nothing would ever be sent. */
  readonly canReach: (server: ServerAddress) => boolean
  /** False for an address that is private and not allowed; names are judged when they are resolved. */
  readonly mayContact: (server: ServerAddress) => boolean
}

/** Why a block of STORE PROXY is not taken; for the log. */
export type ProxyRefusal =
  | 'wrong-hash'
  | 'targets'
  | 'unreachable'
  | 'private'
  | 'expired'
  | 'after-too-late'
  | 'invalid'

export type ProxyDecision =
  | { readonly kind: 'item'; readonly item: ProxiedItem }
  | { readonly kind: 'refused'; readonly reason: ProxyRefusal }

/**
 * Decides on a block of STORE PROXY as its targets will: whatever they would drop in silence is refused here, while
 * somebody is there to be told (CM wire 9.4, S3). What is kept of it are the lines a server stores.
 */
export async function decideOnProxied(
  { key, userId, received, afterMs }: ProxiedUpload,
  context: AcceptContext,
): Promise<ProxyDecision> {
  if (received.kind === 'data' && received.sha1 !== key) return refused('wrong-hash')
  const postTo = parsePostTo(received.kind === 'data' ? received.headerText : received.text)
  if (postTo === undefined) return refused('targets')
  if (!postTo.targets.every((target) => hasServer(target, context.canReach))) return refused('unreachable')
  // One that may be sent to is enough: the reference gives all targets with each block.
  if (!postTo.targets.some((target) => hasServer(target, context.mayContact))) return refused('private')
  const nowMs = context.clock.now()
  const rules: BlockRules = { network: 'server', nowMs }
  const verdict = await context.judge({
    key,
    text: postTo.body,
    ...(received.kind === 'data' ? { payloadPath: received.sink.path } : {}),
    poster: 'none',
    publicKeys: {},
    rules,
  })
  const block = mergeBlocks(undefined, verdict, rules)
  const isData = received.kind === 'data'
  if (verdict.type === undefined || block.kind !== 'stored' || (verdict.type === 'data') !== isData) {
    return refused('invalid')
  }
  const times = whenToSend(verdict, afterMs, nowMs)
  if (typeof times === 'string') return refused(times)
  return {
    kind: 'item',
    item: {
      ...times,
      afterMs,
      key,
      userId,
      isData,
      text: block.text,
      payload: payloadOf(received, block.text),
      targets: postTo.targets,
    },
  }
}

function refused(reason: ProxyRefusal): ProxyDecision {
  return { kind: 'refused', reason }
}

function hasServer(target: string, isSuch: (server: ServerAddress) => boolean): boolean {
  const transport = parseTransport(target)
  return transport?.kind === 'servers' && transport.servers.some(isSuch)
}

/** Seven days after its Date, or after AFTER; an AFTER at which the block is too old for any server is refused. */
function whenToSend(
  verdict: BlockVerdict,
  afterMs: number | undefined,
  nowMs: number,
): { readonly releaseMs: number; readonly expiresMs: number } | ProxyRefusal {
  const accepted = verdict.records.filter(({ reason }) => reason === undefined)
  const dateMs = Math.max(...accepted.map((record) => record.dateMs ?? 0))
  const maxAgeMs = verdict.type === undefined ? 0 : DEFAULT_MAX_AGES[verdict.type]
  if (afterMs !== undefined && afterMs > dateMs + maxAgeMs) return 'after-too-late'
  const expiresMs = (afterMs ?? dateMs) + RELAY_LIMITS.lifetimeMs
  if (expiresMs <= nowMs) return 'expired'
  return { releaseMs: Math.max(afterMs ?? 0, nowMs), expiresMs }
}

function payloadOf(received: ProxiedUpload['received'], headerText: string): ProxiedItem['payload'] {
  if (received.kind !== 'data') return undefined
  const bytes = Number(/^Data: (\d+)$/m.exec(headerText)?.[1])
  return { path: received.sink.path, bytes }
}
