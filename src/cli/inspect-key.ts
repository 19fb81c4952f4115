import type { Command } from 'commander'
import { addressLookupKeys, claimAddress } from '../cm/address.ts'
import {
  CERTIFICATE_REFUSALS,
  CERTIFICATE_WARNINGS,
  type Certificate,
  certificateAddresses,
  MAX_CERTIFICATE_BYTES,
  type Usability,
} from '../cm/certificate.ts'
import { mailboxHash } from '../cm/ids.ts'
import { parseCertificate } from '../cm/openpgp/certificates.ts'
import { formatUtcTime } from '../cm/utc-time.ts'
import type { CliContext } from './context.ts'
import { finishInspect, type InspectResult, nowOption, readInput } from './inspect-result.ts'

interface InspectKeyFlags {
  readonly now?: string
  readonly mailboxes: string
}

/** The stock client's mailboxes (CM wire 1.1). */
const DEFAULT_MAILBOXES = '0,1,2,3'

function use(usability: Usability): { readonly usable: boolean; readonly reason: string | null } {
  return { usable: usability.kind === 'yes', reason: usability.kind === 'yes' ? null : usability.reason }
}

function describe(certificate: Certificate, mailboxes: string): object {
  const addresses = certificateAddresses(certificate)
  return {
    accepted: true,
    reason: null,
    fingerprint: certificate.keyId.toUpperCase(),
    keyId: certificate.keyId,
    userIds: certificate.userIds.map(({ text, address, revoked }) => ({
      text,
      address: address ?? null,
      revoked,
    })),
    primaryUserId: certificate.primaryUserId ?? null,
    addresses,
    addressHashes: Object.fromEntries(
      addresses.map((address) => [claimAddress(address), addressLookupKeys(address)[0]]),
    ),
    mailboxHashes: Object.fromEntries(
      mailboxes.split(',').map((prefix) => [prefix, mailboxHash(prefix, certificate.keyId)]),
    ),
    algorithm: certificate.algorithm,
    created: formatUtcTime(certificate.createdMs),
    expires: certificate.expiresMs === undefined ? null : formatUtcTime(certificate.expiresMs),
    revoked: certificate.revoked,
    encrypt: use(certificate.canEncrypt),
    sign: use(certificate.canSign),
    warnings: certificate.warnings.map((warning) => CERTIFICATE_WARNINGS[warning]),
  }
}

/** `cmbridge inspect key FILE`: what we see in a public key, by the rules that announcements are held to (design 9). */
export async function inspectKey(
  file: string,
  flags: InspectKeyFlags,
  context: Pick<CliContext, 'clock'>,
): Promise<InspectResult> {
  const nowMs = nowOption(flags.now, context)
  const read = await parseCertificate(await readInput(file, MAX_CERTIFICATE_BYTES), nowMs)
  if (read.kind === 'refused') {
    const json = { accepted: false, reason: read.reason, detail: CERTIFICATE_REFUSALS[read.reason] }
    return { exitCode: 1, json }
  }
  return { exitCode: 0, json: describe(read.certificate, flags.mailboxes) }
}

/** Adds the verb to the `inspect` group. */
export function registerInspectKey(inspect: Command, context: CliContext): void {
  inspect
    .command('key <file>')
    .description('what a public key is, whose, and what it may be used for')
    .option('--now <date>', 'judge it as of this time')
    .option('--mailboxes <list>', 'prefixes to hash', DEFAULT_MAILBOXES)
    .action(async (file: string, flags: InspectKeyFlags) =>
      finishInspect(context, {
        ...(await inspectKey(file, flags, context)),
        reason: 'this key is not taken',
      }),
    )
}
