import type { KeyId } from '../cm/ids.ts'
import type { ContactRecord } from '../store/contact-operations.ts'
import type { AccountId } from '../store/ids.ts'

/** Where keys are looked for (design 9); `cm-key-lookup.ts` asks CM servers. */

/** A key that was found but cannot be written to or believed. */
export interface UnusableKey {
  readonly keyId: KeyId
  /** For people, e.g. `its key expired on 2026-01-02`. */
  readonly reason: string
}

export type LookupOutcome =
  /** Every source answered. `found` empty: nobody has announced it. */
  | {
      readonly kind: 'answered'
      readonly found: readonly ContactRecord[]
      readonly unusable: readonly UnusableKey[]
    }
  /** A source that might know could not be asked, or the time was up. */
  | { readonly kind: 'unreachable'; readonly reason: string; readonly found: readonly ContactRecord[] }

export interface KeyLookup {
  /** Keys that claim and carry the address. `signal` ends it early, as unreachable. */
  byAddress(accountId: AccountId, address: string, signal: AbortSignal): Promise<LookupOutcome>
  /** One key by its id; `hints` are transports to ask beside the account's own servers. */
  byKeyId(
    accountId: AccountId,
    keyId: KeyId,
    options: { readonly hints: readonly string[]; readonly signal: AbortSignal },
  ): Promise<LookupOutcome>
}
