import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../bridge/log.ts'
import { AuthFileError, parseAuthFile } from '../cm/server/auth-file.ts'
import type { Notifier } from '../cm/server/notifier.ts'
import { NotifyFileError, parseNotifyFile } from '../cm/server/notify-file.ts'
import type { CmAccountEntry } from '../cm/server/port.ts'
import type { ServerTlsContext } from '../net/byte-channel.ts'
import { loadCmServerCertificate } from '../net/install-certificates.ts'
import { createServerTls } from '../net/server-tls.ts'
import { CliError, misuse } from './cli-error.ts'
import { followFile } from './follow-file.ts'

/** The files a CM server's owner edits; each is read again when it changes, so that nobody has to restart it. */
interface CmServerFiles {
  readonly directory: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * Takes over the account file, now and after each change. `given` is the setting; empty: `auth.txt` in the directory,
 * which need not be there. Throws CliError for a file that is missing or wrong; later a wrong one changes nothing.
 */
export async function followAuthFile(
  { directory, clock, log }: CmServerFiles,
  given: string,
  importFile: (entries: readonly CmAccountEntry[]) => Promise<void>,
): Promise<() => Promise<void>> {
  const path = given === '' ? join(directory, 'auth.txt') : given
  let isStart = true
  return named(path, AuthFileError, async () => {
    const end = await followFile({
      path,
      clock,
      onChange: async (text) => {
        if (text === undefined && isStart && given !== '') throw misuse(`${path}: no such account file`)
        if (text === undefined) return
        await importFile(parseAuthFile(text))
        if (!isStart) log.info({}, 'the account file was read again')
      },
      onError: (cause) =>
        log.error(
          { path, ...reasonOf(cause, AuthFileError) },
          'the account file cannot be read; the accounts stay as they are',
        ),
    })
    isStart = false
    return end
  })
}

/** The same for the notification file; empty: `notify.txt` in the directory. A file that goes away ends notifying. */
export async function followNotifyFile(
  { directory, clock, log }: CmServerFiles,
  given: string,
  notifier: Notifier,
): Promise<() => Promise<void>> {
  const path = given === '' ? join(directory, 'notify.txt') : given
  let isStart = true
  return named(path, NotifyFileError, () =>
    followFile({
      path,
      clock,
      onChange: async (text) => {
        if (text === undefined && given !== '') log.warn({}, 'the notification file is not there')
        notifier.use(text === undefined ? undefined : parseNotifyFile(text))
        if (!isStart) log.info({}, 'the notification file was read again')
        isStart = false
      },
      onError: (cause) =>
        log.error(
          { path, ...reasonOf(cause, NotifyFileError) },
          'the notification file cannot be read; people are notified as before',
        ),
    }),
  )
}

/** A typing error is the owner's, and where it is is said; anything else comes with its stack. */
function reasonOf(
  cause: unknown,
  Expected: typeof AuthFileError | typeof NotifyFileError,
): { readonly why: string } | { readonly cause: unknown } {
  return cause instanceof Expected ? { why: cause.message } : { cause }
}

/**
 * The certificate of the directory: `cm-server.pem` (a chain, own certificate first) and `cm-server.key`, RSA or ECDSA,
 * made at the first start. A replaced pair is used as soon as both files are there and fit each other, whichever came
 * last. Throws CliError.
 */
export async function followCertificate(
  { directory, clock, log }: CmServerFiles,
  names: readonly string[],
): Promise<{ readonly tls: () => ServerTlsContext; readonly end: () => Promise<void> }> {
  const load = async (): Promise<ServerTlsContext> =>
    createServerTls(await loadCmServerCertificate(directory, { names, nowMs: clock.now() }))
  let current: ServerTlsContext
  try {
    current = await load()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CliError(`${join(directory, 'cm-server.pem')} and cm-server.key cannot be used: ${why}`)
  }
  const paths = ['cm-server.pem', 'cm-server.key'].map((name) => join(directory, name))
  let isStart = true
  const follow = (path: string): Promise<() => Promise<void>> =>
    followFile({
      path,
      clock,
      onChange: async () => {
        // Never made anew over what the owner is just putting there.
        if (!isStart && paths.every((each) => existsSync(each))) current = await load()
      },
      onError: (cause) => log.error({ cause }, 'the new certificate cannot be used; the old one stays'),
    })
  const ends = await Promise.all(paths.map(follow))
  isStart = false
  const end = async (): Promise<void> => {
    for (const each of ends) await each()
  }
  return { tls: () => current, end }
}

/** Runs `follow`; what is wrong in the file becomes a line for the owner. */
async function named(
  path: string,
  wrong: typeof AuthFileError | typeof NotifyFileError,
  follow: () => Promise<() => Promise<void>>,
): Promise<() => Promise<void>> {
  try {
    return await follow()
  } catch (error) {
    if (error instanceof wrong) throw misuse(`${path}: ${error.message}`)
    throw error
  }
}
