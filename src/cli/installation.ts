import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../bridge/config.ts'
import { type InstallCertificates, loadInstallCertificates } from '../net/install-certificates.ts'
import { acquireInstanceLock, type InstanceLock, type LockHolder } from '../store/instance-lock.ts'
import { CliError } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { heldMessage } from './held-message.ts'

/** The files of a data directory beside the store's own. */

export function certificateDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'tls')
}

/** What the owner imports into a mail program. */
export function authorityFile(dataDirectory: string): string {
  return join(certificateDirectory(dataDirectory), 'ca.pem')
}

/** Makes the data directory, for its owner alone. Throws CliError naming it when that is not possible. */
export function makeDataDirectory(dataDirectory: string): void {
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/, mkdir .*$/, '') : String(cause)
    throw new CliError(
      `the data directory ${dataDirectory} cannot be made (${why}): name another with --data`,
    )
  }
}

/** Makes the directory, for its owner alone, and takes its lock. Throws CliError naming who has it. */
export function lockInstallation(
  dataDirectory: string,
  holder: LockHolder,
): { readonly lock: InstanceLock; readonly abandoned: LockHolder | undefined } {
  makeDataDirectory(dataDirectory)
  const outcome = acquireInstanceLock(dataDirectory, holder)
  if (outcome.kind === 'held') throw new CliError(heldMessage(dataDirectory, outcome.holder))
  return outcome
}

/** The certificates for our listeners, made or renewed when needed. The caller holds the lock. */
export function openCertificates(
  { clock }: CliContext,
  dataDirectory: string,
  config: Config,
): Promise<InstallCertificates> {
  return loadInstallCertificates(certificateDirectory(dataDirectory), {
    hostName: hostname(),
    extraNames: config.tls.names,
    nowMs: clock.now(),
  })
}

const INSTANCE_ID_BYTES = 8

/** A random name of this data directory, made once: keeps its jobs apart on a shared Redis. The caller holds the lock. */
export function instanceId({ randomBytes }: CliContext, dataDirectory: string): string {
  const path = join(dataDirectory, 'instance-id')
  try {
    writeFileSync(path, Buffer.from(randomBytes(INSTANCE_ID_BYTES)).toString('hex'), { flag: 'wx' })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return readFileSync(path, 'utf8').trim()
}
