import * as openpgp from 'openpgp'
import { Secret } from '../../base/secret.ts'
import type { SecretKey } from '../secret-key.ts'
import { parseCertificate } from './certificates.ts'
import { hasValidBinding } from './encryption-subkeys.ts'
import { FULL_SETTINGS, readOwnKey } from './settings.ts'

export type MergeResult =
  | {
      readonly kind: 'ok'
      readonly secretKey: SecretKey
      /** Fingerprints of the keys whose secret is there now and was not before. */
      readonly gained: readonly string[]
    }
  /** Another primary key. */
  | { readonly kind: 'other-key' }
  /** It has nothing that is not there already. */
  | { readonly kind: 'nothing-new' }

/**
 * Adds to a secret key what another export of it has: subkeys, their secrets, newer signatures (case K16: an export of
 * kept subkeys alone). Nothing that is there is lost.
 */
export async function mergeSecretKeys(
  current: SecretKey,
  added: SecretKey,
  nowMs: number,
): Promise<MergeResult> {
  const own = await readOwnKey(current)
  const other = await readOwnKey(added)
  if (own.getFingerprint() !== other.getFingerprint()) return { kind: 'other-key' }
  const before = secretsOf(own)
  // Whoever has the primary's secret is the base: `update` does not fill in a stub.
  const [base, extra] = before.has(own.getFingerprint()) ? [own, other] : [other, own]
  const merged = await base.update(extra, new Date(nowMs), FULL_SETTINGS)
  const known = new Set(own.subkeys.map((subkey) => subkey.getFingerprint()))
  const subkeys: openpgp.Subkey[] = []
  for (const subkey of merged.subkeys) {
    if (!known.has(subkey.getFingerprint()) && !(await hasValidBinding(merged, subkey))) continue
    subkeys.push(withSecret(merged, subkey, [own, other]))
  }
  merged.subkeys = subkeys
  const armored = merged.armor(FULL_SETTINGS)
  if (armored === own.armor(FULL_SETTINGS)) return { kind: 'nothing-new' }
  const read = await parseCertificate(merged.toPublic().write(), nowMs)
  if (read.kind === 'refused') throw new Error('the merged key cannot be read back')
  const gained = [...secretsOf(merged)].filter((fingerprint) => !before.has(fingerprint))
  return { kind: 'ok', secretKey: { certificate: read.certificate, armored: new Secret(armored) }, gained }
}

function hasSecret({ keyPacket }: openpgp.Key | openpgp.Subkey): boolean {
  return keyPacket instanceof openpgp.SecretKeyPacket && !keyPacket.isDummy()
}

function secretsOf(key: openpgp.PrivateKey): ReadonlySet<string> {
  return new Set(
    key
      .getKeys()
      .filter(hasSecret)
      .map((part) => part.getFingerprint()),
  )
}

/** The subkey with its secret, where one of the sources has it and this one is a stub. */
function withSecret(
  merged: openpgp.PrivateKey,
  subkey: openpgp.Subkey,
  sources: readonly openpgp.PrivateKey[],
): openpgp.Subkey {
  if (hasSecret(subkey)) return subkey
  const fingerprint = subkey.getFingerprint()
  const twins = sources.flatMap((source) => source.subkeys)
  const twin = twins.find((one) => one.getFingerprint() === fingerprint && hasSecret(one))
  if (twin === undefined) return subkey
  const filled = new openpgp.Subkey(twin.keyPacket, merged)
  filled.bindingSignatures = subkey.bindingSignatures
  filled.revocationSignatures = subkey.revocationSignatures
  return filled
}
