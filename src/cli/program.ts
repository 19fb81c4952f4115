import { Command, CommanderError } from 'commander'
import { registerAccount } from './account.ts'
import { registerCert } from './cert.ts'
import { CliError, exitCode } from './cli-error.ts'
import { registerCmServer } from './cm-server.ts'
import { collectOption } from './collect-option.ts'
import { registerContact } from './contact.ts'
import type { CliContext } from './context.ts'
import { registerInfo } from './info.ts'
import { registerInit } from './init.ts'
import { registerInspect } from './inspect.ts'
import { registerKey } from './key.ts'
import { registerServe } from './serve.ts'
import { registerStatus } from './status.ts'
import { programVersion, registerVersion } from './version.ts'

/** A verb adds itself to the program. */
type Register = (program: Command, context: CliContext) => void

const VERBS: readonly Register[] = [
  registerInit,
  registerServe,
  registerAccount,
  registerKey,
  registerCert,
  registerContact,
  registerInfo,
  registerStatus,
  registerCmServer,
  registerInspect,
  registerVersion,
]

/** How a run ended: the process's exit code, and the one line for standard error when it failed. */
export interface RunOutcome {
  readonly exitCode: number
  readonly message: string
}

/** Parses the command line (without node and script) and runs the verb. Throws only for our own fault. */
export async function runCommandLine(args: readonly string[], context: CliContext): Promise<RunOutcome> {
  const complaints: string[] = []
  const program = createProgram(context, (text) => complaints.push(text))
  try {
    await program.parseAsync([...args], { from: 'user' })
    return { exitCode: exitCode.ok, message: '' }
  } catch (error) {
    if (error instanceof CliError) return { exitCode: error.exitCode, message: error.message }
    if (error instanceof CommanderError) return outcomeOf(error, complaints)
    throw error
  }
}

function createProgram(context: CliContext, complain: (text: string) => void): Command {
  const program = new Command('cmbridge')
    .description('Confidant Mail in the mail program you already use: a local SMTP and IMAP server')
    .option('--data <dir>', 'the data directory (CMBRIDGE_DATA)')
    .option('--config <file>', 'the settings file (CMBRIDGE_CONFIG); cmbridge.jsonc in the data directory')
    .option('--set <key=value>', 'one setting, e.g. smtp.port=2525; may be repeated', collectOption)
    .option('--json', 'print JSON, a line each, for scripts')
    .version(programVersion())
    .exitOverride()
    .configureOutput({ writeOut: context.print, writeErr: complain })
  for (const register of VERBS) register(program, context)
  return program
}

/** Help and the like end well; everything commander complains about is misuse. */
function outcomeOf(error: CommanderError, complaints: readonly string[]): RunOutcome {
  if (error.exitCode === 0) return { exitCode: exitCode.ok, message: '' }
  if (error.code === 'commander.help')
    return { exitCode: exitCode.misuse, message: 'no verb given; see cmbridge --help' }
  const message = complaints
    .join('')
    .replace(/^error: /, '')
    .trimEnd()
    .replaceAll('\n', ' ')
  return { exitCode: exitCode.misuse, message: `${message}; see cmbridge --help` }
}
