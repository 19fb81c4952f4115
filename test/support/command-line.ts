import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { CliContext } from '../../src/cli/context.ts'
import { runCommandLine } from '../../src/cli/program.ts'
import { realClock } from './cm-client-support.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `program` to its end, with nothing of this machine's own settings. */
export function runProgram(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '/', ...environment }
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ exitCode: code ?? -1, ...output }))
  })
}

/** The same without a process of its own: for tests of many small verbs. */
export async function cmbridgeHere(args: readonly string[]): Promise<CommandResult> {
  let stdout = ''
  const context: CliContext = {
    environment: {},
    clock: realClock(),
    randomBytes,
    print: (text) => {
      stdout += text
    },
    askedToEnd: new Promise(() => undefined),
  }
  const { exitCode, message } = await runCommandLine(args, context)
  return { exitCode, stdout, stderr: message === '' ? '' : `cmbridge: ${message}\n` }
}

/** `cmbridge` with these arguments, on this Node. */
export function cmbridge(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return runProgram(process.execPath, [MAIN, ...args], environment)
}
