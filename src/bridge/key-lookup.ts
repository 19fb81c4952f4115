import type { KeyId } from '../cm/ids.ts'
import type { ServerAddress } from '../cm/transport.ts'
import type { ContactRecord } from '../store/contact-operations.ts'
import type { AccountId } from '../store/ids.ts'

/** Where keys are looked for (design 9); `cm-key-lookup.ts` asks CM servers and DNS. */

/** A key that was found but cannot be written to or believed. */
export interface UnusableKey {
  readonly keyId: KeyId
  /** For people, the cure included, e.g. `key expired on 2026-01-02; ask the owner to renew it`. */
  readonly reason: string
  /** The key itself is the reason and not one copy of its announcement: another server will not do better. */
  readonly isKeysFault: boolean
  /** The armored certificate that says its owner revoked it; absent for every other reason. */
  readonly revokedCertificate?: string
}

interface Findings {
  /** Keys that claim and carry the address, or the key that was asked for. */
  readonly found: readonly ContactRecord[]
  readonly unusable: readonly UnusableKey[]
  /** Contacts as they are announced now that no longer carry the address. */
  readonly dropped: readonly ContactRecord[]
}

export type LookupOutcome =
  /** Every source answered. `found` empty: nobody has announced it. */
  | (Findings & { readonly kind: 'answered' })
  /** A source that might know could not be asked, or the time was up; the findings are those of the others. */
  | (Findings & { readonly kind: 'unreachable'; readonly reason: string })

/** Milliseconds for one source while a mail program waits for the reply to RCPT (design 7.2). */
export const RCPT_SOURCE_MS = 2000

export interface LookupOptions {
  /** Ends it early, as unreachable, with what was found by then. */
  readonly signal: AbortSignal
  /** Milliseconds for one source, since somebody waits; half a minute when absent. */
  readonly sourceMs?: number
  /** Milliseconds an earlier complete answer may be old to be given again; nobody's is when absent. */
  readonly maxAgeMs?: number
  /** Servers the owner named for this look-up, asked whatever the settings say. */
  readonly servers?: readonly ServerAddress[]
}

export interface KeyLookup {
  /** Keys that claim and carry the address; every source is asked, so that rivals are seen. */
  byAddress(accountId: AccountId, address: string, options: LookupOptions): Promise<LookupOutcome>
  /** One key by its id; `hints` are transports somebody else named, asked beside the others. */
  byKeyId(
    accountId: AccountId,
    keyId: KeyId,
    options: LookupOptions & { readonly hints: readonly string[] },
  ): Promise<LookupOutcome>
}
