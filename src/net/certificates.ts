import 'reflect-metadata'
import { createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { duration } from '../base/clock.ts'
import {
  canonicalName,
  decodeNameConstraints,
  encodeNameConstraints,
  NAME_CONSTRAINTS_OID,
} from './name-constraints.ts'

/** A certificate with its key, both PEM. The key is secret: it goes to a 0600 file and to TLS, nowhere else. */
export interface CertifiedKey {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** Ten years: the owner imports the authority by hand into each mail program, once. */
const AUTHORITY_LIFETIME_MS = 3650 * duration.day
/** 397 days: the longest that every TLS stack takes from a leaf. */
const LEAF_LIFETIME_MS = 397 * duration.day
/** A leaf is renewed when less than this is left of it. */
const LEAF_RENEWAL_MS = 60 * duration.day
/** Ten years: clients of a CM server remember the certificate itself, so it should not change (CM wire 8.4). */
const CM_SERVER_LIFETIME_MS = 3650 * duration.day
/** Certificates start a day early, for mail programs whose clock is behind. */
const BACKDATE_MS = duration.day

const EC_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const RSA_ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
}
const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** A DNS name in lower case or an IP address that a certificate can carry; undefined for anything else. */
export function parseCertificateName(text: string): string | undefined {
  const name = text.trim().toLowerCase().replace(/\.$/, '')
  return isIP(name) > 0 || DNS_NAME.test(name) ? canonicalName(name) : undefined
}

/**
 * A certificate authority of this installation alone: critical name constraints for the DNS names and the IP
 * addresses given, so that it can vouch for nothing else, should its key be stolen. Throws without a DNS name or an
 * address: a constraint of one kind does not bind the other.
 * Source: design 6, RFC 5280 4.2.1.10.
 */
export async function createAuthority(options: {
  readonly names: readonly string[]
  /** Shown in the mail program's list of authorities, e.g. the machine's name. */
  readonly label: string
  readonly nowMs: number
}): Promise<CertifiedKey> {
  const keys = await generateKeys(EC_ALGORITHM)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: commonName(`Confidant Bridge authority (${options.label})`),
    keys,
    ...validity(options.nowMs, AUTHORITY_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      nameConstraintsExtension(options.names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return certifiedKey(certificate, keys.privateKey)
}

/**
 * A leaf for our listeners, signed by the authority. With `privateKeyPem` the same key is certified again (renewal).
 * The PEM holds leaf and authority, as a server shows them.
 */
export async function createLeaf(options: {
  readonly authority: CertifiedKey
  readonly names: readonly string[]
  readonly privateKeyPem?: string
  readonly nowMs: number
}): Promise<CertifiedKey> {
  const authority = new X509Certificate(options.authority.certificatePem)
  const keys =
    options.privateKeyPem === undefined
      ? await generateKeys(EC_ALGORITHM)
      : await importEcKeys(options.privateKeyPem)
  const { publicKey: authorityKey, privateKey: signingKey } = await importEcKeys(
    options.authority.privateKeyPem,
  )
  const certificate = await X509CertificateGenerator.create({
    subject: commonName('Confidant Bridge'),
    issuer: authority.subjectName,
    publicKey: keys.publicKey,
    signingKey,
    ...validity(options.nowMs, LEAF_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      alternativeNames(options.names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authorityKey),
    ],
  })
  const leaf = await certifiedKey(certificate, keys.privateKey)
  return { ...leaf, certificatePem: `${leaf.certificatePem}${options.authority.certificatePem}` }
}

/**
 * A self-signed RSA-2048 certificate for a CM server, the kind every reference client takes (CM wire 7.2); the host
 * names are only for people, since clients remember the certificate itself.
 */
export async function createCmServerCertificate(options: {
  readonly names: readonly string[]
  readonly nowMs: number
}): Promise<CertifiedKey> {
  const keys = await generateKeys(RSA_ALGORITHM)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: commonName(options.names[0] ?? 'Confidant Mail server'),
    keys,
    ...validity(options.nowMs, CM_SERVER_LIFETIME_MS),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      ...(options.names.length > 0 ? [alternativeNames(options.names)] : []),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return certifiedKey(certificate, keys.privateKey)
}

/** True when the leaf must be made again: it ends soon, its time lies ahead, or it lacks one of the names. */
export function leafNeedsRenewal(
  certificatePem: string,
  options: { readonly names: readonly string[]; readonly nowMs: number },
): boolean {
  const leaf = new X509Certificate(certificatePem)
  const has = new Set(namesOf(leaf))
  return (
    leaf.notAfter.getTime() - options.nowMs < LEAF_RENEWAL_MS ||
    leaf.notBefore.getTime() > options.nowMs ||
    options.names.some((name) => !has.has(canonicalName(name)))
  )
}

/**
 * The DNS names and IP addresses an authority may vouch for, canonical; none when it ends before a new leaf would, so
 * that it counts as one that must be replaced.
 */
export function authorityNames(certificatePem: string, nowMs: number): readonly string[] {
  const authority = new X509Certificate(certificatePem)
  const constraints = authority.extensions.find((extension) => extension.type === NAME_CONSTRAINTS_OID)
  if (constraints === undefined || authority.notAfter.getTime() - nowMs < LEAF_LIFETIME_MS) return []
  return decodeNameConstraints(new Uint8Array(constraints.value))
}

async function generateKeys(algorithm: EcKeyGenParams | RsaHashedKeyGenParams): Promise<CryptoKeyPair> {
  return (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair
}

async function importEcKeys(privateKeyPem: string): Promise<CryptoKeyPair> {
  const privateKey = createPrivateKey(privateKeyPem)
  const jwk = privateKey.export({ format: 'jwk' })
  const publicJwk = { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y } as JsonWebKey
  return {
    privateKey: await crypto.subtle.importKey('jwk', jwk as JsonWebKey, EC_ALGORITHM, true, ['sign']),
    publicKey: await crypto.subtle.importKey('jwk', publicJwk, EC_ALGORITHM, true, ['verify']),
  }
}

async function certifiedKey(certificate: X509Certificate, privateKey: CryptoKey): Promise<CertifiedKey> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', privateKey)
  return {
    certificatePem: `${certificate.toString('pem').trimEnd()}\n`,
    privateKeyPem: `${PemConverter.encode(pkcs8, 'PRIVATE KEY').trimEnd()}\n`,
  }
}

function validity(nowMs: number, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATE_MS), notAfter: new Date(nowMs - BACKDATE_MS + lifetimeMs) }
}

function commonName(text: string): { CN: string[] }[] {
  return [{ CN: [text] }]
}

function nameConstraintsExtension(names: readonly string[]): Extension {
  return new Extension(NAME_CONSTRAINTS_OID, true, encodeNameConstraints(names))
}

function alternativeNames(names: readonly string[]): Extension {
  return new SubjectAlternativeNameExtension(
    names.map((name) => ({ type: isIP(name) > 0 ? ('ip' as const) : ('dns' as const), value: name })),
  )
}

function namesOf(certificate: X509Certificate): string[] {
  const extension = certificate.getExtension(SubjectAlternativeNameExtension)
  return (extension?.names.items ?? []).map((item) => canonicalName(item.value))
}
