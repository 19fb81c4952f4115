import * as openpgp from 'openpgp'
import { Secret } from '../../base/secret.ts'
import { userIdName } from '../address.ts'
import { MAX_CERTIFICATE_BYTES } from '../certificate.ts'
import type { SecretKey, SecretKeyResult } from '../secret-key.ts'
import { parseCertificate } from './certificates.ts'
import { FULL_SETTINGS, OPENPGP_SETTINGS } from './settings.ts'

/** Makes a v4 key that GnuPG 2.2 can use: signing Ed25519 primary, Curve25519 encryption subkey (measurements 1c). */
export async function generateKey(options: {
  readonly name: string
  readonly address: string
  readonly nowMs: number
}): Promise<SecretKey> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: userIdName(options.name), email: options.address }],
    type: 'ecc',
    curve: 'curve25519Legacy',
    date: new Date(options.nowMs),
    format: 'armored',
    config: OPENPGP_SETTINGS,
  })
  const made = await parseCertificate(publicKey, options.nowMs)
  if (made.kind === 'refused') throw new Error(`the new key is not usable: ${made.reason}`)
  return { certificate: made.certificate, armored: new Secret(privateKey) }
}

/** Reads and unlocks one armored secret key; the passphrase is not needed again. */
export async function readSecretKey(
  armored: string,
  options: { readonly nowMs: number; readonly passphrase?: Secret<string> | undefined },
): Promise<SecretKeyResult> {
  if (armored.length > MAX_CERTIFICATE_BYTES) return { kind: 'refused', reason: 'too-large' }
  const reading = openpgp.readPrivateKeys({ armoredKeys: armored, config: OPENPGP_SETTINGS })
  const keys = await reading.catch((): openpgp.PrivateKey[] => [])
  if (keys.length > 1) return { kind: 'refused', reason: 'several-certificates' }
  const locked = keys[0]
  if (locked === undefined) return { kind: 'refused', reason: 'not-a-key' }
  const passphrase = options.passphrase?.reveal() ?? ''
  const unlock = () => openpgp.decryptKey({ privateKey: locked, passphrase }).catch(() => undefined)
  const key = locked.isDecrypted() ? locked : await unlock()
  if (key === undefined) return { kind: 'locked' }
  const read = await parseCertificate(key.toPublic().write(), options.nowMs)
  if (read.kind === 'refused') return read
  const unlocked = new Secret(key.armor(FULL_SETTINGS))
  return { kind: 'ok', secretKey: { certificate: read.certificate, armored: unlocked } }
}
