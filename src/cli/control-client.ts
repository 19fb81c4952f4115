import { connectUnix } from '../net/unix-socket.ts'
import { CliError } from './cli-error.ts'
import {
  CONTROL_IDLE_MS,
  type ControlAnswer,
  type ControlRequest,
  controlSocketPath,
  MAX_CONTROL_LINE_BYTES,
} from './control-protocol.ts'

/**
 * Has the running bridge run a verb. Returns `nobody` when nobody listens there; throws CliError with what the verb
 * has to say when it failed.
 */
export async function askRunningBridge(
  runDirectory: string,
  request: ControlRequest,
): Promise<{ readonly kind: 'ok'; readonly result: unknown } | { readonly kind: 'nobody' }> {
  const connection = await connectUnix(controlSocketPath(runDirectory), { idleMs: CONTROL_IDLE_MS })
  if (connection === undefined) return { kind: 'nobody' }
  try {
    await connection.write(`${JSON.stringify(request)}\n`)
    for await (const line of connection.lines(MAX_CONTROL_LINE_BYTES)) {
      const answer = JSON.parse(line) as ControlAnswer
      if (answer.kind === 'failed') throw new CliError(answer.message, answer.exitCode)
      return { kind: 'ok', result: answer.result }
    }
  } finally {
    connection.destroy()
  }
  throw new CliError('the running bridge ended before it answered: look at its log, then ask again')
}
