import { encryptionSubkeys } from './encryption-subkeys.ts'
import { FULL_SETTINGS, readCertificateText } from './settings.ts'

/**
 * The certificate as it is announced, armored: user ids and subkeys with their signatures, no photo ids or other
 * attributes, and of the encryption subkeys that were revoked only those of the last rotation, so that whoever still
 * uses one learns of it (CM message 10.5). `armored` is one of our own keys, public or secret.
 */
export async function announcedCertificate(armored: string): Promise<string> {
  const key = (await readCertificateText(armored)).toPublic()
  const revoked = (await encryptionSubkeys(key)).filter(({ revokedMs }) => revokedMs !== undefined)
  const lastRotationMs = Math.max(...revoked.map(({ revokedMs }) => revokedMs ?? 0))
  const forgotten = new Set(
    revoked.filter(({ revokedMs }) => revokedMs !== lastRotationMs).map(({ subkey }) => subkey),
  )
  key.users = key.users.filter(({ userID }) => userID !== null)
  key.subkeys = key.subkeys.filter((subkey) => !forgotten.has(subkey))
  return key.armor(FULL_SETTINGS)
}
