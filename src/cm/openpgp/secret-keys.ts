import * as openpgp from 'openpgp'
import { Secret } from '../../base/secret.ts'
import { userIdName } from '../address.ts'
import { type CertificateRefusal, MAX_CERTIFICATE_BYTES } from '../certificate.ts'
import type { SecretKey, SecretKeyResult } from '../secret-key.ts'
import { parseCertificate } from './certificates.ts'
import { FULL_SETTINGS, OPENPGP_SETTINGS, readOwnKey, succeeds } from './settings.ts'

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

/** Reads and unlocks one armored secret key; the passphrase is not needed again, and every part is unlocked or a stub. */
export async function readSecretKey(
  armored: string,
  options: { readonly nowMs: number; readonly passphrase?: Secret<string> | undefined },
): Promise<SecretKeyResult> {
  const found = await readOneSecretKey(armored)
  if (found.kind === 'refused') return found
  const { key } = found
  for (const packet of lockedParts(key)) {
    const isOpened = await succeeds(packet.decrypt(options.passphrase?.reveal() ?? ''))
    if (!isOpened) return { kind: 'locked' }
  }
  const read = await parseCertificate(key.toPublic().write(), options.nowMs)
  if (read.kind === 'refused') return read
  const unlocked = new Secret(key.armor(FULL_SETTINGS))
  return { kind: 'ok', secretKey: { certificate: read.certificate, armored: unlocked } }
}

/** True when a passphrase is needed for the key; false also for what is no secret key. */
export async function isLockedSecretKey(armored: string): Promise<boolean> {
  const found = await readOneSecretKey(armored)
  return found.kind === 'key' && lockedParts(found.key).length > 0
}

type OneSecretKey =
  | { readonly kind: 'key'; readonly key: openpgp.PrivateKey }
  | { readonly kind: 'refused'; readonly reason: CertificateRefusal }

async function readOneSecretKey(armored: string): Promise<OneSecretKey> {
  if (armored.length > MAX_CERTIFICATE_BYTES) return { kind: 'refused', reason: 'too-large' }
  const reading = openpgp.readPrivateKeys({ armoredKeys: armored, config: OPENPGP_SETTINGS })
  const keys = await reading.catch((): openpgp.PrivateKey[] => [])
  if (keys.length > 1) return { kind: 'refused', reason: 'several-certificates' }
  return keys[0] === undefined ? { kind: 'refused', reason: 'not-a-key' } : { kind: 'key', key: keys[0] }
}

type SecretPacket = openpgp.SecretKeyPacket | openpgp.SecretSubkeyPacket

function secretParts(key: openpgp.PrivateKey): SecretPacket[] {
  return key
    .getKeys()
    .map(({ keyPacket }) => keyPacket)
    .filter((packet) => packet instanceof openpgp.SecretKeyPacket)
}

/** Parts under a passphrase; GnuPG's stubs, whose secret is elsewhere, are none. */
function lockedParts(key: openpgp.PrivateKey): SecretPacket[] {
  return secretParts(key).filter((packet) => !packet.isDummy() && !packet.isDecrypted())
}

/** What a secret key cannot do although its certificate says so: GnuPG can export a key without some of its secrets. */
export interface MissingSecrets {
  readonly sign: boolean
  readonly decrypt: boolean
  /** The secret does not belong to the public half beside it: damaged, or made to leak the key. */
  readonly isWrong: boolean
}

/** Looks whether the secrets that are needed today are there and are the right ones. */
export async function missingSecrets(secretKey: SecretKey, nowMs: number): Promise<MissingSecrets> {
  const key = await readOwnKey(secretKey)
  const date = new Date(nowMs)
  const isMissing = async (finding: Promise<openpgp.Key | openpgp.Subkey>): Promise<boolean> => {
    const found = await finding.catch(() => undefined)
    return !(found?.keyPacket instanceof openpgp.SecretKeyPacket) || found.keyPacket.isDummy()
  }
  const checks = secretParts(key).map((packet) => succeeds(packet.validate()))
  return {
    sign: await isMissing(key.getSigningKey(undefined, date, undefined, FULL_SETTINGS)),
    decrypt: await isMissing(key.getEncryptionKey(undefined, date, undefined, FULL_SETTINGS)),
    isWrong: (await Promise.all(checks)).includes(false),
  }
}

/** The key as GnuPG imports it, under a passphrase if one is given. */
export async function exportSecretKey(
  secretKey: SecretKey,
  passphrase: Secret<string> | undefined,
): Promise<Secret<string>> {
  if (passphrase === undefined) return secretKey.armored
  const privateKey = await readOwnKey(secretKey)
  const locked = await openpgp.encryptKey({
    privateKey,
    passphrase: passphrase.reveal(),
    config: OPENPGP_SETTINGS,
  })
  return new Secret(locked.armor(FULL_SETTINGS))
}
