import { isHostPort } from '../bridge/config.ts'
import { checkPorts } from './check-ports.ts'
import { exitCode, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, settingsOf } from './context.ts'
import { createLog } from './log.ts'
import { parseHostPort } from './serve-addresses.ts'
import { startCmServer } from './start-cm-server.ts'

export interface CmServerFlags extends CommonFlags {
  readonly listen?: string
  readonly auth?: string
}

/** Milliseconds for an orderly end. */
const SHUTDOWN_MS = 10_000

/** Runs the CM server alone until SIGTERM or SIGINT. Throws CliError when it cannot start. */
export async function runCmServer(context: CliContext, flags: CmServerFlags): Promise<void> {
  const config = settingsOf(context, flags)
  const listen = flags.listen ?? config.cmServer.listen
  if (!isHostPort(listen)) throw misuse(`--listen ${listen}: give HOST:PORT, such as 127.0.0.1:8081`)
  const authFile = flags.auth ?? config.cmServer.authFile
  const log = createLog(config.log, (text) => process.stderr.write(text))
  const address = parseHostPort(listen)
  await checkPorts({ smtp: [], imap: [], cmServer: [address] })
  await using stack = new AsyncDisposableStack()
  const opened = await startCmServer(
    {
      directory: dataDirectory(context, flags),
      address,
      authFile: authFile === '' ? undefined : authFile,
      log,
      onStored: () => undefined,
    },
    context,
    stack,
  )
  const event = { event: 'ready', pid: process.pid, cmServer: [opened] }
  context.print(
    `${flags.json === true ? JSON.stringify(event) : `ready: CM server ${opened.host}:${opened.port}`}\n`,
  )
  await context.askedToEnd
  context.clock.after(SHUTDOWN_MS, () => process.exit(exitCode.failure))
}
