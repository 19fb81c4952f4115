import { CONNREFUSED, NODATA, NOTFOUND, Resolver } from 'node:dns/promises'
import { duration } from '../base/clock.ts'

/** Milliseconds for one question with its repeats; whoever asks for a look-up has two seconds for a source (design 7.2). */
const QUESTION_TIMEOUT_MS = 2 * duration.second
/** Times a resolver of the list is asked; datagrams get lost. */
const TRIES = 2
/** Milliseconds until a try counts as lost. */
const TRY_TIMEOUT_MS = QUESTION_TIMEOUT_MS / TRIES
/** TXT records of one name that are given out; an honest name has a handful. */
const MAX_RECORDS = 32
/** Octets of all texts of one name: a server list has a few hundred, a TCP answer can have 64 KiB of anything. */
const MAX_TEXT_BYTES = 16 * 1024
/** Questions that wait at a time, each with a socket: strangers ask through our CM server too. */
const MAX_WAITING = 64
/** Milliseconds a name that got no answer is not asked about again: else each message of a sender waits anew. */
const FAILED_FOR_MS = 30 * duration.second
/** Such names that are remembered; the oldest goes first. */
const MAX_FAILED = 1000
/** A name as it goes into a question: letters, digits, hyphens, underscores; labels of 63, 253 in all (RFC 1035 2.3.4). */
const DNS_NAME = /^(?=.{1,253}\.?$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i

export type TxtAnswer =
  /**
   * The name exists. A record is its character-strings in order (RFC 1035 3.3.14), one character an octet; none: it has
   * no TXT record.
   */
  | { readonly kind: 'records'; readonly records: readonly (readonly string[])[] }
  /** There is no such name. */
  | { readonly kind: 'none' }
  /**
   * Nobody answered in time, or the answer was an error: nothing is known. `noResolver`: there is none to ask, as on a
   * network of its own that has no DNS.
   */
  | { readonly kind: 'failed'; readonly noResolver?: true }

/** TXT records of a name. Never rejects; `signal` ends it as `failed`. DNS is an argument, so that tests own it. */
export type ResolveTxt = (name: string, signal: AbortSignal) => Promise<TxtAnswer>

/**
 * Asks DNS, within two seconds, 16 KiB and 32 records an answer. `resolvers` are IP addresses, with `:port` where it is
 * not 53; none: the system's.
 */
export function createResolveTxt({ resolvers }: { readonly resolvers: readonly string[] }): ResolveTxt {
  let waiting = 0
  const failed = new FailedNames()
  return async (name, signal) => {
    if (!DNS_NAME.test(name)) return { kind: 'none' }
    if (signal.aborted || waiting >= MAX_WAITING || failed.has(name)) return { kind: 'failed' }
    waiting += 1
    try {
      const answer = await ask(resolvers, name, signal)
      // Not what the caller broke off.
      if (answer.kind === 'failed' && answer.noResolver !== true && !signal.aborted) failed.add(name)
      return answer
    } finally {
      waiting -= 1
    }
  }
}

async function ask(resolvers: readonly string[], name: string, signal: AbortSignal): Promise<TxtAnswer> {
  // One for each question: `cancel` ends all questions of a resolver.
  const resolver = new Resolver({ timeout: TRY_TIMEOUT_MS, tries: TRIES })
  if (resolvers.length > 0) resolver.setServers([...resolvers])
  const timeUp = AbortSignal.any([signal, AbortSignal.timeout(QUESTION_TIMEOUT_MS)])
  const cancel = (): void => resolver.cancel()
  timeUp.addEventListener('abort', cancel, { once: true })
  try {
    return { kind: 'records', records: bounded(await resolver.resolveTxt(name)) }
  } catch (error) {
    return answerOf(error)
  } finally {
    timeUp.removeEventListener('abort', cancel)
  }
}

/** Names that got no answer lately. */
class FailedNames {
  readonly #failedMs = new Map<string, number>()

  has(name: string): boolean {
    const failedMs = this.#failedMs.get(name)
    return failedMs !== undefined && performance.now() - failedMs < FAILED_FOR_MS
  }

  add(name: string): void {
    this.#failedMs.delete(name)
    this.#failedMs.set(name, performance.now())
    const [oldest] = this.#failedMs.keys()
    if (this.#failedMs.size > MAX_FAILED && oldest !== undefined) this.#failedMs.delete(oldest)
  }
}

function answerOf(error: unknown): TxtAnswer {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === NODATA) return { kind: 'records', records: [] }
  if (code === NOTFOUND) return { kind: 'none' }
  // Refused or without a route: there is none at that address.
  return code === CONNREFUSED ? { kind: 'failed', noResolver: true } : { kind: 'failed' }
}

function bounded(records: readonly (readonly string[])[]): (readonly string[])[] {
  let bytesLeft = MAX_TEXT_BYTES
  return records.slice(0, MAX_RECORDS).filter((strings) => {
    bytesLeft -= strings.reduce((sum, text) => sum + text.length, 0)
    return bytesLeft >= 0
  })
}
