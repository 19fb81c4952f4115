import { rmSync } from 'node:fs'
import type { Log } from '../bridge/log.ts'
import { listenUnix, type UnixConnection, type UnixListener } from '../net/unix-socket.ts'
import { CliError, exitCode } from './cli-error.ts'
import {
  CONTROL_IDLE_MS,
  type ControlAnswer,
  type ControlRequest,
  type ControlVerbs,
  controlSocketPath,
  MAX_CONTROL_LINE_BYTES,
} from './control-protocol.ts'

/**
 * Answers the verbs of other `cmbridge` processes while `serve` has the lock. The caller holds it, so a socket file
 * that is there is a leftover.
 */
export async function startControlServer(options: {
  readonly runDirectory: string
  readonly verbs: ControlVerbs
  readonly log: Log
}): Promise<UnixListener> {
  const path = controlSocketPath(options.runDirectory)
  rmSync(path, { force: true })
  return await listenUnix(path, { idleMs: CONTROL_IDLE_MS }, (connection) => serve(connection, options))
}

async function serve(
  connection: UnixConnection,
  { verbs, log }: { readonly verbs: ControlVerbs; readonly log: Log },
): Promise<void> {
  for await (const line of connection.lines(MAX_CONTROL_LINE_BYTES)) {
    const answer = await answerOf(line, verbs, log)
    await connection.write(`${JSON.stringify(answer)}\n`)
    return
  }
}

async function answerOf(line: string, verbs: ControlVerbs, log: Log): Promise<ControlAnswer> {
  const request = parseRequest(line)
  const verb = request === undefined || !Object.hasOwn(verbs, request.verb) ? undefined : verbs[request.verb]
  if (request === undefined || verb === undefined) {
    const message = 'the running bridge does not know this verb: restart it after an update'
    return { kind: 'failed', message, exitCode: exitCode.misuse }
  }
  try {
    return { kind: 'ok', result: await verb(request.args) }
  } catch (cause) {
    if (cause instanceof CliError) return { kind: 'failed', message: cause.message, exitCode: cause.exitCode }
    // Our own fault: logged once, here; the asking side learns only that it failed.
    log.error({ verb: request.verb, cause }, 'a verb failed')
    const message = 'internal error in the running bridge, see its log'
    return { kind: 'failed', message, exitCode: exitCode.failure }
  }
}

function parseRequest(line: string): ControlRequest | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed !== 'object' || parsed === null || !('verb' in parsed)) return undefined
    const { verb } = parsed
    return typeof verb === 'string' ? { verb, args: 'args' in parsed ? parsed.args : undefined } : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
