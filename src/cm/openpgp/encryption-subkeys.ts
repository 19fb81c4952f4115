import * as openpgp from 'openpgp'
import { FULL_SETTINGS, succeeds } from './settings.ts'

/** A subkey that is for encryption by its flags and algorithm, whatever its state. */
export interface EncryptionSubkey {
  readonly subkey: openpgp.Subkey
  readonly createdMs: number
  /** Undefined when it is not revoked; else when it was, by the earliest valid revocation. */
  readonly revokedMs: number | undefined
  /** Undefined: never. */
  readonly expiresMs: number | undefined
}

const ENCRYPTION_FLAGS = openpgp.enums.keyFlags.encryptCommunication | openpgp.enums.keyFlags.encryptStorage
/** Algorithms that encrypt; for a subkey without flags they decide. */
const ENCRYPTION_ALGORITHMS: ReadonlySet<openpgp.enums.publicKey> = new Set([
  openpgp.enums.publicKey.rsaEncryptSign,
  openpgp.enums.publicKey.rsaEncrypt,
  openpgp.enums.publicKey.elgamal,
  openpgp.enums.publicKey.ecdh,
  openpgp.enums.publicKey.x25519,
  openpgp.enums.publicKey.x448,
])

/** The key's encryption-capable subkeys with a valid binding, in the order they stand; of no one else's key. */
export async function encryptionSubkeys(key: openpgp.Key): Promise<readonly EncryptionSubkey[]> {
  const found: EncryptionSubkey[] = []
  for (const subkey of key.subkeys) {
    const binding = await newestBinding(key, subkey)
    if (binding === undefined || !isForEncryption(subkey, binding)) continue
    const createdMs = subkey.getCreationTime().getTime()
    const { keyNeverExpires, keyExpirationTime } = binding
    const expiresMs =
      keyNeverExpires === false && keyExpirationTime !== null
        ? createdMs + keyExpirationTime * 1000
        : undefined
    found.push({ subkey, createdMs, expiresMs, revokedMs: await revokedSince(key, subkey) })
  }
  return found
}

/** True when the key itself says that the subkey is one of its own. */
export async function hasValidBinding(key: openpgp.Key, subkey: openpgp.Subkey): Promise<boolean> {
  return (await newestBinding(key, subkey)) !== undefined
}

function isForEncryption(subkey: openpgp.Subkey, binding: openpgp.SignaturePacket): boolean {
  if (!ENCRYPTION_ALGORITHMS.has(subkey.keyPacket.algorithm)) return false
  const flags = binding.keyFlags?.[0]
  return flags === undefined || (flags & ENCRYPTION_FLAGS) !== 0
}

/** The newest binding that verifies, whenever it was made: an old subkey is still ours. */
async function newestBinding(
  key: openpgp.Key,
  subkey: openpgp.Subkey,
): Promise<openpgp.SignaturePacket | undefined> {
  const newestFirst = subkey.bindingSignatures.toSorted((a, b) => Number(b.created) - Number(a.created))
  for (const signature of newestFirst) {
    if (await isValid(key, subkey, signature)) return signature
  }
  return undefined
}

async function revokedSince(key: openpgp.Key, subkey: openpgp.Subkey): Promise<number | undefined> {
  let since: number | undefined
  for (const signature of subkey.revocationSignatures) {
    if (!(await isValid(key, subkey, signature))) continue
    const revokedMs = Number(signature.created)
    if (since === undefined || revokedMs < since) since = revokedMs
  }
  return since
}

async function isValid(
  key: openpgp.Key,
  subkey: openpgp.Subkey,
  signature: openpgp.SignaturePacket,
): Promise<boolean> {
  const { signatureType, created } = signature
  if (signatureType === null || created === null) return false
  const signed = { key: key.keyPacket, bind: subkey.keyPacket }
  // As of its own time: whether it has ended since does not matter for what the subkey is.
  return await succeeds(signature.verify(key.keyPacket, signatureType, signed, created, false, FULL_SETTINGS))
}
