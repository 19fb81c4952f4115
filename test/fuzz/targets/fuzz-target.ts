import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { vectorPath } from '../../support/vectors.ts'

/**
 * One place where octets of strangers come in. `test/fuzz/saved-inputs.test.ts` replays what broke it once,
 * `make fuzz` looks for more.
 */
export interface FuzzTarget {
  /** Also the folder of its saved inputs below `test/fuzz/saved`. */
  readonly name: string
  /** Good inputs to start from. */
  readonly seeds: () => readonly Uint8Array[]
  /** Feeds one input; rejects when what must hold does not. A refusal of bad input is not a failure. */
  readonly run: (input: Uint8Array) => Promise<void>
}

/** Files of a folder of the reference's vectors whose names end so, as seeds; none in a clone without them. */
export function vectorSeeds(folder: string, ending: string): Uint8Array[] {
  const directory = vectorPath(folder)
  if (directory === undefined) return []
  return readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(directory, name)))
}

/** Fails the input: `what` must hold whatever came in. */
export function mustHold(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken: ${what}`)
}
