import type { Secret } from '../base/secret.ts'
import { CERTIFICATE_REFUSALS, type Certificate } from '../cm/certificate.ts'
import { announcedCertificate } from '../cm/openpgp/announced-certificate.ts'
import { exportSecretKey, readSecretKey } from '../cm/openpgp/secret-keys.ts'
import { type SubkeyState, subkeyStates } from '../cm/openpgp/subkey-states.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import type { AccountId } from '../store/ids.ts'
import { pollTimes } from '../store/inbound-queries.ts'
import { storedSecretKey } from '../store/key-queries.ts'
import type { ReadConnection } from '../store/read-connection.ts'

/** What an account's key is, for its owner; nothing of it is secret. */
export interface KeyReport {
  readonly certificate: Certificate
  readonly subkeys: readonly SubkeyState[]
  /** When this state of the key was stored here. */
  readonly storedMs: number
  /** null: never. */
  readonly announcedMs: number | null
}

type Unreadable = { readonly kind: 'unreadable'; readonly reason: string }

/** Reads an account's key as of `nowMs`. */
export async function readKeyReport(
  read: ReadConnection,
  accountId: AccountId,
  nowMs: number,
): Promise<{ readonly kind: 'ok'; readonly report: KeyReport } | Unreadable> {
  const key = await loadKey(read, accountId, nowMs)
  if (key.kind === 'unreadable') return key
  const { secretKey, storedMs } = key
  const report: KeyReport = {
    certificate: secretKey.certificate,
    subkeys: await subkeyStates(secretKey, nowMs),
    storedMs,
    announcedMs: pollTimes(read, accountId).announcedMs,
  }
  return { kind: 'ok', report }
}

/** The account's certificate as it is announced, armored. */
export async function exportPublicKey(read: ReadConnection, accountId: AccountId): Promise<string> {
  return await announcedCertificate(requireKey(read, accountId).armored.reveal())
}

/** The account's secret key as GnuPG imports it, under a passphrase if one is given. */
export async function exportOwnSecretKey(
  read: ReadConnection,
  accountId: AccountId,
  options: { readonly passphrase: Secret<string> | undefined; readonly nowMs: number },
): Promise<{ readonly kind: 'ok'; readonly armored: Secret<string> } | Unreadable> {
  const key = await loadKey(read, accountId, options.nowMs)
  if (key.kind === 'unreadable') return key
  return { kind: 'ok', armored: await exportSecretKey(key.secretKey, options.passphrase) }
}

async function loadKey(
  read: ReadConnection,
  accountId: AccountId,
  nowMs: number,
): Promise<{ readonly kind: 'ok'; readonly secretKey: SecretKey; readonly storedMs: number } | Unreadable> {
  const stored = requireKey(read, accountId)
  const key = await readSecretKey(stored.armored.reveal(), { nowMs })
  if (key.kind === 'locked') throw new Error('the stored key has a passphrase')
  if (key.kind === 'refused') return { kind: 'unreadable', reason: CERTIFICATE_REFUSALS[key.reason] }
  return { kind: 'ok', secretKey: key.secretKey, storedMs: stored.storedMs }
}

function requireKey(read: ReadConnection, accountId: AccountId) {
  const stored = storedSecretKey(read, accountId)
  if (stored === undefined) throw new Error('the account has no secret key')
  return stored
}
