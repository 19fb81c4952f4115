import { checkPorts } from './check-ports.ts'
import { CliError, exitCode } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, settingsOf } from './context.ts'
import { createLog } from './log.ts'
import { parseHostPort } from './serve-addresses.ts'
import { startCmServer } from './start-cm-server.ts'

/** Milliseconds for an orderly end. */
const SHUTDOWN_MS = 10_000

/** Runs the CM server alone until SIGTERM, SIGINT or its administrator's SHUTDOWN. Throws CliError when it cannot start. */
export async function runCmServer(context: CliContext, flags: CommonFlags): Promise<void> {
  const config = settingsOf(context, flags)
  const log = createLog(config.log, (text) => process.stderr.write(text))
  const address = parseHostPort(config.cmServer.listen)
  await checkPorts({ smtp: [], imap: [], cmServer: [address] })
  const ended = Promise.withResolvers<Error | undefined>()
  await using stack = new AsyncDisposableStack()
  const { address: opened } = await startCmServer(
    {
      directory: dataDirectory(context, flags),
      address,
      config,
      log,
      onStored: () => undefined,
      onShutdown: () => ended.resolve(undefined),
      onFailure: ended.resolve,
    },
    context,
    stack,
  )
  const event = { event: 'ready', pid: process.pid, cmServer: [opened] }
  context.print(
    `${flags.json === true ? JSON.stringify(event) : `ready: CM server ${opened.host}:${opened.port}`}\n`,
  )
  const reason = await Promise.race([context.askedToEnd, ended.promise])
  context.clock.after(SHUTDOWN_MS, () => process.exit(exitCode.failure))
  if (reason instanceof Error) throw new CliError(`the CM server had to end: ${reason.message}`)
}
