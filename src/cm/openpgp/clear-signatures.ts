import * as openpgp from 'openpgp'
import { blockLines } from '../block-text.ts'
import type { Certificate } from '../certificate.ts'
import type { ClearSigned } from '../clear-signed.ts'
import { encodeClearSigned, hashName, signedText } from '../clear-signed.ts'
import type { SecretKey } from '../secret-key.ts'
import type { ClearSignatureVerdict } from '../signature-verdict.ts'
import {
  FULL_SETTINGS,
  fingerprintOf,
  OPENPGP_SETTINGS,
  readCertificateText,
  readOneSignature,
  readOwnKey,
} from './settings.ts'

/**
 * Verifies a clear-signature with the keys given. The signing key must be usable at `nowMs`; when the signature says
 * it was made does not matter, as for gpg (vectors: alice-ages, signature-time-differs).
 */
export async function verifyClearSigned(
  signed: ClearSigned,
  certificates: readonly Certificate[],
  nowMs: number,
): Promise<ClearSignatureVerdict> {
  const signature = await readOneSignature(signed.signature)
  const packet = signature?.packets[0]
  const issuer = signature?.getSigningKeyIDs()[0]
  if (signature === undefined || issuer === undefined) return { kind: 'bad' }
  if (packet?.signatureType !== openpgp.enums.signature.text) return { kind: 'bad' }
  const keys = await Promise.all(certificates.map((certificate) => readCertificateText(certificate.armored)))
  const signer = keys.find((key) => key.getKeys(issuer).length > 0)
  if (signer === undefined) return { kind: 'unknown-key' }
  try {
    const asOfMs = Math.max(nowMs, Number(signer.getCreationTime()))
    await signer.getSigningKey(issuer, new Date(asOfMs), undefined, FULL_SETTINGS)
    const { signatures } = await openpgp.verify({
      message: await openpgp.createMessage({ text: signedText(signed.lines) }),
      signature,
      verificationKeys: [signer],
      date: null,
      config: { ...OPENPGP_SETTINGS, allowInsecureVerificationWithReformattedKeys: true },
    })
    await signatures[0]?.verified
  } catch {
    // Expired, revoked or wrong: all of them are the sender's, and told apart by wording only.
    return { kind: 'bad' }
  }
  return { kind: 'good', keyId: fingerprintOf(signer), createdMs: Number(packet.created) }
}

/** Clear-signs a text whose last line ends with LF, byte for byte in gpg's form (CM wire 3.1). */
export async function clearsign(text: string, secretKey: SecretKey, dateMs: number): Promise<string> {
  const lines = blockLines(text)
  const signed: unknown = await openpgp.sign({
    message: await openpgp.createMessage({ text: signedText(lines) }),
    signingKeys: await readOwnKey(secretKey),
    detached: true,
    format: 'object',
    date: new Date(dateMs),
    config: OPENPGP_SETTINGS,
  })
  if (!(signed instanceof openpgp.Signature)) throw new TypeError('a detached signature was expected')
  const hash = hashName(signed.packets[0]?.hashAlgorithm)
  return encodeClearSigned(lines, hash, signed.armor(FULL_SETTINGS))
}
