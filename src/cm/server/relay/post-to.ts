import { blockLines, splitOutboxBlock } from '../../block-text.ts'
import { encodeTransport, parseTransport } from '../../transport.ts'
import { RELAY_LIMITS } from './limits.ts'

export interface PostTo {
  /** `server=h:p[,h:p]` in lower case, without repetitions. */
  readonly targets: readonly string[]
  /** The block without the lines that named them. */
  readonly body: string
}

/** What a stock client puts in front when a delayed message reached only some of its targets (CM wire 8.5). */
const EMBARGO_PREFIX = /^(?:embargo:)+/i
const POST_TO_LINE = /^post-to: /i

/**
 * The targets of a block of STORE PROXY: leading `Post-To` lines, each a target with its servers as alternatives
 * (CM wire 2.8). undefined when there is none, or one that cannot be sent to: `replicate` and `entangled`, other words,
 * a host without port; and when such a line stands further down, where nobody puts one on purpose (S3, S6).
 */
export function parsePostTo(text: string): PostTo | undefined {
  const { postTo, embargo, body } = splitOutboxBlock(text)
  if (embargo !== undefined || blockLines(body).some((line) => POST_TO_LINE.test(line))) return undefined
  const targets = new Set<string>()
  let servers = 0
  for (const value of postTo) {
    const transport = parseTransport(value.replace(EMBARGO_PREFIX, ''))
    if (transport?.kind !== 'servers') return undefined
    targets.add(encodeTransport(transport))
    servers += transport.servers.length
  }
  if (targets.size === 0 || targets.size > RELAY_LIMITS.targets) return undefined
  if (servers > RELAY_LIMITS.servers) return undefined
  return { targets: [...targets], body }
}
