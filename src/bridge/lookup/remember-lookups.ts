import type { Clock } from '../../base/clock.ts'
import { lowerCaseAddress } from '../../mail/address.ts'
import type { AccountId } from '../../store/ids.ts'
import type { KeyLookup, LookupOptions, LookupOutcome } from '../key-lookup.ts'

/** Addresses whose last answer is kept; each may hold a few keys, most hold one of a few KiB. */
const MAX_ANSWERS = 64

interface Answer {
  /** When it was asked for: whoever announced a key after that is not in it. */
  readonly askedMs: number
  readonly outcome: Promise<LookupOutcome>
}

/**
 * A look-up that gives an earlier answer again where `options.maxAgeMs` lets it, and one that is still being waited for.
 * Mail of one sender that comes in a row asks for the same rivals again and again. An answer that misses a source is
 * not given again.
 */
export function rememberLookups(lookup: KeyLookup, clock: Clock): KeyLookup {
  const answers = new Map<string, Answer>()
  const ask = (accountId: AccountId, address: string, options: LookupOptions): Promise<LookupOutcome> => {
    const key = `${accountId} ${lowerCaseAddress(address)}`
    const askedMs = clock.now()
    const known = answers.get(key)
    // A clock that was put back makes nothing fresh.
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : Math.abs(askedMs - known.askedMs)
    if (known !== undefined && ageMs <= (options.maxAgeMs ?? -1)) return known.outcome
    const outcome = lookup.byAddress(accountId, address, options)
    const answer = { askedMs, outcome }
    keep(answers, key, answer)
    const forget = (): void => {
      if (answers.get(key) === answer) answers.delete(key)
    }
    outcome.then(({ kind }) => {
      if (kind !== 'answered') forget()
    }, forget)
    return outcome
  }
  return {
    byAddress: (accountId, address, options) => {
      // What the owner named servers for is asked of those servers.
      const isOrdinary = options.servers === undefined || options.servers.length === 0
      return isOrdinary ? ask(accountId, address, options) : lookup.byAddress(accountId, address, options)
    },
    byKeyId: (accountId, keyId, options) => lookup.byKeyId(accountId, keyId, options),
  }
}

function keep(answers: Map<string, Answer>, key: string, answer: Answer): void {
  answers.delete(key)
  answers.set(key, answer)
  const [oldest] = answers.keys()
  if (answers.size > MAX_ANSWERS && oldest !== undefined) answers.delete(oldest)
}
