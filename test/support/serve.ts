import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { ServeAddress } from '../../src/cli/serve-addresses.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** The line `serve --json` and `cm-server --json` print when they listen. */
export interface ReadyEvent {
  readonly event: 'ready'
  readonly pid: number
  readonly smtp: readonly ServeAddress[]
  readonly imap: readonly ServeAddress[]
  readonly cmServer: readonly ServeAddress[]
  readonly authorityFile: string
}

export interface Served {
  readonly ready: ReadyEvent
  /** What it wrote to standard error so far. */
  readonly log: () => string
  /** Sends the signal and resolves with the exit code, null for a process that a signal ended. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Resolves with the exit code when it ends by itself. */
  ended(): Promise<number | null>
}

/** Settings for tests: any free port. */
export const ANY_PORTS = ['smtp', 'imap'].flatMap((protocol) => [
  '--set',
  `${protocol}.port=0`,
  '--set',
  `${protocol}.tlsPort=0`,
  // Tests ask nobody beyond this machine.
  '--set',
  'lookup.dns=false',
])

/** Starts a verb that stays up, as a service unit would, and resolves when it is ready; it is killed with the test. */
export function startServe(args: readonly string[]): Promise<Served> {
  return spawnServe(args, (child) => {
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
  })
}

/** The same without a test that ends it: the caller does. */
export async function spawnServe(
  args: readonly string[],
  onSpawned: (child: ChildProcess) => void = () => undefined,
): Promise<Served> {
  const child = spawn(process.execPath, [MAIN, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    },
  })
  onSpawned(child)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const ready = await firstLine(child, () => log)
  return {
    ready: JSON.parse(ready) as ReadyEvent,
    log: () => log,
    async end(signal) {
      const ended = once(child, 'exit') as Promise<[number | null]>
      child.kill(signal)
      return (await ended)[0]
    },
    ended: async () => ((await once(child, 'exit')) as [number | null])[0],
  }
}

async function firstLine(child: ChildProcess, log: () => string): Promise<string> {
  if (child.stdout === null) throw new Error('no output')
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`ended with ${code} before it was ready: ${log()}`)
  })
  ended.catch(() => undefined)
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string]
  return line
}
