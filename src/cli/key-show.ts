import type { Command } from 'commander'
import { type KeyReport, readKeyReport } from '../bridge/key-report.ts'
import { CERTIFICATE_WARNINGS, type Certificate } from '../cm/certificate.ts'
import type { SubkeyState } from '../cm/openpgp/subkey-states.ts'
import { withAccount } from './account-show.ts'
import { CliError } from './cli-error.ts'
import { type CliContext, type CommonFlags, printResult } from './context.ts'

/** `cmbridge key show` */
export function registerKeyShow(key: Command, context: CliContext): void {
  key
    .command('show <account>')
    .description('the fingerprint to compare, the subkeys, and when others were last told')
    .action((account: string, _flags: unknown, command: Command) =>
      showKey(context, command.optsWithGlobals<CommonFlags>(), account),
    )
}

/** Hex digits as people compare them. */
export function groupsOfFour(hex: string): string {
  return (hex.match(/.{1,4}/g) ?? []).join(' ').toUpperCase()
}

async function showKey(context: CliContext, flags: CommonFlags, name: string): Promise<void> {
  const nowMs = context.clock.now()
  const { address, read } = await withAccount(context, flags, name, async (connection, account) => ({
    address: account.address,
    read: await readKeyReport(connection, account.id, nowMs),
  }))
  if (read.kind === 'unreadable') throw new CliError(`the key of ${address} cannot be used: ${read.reason}`)
  const { certificate, subkeys, storedMs, announcedMs } = read.report
  const { armored: _armor, ...shown } = certificate
  const warnings = warningsOf(read.report, nowMs)
  printResult(context, flags, {
    json: { address, ...shown, subkeys, storedMs, announcedMs, warnings },
    lines: [
      `account    ${address}`,
      `key        ${groupsOfFour(certificate.keyId)}`,
      `           ${certificate.keyId}`,
      ...certificate.userIds.map((id) => `name       ${id.text}${id.revoked ? '   (revoked)' : ''}`),
      `made       ${dayOf(certificate.createdMs)}, ${certificate.algorithm}, ${endOf(certificate)}`,
      ...subkeys.map(lineOf),
      ...(subkeys.length === 0 ? ['encrypts   with the key itself: it has no subkey'] : []),
      `announced  ${announcedMs === null ? 'never' : new Date(announcedMs).toISOString()}`,
      ...warnings.map((warning) => `warning    ${warning}`),
    ],
  })
}

function endOf({ revoked, expiresMs }: Certificate): string {
  if (revoked) return 'revoked'
  return expiresMs === undefined ? 'without end' : `until ${dayOf(expiresMs)}`
}

function lineOf({ fingerprint, algorithm, createdMs, state, endMs, hasSecret }: SubkeyState): string {
  const end = endMs === undefined ? '' : ` ${state === 'revoked' ? '' : 'until '}${dayOf(endMs)}`
  const secret = hasSecret ? '' : ', its secret is not here'
  return `subkey     ${groupsOfFour(fingerprint)}  ${state}${end}, made ${dayOf(createdMs)}, ${algorithm}${secret}`
}

function warningsOf({ certificate, storedMs, announcedMs }: KeyReport, nowMs: number): string[] {
  const { canEncrypt, canSign, expiresMs, warnings } = certificate
  const isUntold = announcedMs !== null && announcedMs < storedMs
  return [
    ...warnings.map((warning) => CERTIFICATE_WARNINGS[warning]),
    ...(canSign.kind === 'no'
      ? [`the key cannot sign (${canSign.reason}): renew it with gpg, then "cmbridge key import"`]
      : []),
    ...(canEncrypt.kind === 'no'
      ? [`nobody can encrypt to it (${canEncrypt.reason}): "cmbridge key rotate"`]
      : []),
    ...(expiresMs !== undefined && expiresMs > nowMs && expiresMs - nowMs < SOON_MS
      ? [`it ends on ${dayOf(expiresMs)}: renew it with gpg, then "cmbridge key import"`]
      : []),
    ...(isUntold ? ['its last change is not announced yet'] : []),
  ]
}

/** Time enough for others, who look weekly, to have the renewed key before the old one ends. */
const SOON_MS = 30 * 86_400_000

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
