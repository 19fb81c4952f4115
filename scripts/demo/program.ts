import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** `cmbridge` as anybody starts it: by its command line. */

const CMBRIDGE = fileURLToPath(new URL('../../bin/cmbridge.mjs', import.meta.url))

/** Milliseconds: the longest a verb of the demo takes on a slow machine. */
const VERB_TIME_MS = 60_000

/** Runs a verb to its end; resolves with its JSON, throws with what it said when it failed. */
export async function runVerb<Result>(args: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, [CMBRIDGE, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: VERB_TIME_MS,
  })
  const output: Buffer[] = []
  const complaints: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => complaints.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0)
    throw new Error(`cmbridge ${args[0]} failed: ${Buffer.concat(complaints).toString().trim()}`)
  return JSON.parse(Buffer.concat(output).toString()) as Result
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
  readonly implicitTls: boolean
}

/** What `serve --json` says when it is ready. */
export interface ReadyEvent {
  readonly smtp: readonly ListenAddress[]
  readonly imap: readonly ListenAddress[]
  readonly cmServer: readonly ListenAddress[]
  readonly authorityFile: string
}

export interface RunningBridge {
  readonly ready: ReadyEvent
  /** Asks it to end and waits until it did. */
  stop(): Promise<void>
}

/** Starts `cmbridge serve`, or `cm-server`, which listens on `cmServer` only, and waits until it listens. */
export async function startBridge(
  args: readonly string[],
  verb: 'serve' | 'cm-server' = 'serve',
): Promise<RunningBridge> {
  const child = spawn(process.execPath, [CMBRIDGE, verb, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = await firstLine(child)
  return {
    ready: JSON.parse(ready) as ReadyEvent,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no output to read')
  const lines = createInterface({ input: child.stdout })
  const line = once(lines, 'line').then(([text]) => String(text))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the program ended with ${code} before it was ready`)
  })
  return Promise.race([line, ended])
}
