import { open } from 'node:fs/promises'
import { parseUtcTime } from '../cm/utc-time.ts'
import { CliError, exitCode, misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'

/** What an inspect verb found: 0 accepted, 1 rejected, 2 misuse; `json` goes to standard output. */
export interface InspectResult {
  readonly exitCode: 0 | 1 | 2
  readonly json: unknown
}

/** Prints the finding as one JSON document; a rejection also ends the verb with exit code 1 and its reason. */
export function finishInspect(
  context: CliContext,
  result: InspectResult & { readonly reason: string | null },
): void {
  context.print(`${JSON.stringify(result.json, undefined, 2)}\n`)
  if (result.exitCode !== exitCode.ok) throw new CliError(`rejected: ${result.reason ?? ''}`, result.exitCode)
}

/** Reads a file the user named, at most `maxBytes` and one more, so that the caller can tell it is too large. */
export async function readInput(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path).catch((cause: unknown) => {
    throw misuse(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
  try {
    const pieces: Buffer[] = []
    for await (const piece of file.createReadStream({ end: maxBytes, autoClose: false })) {
      pieces.push(piece as Buffer)
    }
    return Buffer.concat(pieces)
  } catch (cause) {
    throw misuse(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
  } finally {
    await file.close()
  }
}

/** `--now DATE`, in milliseconds; misuse when it is no CM date. */
export function nowOption(text: string | undefined, context: Pick<CliContext, 'clock'>): number {
  if (text === undefined) return context.clock.now()
  const nowMs = parseUtcTime(text)
  if (nowMs === undefined) throw misuse(`--now ${text}: give a date as 2026-11-25T09:00:00Z`)
  return nowMs
}
