import type { Command } from 'commander'
import { measureProofOfWork, meetsDemand, type ProofOfWorkStrength } from '../cm/proof-of-work.ts'
import { misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { finishInspect, type InspectResult, readInput } from './inspect-result.ts'

interface InspectPowFlags {
  readonly data: string
  readonly demand?: string
}

/** Octets of the file a proof may be made over: far more than a data block has. */
const MAX_DATA_BYTES = 64 * 1024 * 1024
/** Without --demand every proof will do. */
const ANY_PROOF: ProofOfWorkStrength = { bits: 0, matches: 2 }

/** `BITS,MATCHES`; misuse when it is not. */
export function demandOption(text: string | undefined): ProofOfWorkStrength | undefined {
  if (text === undefined) return undefined
  const match = /^(\d{1,3}),(\d{1,3})$/.exec(text)
  if (match === null) throw misuse(`--demand ${text}: give BITS,MATCHES, as 24,2`)
  return { bits: Number(match[1]), matches: Number(match[2]) }
}

/** `cmbridge inspect pow VALUE --data FILE [--demand BITS,MATCHES]`: what a proof shows for a file (CM wire 5.3). */
export async function inspectPow(value: string, flags: InspectPowFlags): Promise<InspectResult> {
  const demand = demandOption(flags.demand) ?? ANY_PROOF
  const data = await readInput(flags.data, MAX_DATA_BYTES)
  if (data.length > MAX_DATA_BYTES) throw misuse(`${flags.data} is larger than ${MAX_DATA_BYTES} octets`)
  const shown = measureProofOfWork(value, data)
  const accepted = meetsDemand(shown, demand)
  const json = { ...shown, accepted, reason: accepted ? null : 'proof-of-work' }
  return { exitCode: accepted ? 0 : 1, json }
}

/** Adds the verb to the `inspect` group. */
export function registerInspectPow(inspect: Command, context: CliContext): void {
  inspect
    .command('pow <value>')
    .description('what a proof of work shows for the bytes of a file')
    .requiredOption('--data <file>', 'the bytes the proof is made over')
    .option('--demand <bits,matches>', 'what is asked for')
    .action(async (value: string, flags: InspectPowFlags) =>
      finishInspect(context, { ...(await inspectPow(value, flags)), reason: 'proof-of-work' }),
    )
}
