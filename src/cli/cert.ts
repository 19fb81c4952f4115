import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { isHostPort } from '../bridge/config.ts'
import type { RememberedCertificate } from '../cm/port.ts'
import { listServerCertificates, type ServerCertificate } from '../store/certificate-memory.ts'
import { directoryLayout } from '../store/database-file.ts'
import { openStoreForReading } from '../store/open-store.ts'
import type { CertAcceptArgs, CertAcceptResult } from './certificate-verbs.ts'
import { CliError, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult } from './context.ts'
import { runWritingVerb } from './writing-verb.ts'

/** `cmbridge cert list|accept`: certificates of the Confidant Mail servers, trusted on first use (design 9). */
export function registerCert(program: Command, context: CliContext): void {
  const cert = program
    .command('cert')
    .description('the certificates of your Confidant Mail servers, as first seen')
  cert
    .command('list')
    .description('list the remembered certificates, and changed ones that wait for your word')
    .action((_flags: unknown, command: Command) =>
      listCertificates(context, command.optsWithGlobals<CommonFlags>()),
    )
  cert
    .command('accept <host:port>')
    .description('log in again at a server whose certificate has changed; compare its SHA-256 before')
    .action((server: string, _flags: unknown, command: Command) =>
      acceptCertificate(context, command.optsWithGlobals<CommonFlags>(), server),
    )
}

function listCertificates(context: CliContext, flags: CommonFlags): void {
  const certificates = readCertificates(context, flags) ?? []
  printResult(context, flags, {
    json: certificates,
    lines: certificates.length === 0 ? ['no server was connected to yet'] : certificates.flatMap(linesOf),
  })
}

async function acceptCertificate(context: CliContext, flags: CommonFlags, server: string): Promise<void> {
  if (!isHostPort(server))
    throw misuse(`${JSON.stringify(server)} is no server: give HOST:PORT, like cm.example.org:8081`)
  if (readCertificates(context, flags) === undefined) {
    throw new CliError(`${dataDirectory(context, flags)} is not set up yet: run "cmbridge init"`)
  }
  const args: CertAcceptArgs = { server }
  const result = (await runWritingVerb(context, flags, { verb: 'cert accept', args })) as CertAcceptResult
  printResult(context, flags, {
    json: result,
    lines: [`accepted    ${server}`, ...detailsOf('certificate', result.certificate)],
  })
}

/** Read beside a running bridge or without one; undefined in a directory that is not yet one of ours. */
function readCertificates(context: CliContext, flags: CommonFlags): ServerCertificate[] | undefined {
  const directory = dataDirectory(context, flags)
  if (!existsSync(directoryLayout(directory).databasePath)) return undefined
  const read = openStoreForReading(directory)
  try {
    return listServerCertificates(read)
  } finally {
    read.close()
  }
}

function linesOf({ hostPort, remembered, changed }: ServerCertificate): string[] {
  return [
    `server      ${hostPort}`,
    ...detailsOf('remembered', remembered),
    ...(changed === null
      ? []
      : [
          ...detailsOf('changed', changed),
          `            no login there until "cmbridge cert accept ${hostPort}"; compare the SHA-256 before`,
        ]),
  ]
}

/** A description comes from the server: nothing in it may steer a terminal. */
function detailsOf(label: string, { sha256, description, firstSeenMs }: RememberedCertificate): string[] {
  const lines = description.split('\n').map((line) => `            ${line.replace(/\p{C}/gu, '?')}`)
  return [
    `${label.padEnd(12)}SHA-256 ${sha256}`,
    ...lines,
    `            first seen ${new Date(firstSeenMs).toISOString()}`,
  ]
}
