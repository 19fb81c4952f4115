import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { Authenticator } from '../imap/port.ts'
import type { Submission } from '../smtp/port.ts'
import type { Account } from '../store/account-queries.ts'
import type { AppPasswordScope } from '../store/app-password.ts'
import type { Store } from '../store/open-store.ts'
import type { Config } from './config.ts'
import type { ContactAdministration } from './contact-administration.ts'
import type { JobQueue } from './job-queue.ts'
import type { KeyAdministration } from './key-administration.ts'
import type { Log } from './log.ts'
import type { OwnCmServer } from './own-cm-server.ts'

/** What the bridge is to the program around it: `startBridge` makes one, `cli/serve.ts` gives it its listeners. */
export interface Bridge {
  readonly authenticator: Authenticator
  readonly submission: Submission
  readonly accounts: AccountAdministration
  readonly keys: KeyAdministration
  readonly contacts: ContactAdministration
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
  /** The CM server of this installation, when it has one: accounts at it need no account file. */
  readonly ownCmServer?: OwnCmServer | undefined
}

/** The verbs that change accounts; the same functions with and without a running bridge. */
export interface AccountAdministration {
  add(request: NewAccountRequest): Promise<AddAccountOutcome>
  /** By address or short name. */
  remove(account: string): Promise<RemoveAccountOutcome>
  /** Changes settings, all or none; what its network must hear is announced at once. */
  set(request: AccountSettingsRequest): Promise<AccountSettingsOutcome>
  addPassword(request: NewPasswordRequest): Promise<AddPasswordOutcome>
  revokePassword(account: string, name: string): Promise<RevokePasswordOutcome>
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
  /** Of that key; undefined when it has none. */
  readonly passphrase?: Secret<string> | undefined
}

export type AddAccountOutcome =
  | {
      readonly kind: 'ok'
      readonly address: string
      /** 40 lower-case hex digits. */
      readonly keyId: string
      /** Shown once, kept only as a hash. */
      readonly appPassword: Secret<string>
      /** It can log in at its servers: a key was given, or made for our own CM server. */
      readonly hasAuthKey: boolean
    }
  /** `reason` is one line for the user: what is wrong and what to do. */
  | { readonly kind: 'refused'; readonly reason: string }

/** What may be changed of an account; undefined leaves it as it is, null takes a key away. */
export interface AccountSettingsRequest {
  /** By address or short name. */
  readonly account: string
  readonly displayName?: string | undefined
  /** 2, 4, 8 or 16. */
  readonly mailboxCount?: number | undefined
  /** 24, 32, 36 or 40. */
  readonly costBits?: number | undefined
  /** `host:port`; the ones left are looked at for twelve days more. */
  readonly servers?: readonly string[] | undefined
  readonly authKey?: Secret<string> | null | undefined
  /** Empty: none. */
  readonly oldServers?: readonly string[] | undefined
  readonly oldAuthKey?: Secret<string> | null | undefined
  /** `YYYY-MM-DD`, to the end of that day in UTC, or a CM date. */
  readonly oldUntil?: string | undefined
  /** Empty: none. */
  readonly publishServers?: readonly string[] | undefined
  readonly publishAuthKey?: Secret<string> | null | undefined
  readonly usesBypassTokens?: boolean | undefined
  readonly appliesFolderSync?: boolean | undefined
  /** 0: never. */
  readonly rotateDays?: number | undefined
}

export type AccountSettingsOutcome =
  | { readonly kind: 'ok'; readonly account: Account }
  | { readonly kind: 'no-such-account' }
  /** One line for the user. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface NewPasswordRequest {
  /** By address or short name. */
  readonly account: string
  /** Which device has it, for people. */
  readonly name: string
  readonly scopes: readonly AppPasswordScope[]
}

export type AddPasswordOutcome =
  /** Shown once, kept only as a hash. */
  | { readonly kind: 'ok'; readonly appPassword: Secret<string> }
  | { readonly kind: 'no-such-account' }
  | { readonly kind: 'refused'; readonly reason: string }

export type RevokePasswordOutcome = { readonly kind: 'ok' | 'no-such-account' | 'no-such-password' }

export type RemoveAccountOutcome = { readonly kind: 'ok' } | { readonly kind: 'no-such-account' }
