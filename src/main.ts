import { randomBytes } from 'node:crypto'
import { debuglog } from 'node:util'
import { askSecret } from './cli/ask-secret.ts'
import { exitCode } from './cli/cli-error.ts'
import type { CliContext } from './cli/context.ts'
import { runCommandLine } from './cli/program.ts'
import { systemClock } from './net/system-clock.ts'

/** The command line: parse, dispatch, and end with the verb's exit code. */

/** `NODE_DEBUG=cmbridge` shows where an error came from; everybody else gets one line. */
const debug = debuglog('cmbridge')

const context: CliContext = {
  environment: process.env,
  clock: systemClock,
  randomBytes,
  print: (text) => {
    process.stdout.write(text)
  },
  askSecret: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : undefined,
  askedToEnd: askedToEnd(),
}

function askOnTerminal(question: string): Promise<string> {
  return askSecret({ input: process.stdin, output: process.stderr }, question)
}

/** Milliseconds in which a second signal is the first one again: the terminal and the launcher both hand on Ctrl-C. */
const SAME_SIGNAL_MS = 1000

/** The first SIGTERM or SIGINT asks politely; a later one ends the process at once. */
function askedToEnd(): Promise<string> {
  return new Promise((resolve) => {
    let askedAt: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (askedAt !== undefined && Date.now() - askedAt > SAME_SIGNAL_MS) process.exit(exitCode.failure)
        askedAt ??= Date.now()
        resolve(signal)
      })
    }
  })
}

// Whatever we create is the owner's alone (keys, mail, sockets).
process.umask(0o077)

/** Timers of the clock keep nothing alive, so this does until the verb has ended. */
const KEEP_ALIVE_MS = 2_147_483_647

async function main(): Promise<void> {
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS)
  try {
    const outcome = await runCommandLine(process.argv.slice(2), context)
    if (outcome.message !== '') complain(outcome.message)
    process.exitCode = outcome.exitCode
  } catch (error) {
    debug('%o', error)
    complain(error instanceof Error ? error.message : String(error))
    process.exitCode = exitCode.failure
  } finally {
    clearInterval(alive)
  }
}

function complain(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`cmbridge: ${line}\n`)
}

await main()
