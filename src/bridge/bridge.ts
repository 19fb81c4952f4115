import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { Authenticator } from '../imap/port.ts'
import type { Submission } from '../smtp/port.ts'
import type { Store } from '../store/open-store.ts'
import type { Config } from './config.ts'
import type { JobQueue } from './job-queue.ts'
import type { Log } from './log.ts'

/** What the bridge is to the program around it: `startBridge` makes one, `cli/serve.ts` gives it its listeners. */
export interface Bridge {
  readonly authenticator: Authenticator
  readonly submission: Submission
  readonly accounts: AccountAdministration
  /** The queue lost its jobs (a damaged Redis directory was set aside): adds them again from the rows. */
  reconcile(): Promise<void>
  /** Looks for new mail of an account at once: its CM server is ours and just stored something (design 8.1). */
  pollNow(login: string): Promise<void>
  /** Takes no more work and lets running stages end for a short while; what is left goes on at the next start. */
  close(): Promise<void>
}

export interface BridgeOptions {
  readonly store: Store
  readonly queue: JobQueue
  readonly config: Config
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  readonly log: Log
}

/** The verbs that change accounts; the same functions with and without a running bridge. */
export interface AccountAdministration {
  add(request: NewAccountRequest): Promise<AddAccountOutcome>
  /** By address or short name. */
  remove(account: string): Promise<RemoveAccountOutcome>
}

export interface NewAccountRequest {
  readonly address: string
  /** Shown name; empty for none. */
  readonly displayName: string
  /** `host:port`, in order of preference. */
  readonly servers: readonly string[]
  /** The CM server's authentication key; undefined when the server asks for none. */
  readonly authKey: Secret<string> | undefined
  /** An armored OpenPGP secret key to use; undefined makes a new one. */
  readonly secretKeyArmor: Secret<string> | undefined
}

export type AddAccountOutcome =
  | {
      readonly kind: 'ok'
      readonly address: string
      /** 40 lower-case hex digits. */
      readonly keyId: string
      /** Shown once, kept only as a hash. */
      readonly appPassword: Secret<string>
    }
  /** `reason` is one line for the user: what is wrong and what to do. */
  | { readonly kind: 'refused'; readonly reason: string }

export type RemoveAccountOutcome = { readonly kind: 'ok' } | { readonly kind: 'no-such-account' }
