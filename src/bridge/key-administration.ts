import { type Clock, duration } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import { CERTIFICATE_REFUSALS } from '../cm/certificate.ts'
import { mergeSecretKeys } from '../cm/openpgp/merge-secret-keys.ts'
import { type RotationResult, rotateEncryptionSubkey } from '../cm/openpgp/rotate-subkey.ts'
import { readSecretKey } from '../cm/openpgp/secret-keys.ts'
import { newestSubkeyMs } from '../cm/openpgp/subkey-states.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import { type Account, accountByLogin } from '../store/account-queries.ts'
import { ROW_ID_BYTES } from '../store/ids.ts'
import { storedSecretKey } from '../store/key-queries.ts'
import type { Store } from '../store/open-store.ts'
import { seal } from '../store/vault.ts'
import type { DueWork } from '../store/work-rows.ts'
import { readOwnSecretKey } from './own-secret-key.ts'

/** The functions behind `cmbridge key`, with and without a running bridge. */
export interface KeyAdministration {
  rotate(request: RotateKeyRequest): Promise<RotateKeyOutcome>
  importKey(request: ImportKeyRequest): Promise<ImportKeyOutcome>
}

export interface KeyAdministrationOptions {
  readonly store: Store
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  /** Rows that became due; without a running bridge its next start finds them. */
  readonly onDue?: (due: readonly DueWork[]) => void
}

type NotDone =
  | { readonly kind: 'no-such-account' }
  /** `reason` is one line for the user: what is wrong and what to do. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface RotateKeyRequest {
  /** By address or short name. */
  readonly account: string
  /** Although the subkey in use is younger than a week. */
  readonly isForced: boolean
}

export type RotateKeyOutcome =
  | { readonly kind: 'ok'; readonly address: string; readonly keyId: string; readonly newSubkey: string }
  | NotDone

export interface ImportKeyRequest {
  /** By address or short name. */
  readonly account: string
  readonly text: Secret<string>
  readonly passphrase: Secret<string> | undefined
}

export type ImportKeyOutcome =
  | {
      readonly kind: 'ok'
      readonly address: string
      readonly keyId: string
      /** Fingerprints of the subkeys whose secret is new here. */
      readonly gained: readonly string[]
      /** False: everything in it was here already. */
      readonly isNew: boolean
      /** Messages in quarantine that are tried again. */
      readonly retried: number
    }
  | NotDone

/** Others refresh keys weekly: who is told of two changes in less may miss the first (CM message 10.5). */
export const MIN_ROTATION_AGE_MS = 7 * duration.day
/** Another writer may come between; it cannot for ever. */
const STORE_TRIES = 3

export function createKeyAdministration(options: KeyAdministrationOptions): KeyAdministration {
  return {
    rotate: (request) => rotate(options, request),
    importKey: (request) => importKey(options, request),
  }
}

type Change =
  | { readonly kind: 'changed'; readonly secretKey: SecretKey }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unchanged' }

/** Makes the account's key anew from the one it has, and stores it before anybody hears of it. */
async function changeKey(
  options: KeyAdministrationOptions,
  account: Account,
  change: (current: SecretKey, nowMs: number) => Promise<Change>,
): Promise<Exclude<Change, { kind: 'changed' }> | { readonly kind: 'stored' }> {
  const { store, clock, randomBytes } = options
  for (let tries = 0; tries < STORE_TRIES; tries += 1) {
    const stored = storedSecretKey(store.read, account.id)
    if (stored === undefined) throw new Error('the account has no secret key')
    const nowMs = Math.floor(clock.now() / 1000) * 1000
    const current = await readSecretKey(stored.armored.reveal(), { nowMs })
    if (current.kind === 'locked') throw new Error('the stored key has a passphrase')
    if (current.kind === 'refused') {
      return {
        kind: 'refused',
        reason: `the account's key cannot be used: ${CERTIFICATE_REFUSALS[current.reason]}`,
      }
    }
    const changed = await change(current.secretKey, nowMs)
    if (changed.kind !== 'changed') return changed
    const id = randomBytes(ROW_ID_BYTES)
    const bytes = Buffer.from(changed.secretKey.armored.reveal())
    const outcome = await store.write('storeSecretKey', {
      accountId: account.id,
      keyId: account.keyId,
      secretKey: { id, sealed: seal({ accountId: account.id, rowId: id, purpose: 'secret-key' }, bytes) },
      basedOn: stored.rowId,
    })
    if (outcome.kind === 'changed') continue
    options.onDue?.(outcome.due)
    return { kind: 'stored' }
  }
  return { kind: 'refused', reason: 'the key is being changed by somebody else: try again' }
}

