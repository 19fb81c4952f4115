import { createHash, type X509Certificate } from 'node:crypto'
import type { PeerCertificate } from './byte-channel.ts'

/** Characters of one line of a description: names come from the peer and end in notices. */
const MAX_DESCRIPTION_LINE_CHARACTERS = 300

/** SHA-256 of a DER certificate, 64 lower-case hex digits. */
export function certificateSha256(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex')
}

/**
 * Certificate text for people, as CM wire 8.4 keeps it: subject, issuer, validity, serial number, key, digest; one
 * line each. Everything outside printable ASCII becomes `?`, since the names are the peer's words.
 */
export function describeCertificate(certificate: X509Certificate): string {
  return [
    `Subject: ${oneLine(certificate.subject)}`,
    `Issuer: ${oneLine(certificate.issuer)}`,
    `Valid: ${certificate.validFrom} to ${certificate.validTo}`,
    `Serial: ${oneLine(certificate.serialNumber)}`,
    `Key: ${describeKey(certificate)}`,
    `SHA-256: ${certificate.fingerprint256}`,
  ]
    .map((line) => line.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_DESCRIPTION_LINE_CHARACTERS))
    .join('\n')
}

/** What a TLS end showed; `isTrustedFor` is asked only of a certificate that the authorities vouch for. */
export function peerCertificate(
  certificate: X509Certificate,
  publiclyTrusted: boolean,
  isTrustedFor: (host: string) => boolean = () => false,
): PeerCertificate {
  return {
    sha1: createHash('sha1').update(certificate.raw).digest('hex'),
    sha256: certificateSha256(certificate.raw),
    description: describeCertificate(certificate),
    publiclyTrusted,
    isTrustedFor,
  }
}

function oneLine(name: string | undefined): string {
  return (name ?? '(none)').replaceAll('\n', ', ')
}

function describeKey(certificate: X509Certificate): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  const bits = asymmetricKeyDetails?.modulusLength
  const curve = asymmetricKeyDetails?.namedCurve
  return [asymmetricKeyType ?? 'unknown', bits === undefined ? curve : `${bits} bits`]
    .filter(Boolean)
    .join(' ')
}