async function rotate(
  options: KeyAdministrationOptions,
  { account: login, isForced }: RotateKeyRequest,
): Promise<RotateKeyOutcome> {
  const account = accountByLogin(options.store.read, login)
  if (account === undefined) return { kind: 'no-such-account' }
  let newSubkey = ''
  const outcome = await changeKey(options, account, async (current, nowMs) => {
    const youngestMs = await newestSubkeyMs(current)
    if (!isForced && youngestMs !== undefined && nowMs - youngestMs < MIN_ROTATION_AGE_MS) {
      const since = new Date(youngestMs).toISOString().slice(0, 10)
      return {
        kind: 'refused',
        reason: `the encryption subkey is of ${since}: others refresh keys once a week; wait, or say --force`,
      }
    }
    const rotated = await rotateEncryptionSubkey(current, nowMs)
    if (rotated.kind !== 'ok') return { kind: 'refused', reason: rotationComplaint(rotated) }
    newSubkey = rotated.newSubkey
    return { kind: 'changed', secretKey: rotated.secretKey }
  })
  if (outcome.kind === 'unchanged') throw new Error('a rotation changes the key')
  if (outcome.kind === 'refused') return outcome
  return { kind: 'ok', address: account.address, keyId: account.keyId, newSubkey }
}

function rotationComplaint(result: Exclude<RotationResult, { kind: 'ok' }>): string {
  switch (result.kind) {
    case 'unsupported':
      return `no new subkey can be made here for a key of ${result.algorithm}: make it with gpg, then "cmbridge key import"`
    case 'unusable':
      return `the key itself can no longer be used (${result.reason}): renew it with gpg, then "cmbridge key import"`
    case 'no-primary':
      return 'the secret of the primary key is not here: rotate where it is, then "cmbridge key import"'
  }
}

async function importKey(
  options: KeyAdministrationOptions,
  request: ImportKeyRequest,
): Promise<ImportKeyOutcome> {
  const { store, clock } = options
  const account = accountByLogin(store.read, request.account)
  if (account === undefined) return { kind: 'no-such-account' }
  const { address, keyId } = account
  const given = await readOwnSecretKey({
    text: request.text,
    passphrase: request.passphrase,
    nowMs: clock.now(),
    isMeant: (certificate) => certificate.keyId === keyId,
    meant: keyId,
  })
  if (given.kind === 'refused') return given
  let gained: readonly string[] = []
  const outcome = await changeKey(options, account, async (current, nowMs) => {
    const merged = await mergeSecretKeys(current, given.secretKey, nowMs)
    if (merged.kind === 'other-key') {
      const other = given.secretKey.certificate.keyId
      return {
        kind: 'refused',
        reason: `this is another key, ${other}; that of ${address} is ${keyId}: "cmbridge account add" takes another one`,
      }
    }
    if (merged.kind === 'nothing-new') return { kind: 'unchanged' }
    const { canSign } = merged.secretKey.certificate
    if (canSign.kind === 'no' && current.certificate.canSign.kind === 'yes')
      return { kind: 'refused', reason: `with this the key could sign no more (${canSign.reason})` }
    gained = merged.gained
    return { kind: 'changed', secretKey: merged.secretKey }
  })
  if (outcome.kind === 'refused') return outcome
  // Ciphertexts in quarantine are never thrown away; without a running bridge its next start finds the rows.
  const due = await store.write('retryQuarantined', { accountId: account.id })
  options.onDue?.(due)
  return { kind: 'ok', address, keyId, gained, isNew: outcome.kind === 'stored', retried: due.length }
}
