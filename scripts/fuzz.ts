import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FuzzTarget } from '../test/fuzz/targets/fuzz-target.ts'
import { FUZZ_TARGETS } from '../test/fuzz/targets/index.ts'
import { createMutator } from './fuzz/mutate.ts'

/**
 * Feeds changed inputs to every target for `SECONDS` (60) in all and saves those that break something below
 * `test/fuzz/saved`, where the tests replay them. `TARGET=name` looks at one; `SEED=n` repeats a run.
 */

const SLOW_MS = 2000
const saved = join(import.meta.dirname, '../test/fuzz/saved')
const seconds = Number(process.env.SECONDS ?? '60')
const seed = Number(process.env.SEED ?? String(Date.now() % 2 ** 31))
const wanted = process.env.TARGET ?? ''
const targets = FUZZ_TARGETS.filter(({ name }) => wanted === '' || name === wanted)

/** Runs one target until its share of the time is over; returns how many inputs it broke at. */
async function fuzz(target: FuzzTarget, untilMs: number): Promise<number> {
  const next = createMutator(target.seeds(), seed)
  const messages = new Set<string>()
  let inputs = 0
  for (; Date.now() < untilMs; inputs += 1) {
    const input = next()
    const startedMs = performance.now()
    const failure = await failureOf(target, input)
    const isSlow = performance.now() - startedMs > SLOW_MS
    const message = failure ?? (isSlow ? `took over ${SLOW_MS} ms` : undefined)
    if (message === undefined || messages.has(message)) continue
    messages.add(message)
    console.error(`${target.name}: ${message}\n  saved as ${save(target, input)}`)
  }
  console.log(`${target.name.padEnd(20)} ${String(inputs).padStart(9)} inputs, ${messages.size} failures`)
  return messages.size
}

async function failureOf(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  try {
    await target.run(input)
    return undefined
  } catch (error) {
    return error instanceof Error
      ? (error.stack ?? error.message).split('\n').slice(0, 3).join('\n  ')
      : String(error)
  }
}

function save(target: FuzzTarget, input: Uint8Array): string {
  const directory = join(saved, target.name)
  mkdirSync(directory, { recursive: true })
  const name = `${createHash('sha256').update(input).digest('hex').slice(0, 16)}.bin`
  writeFileSync(join(directory, name), input)
  return join('test/fuzz/saved', target.name, name)
}

if (targets.length === 0 || !(seconds > 0)) {
  console.error(`give TARGET, one of ${FUZZ_TARGETS.map(({ name }) => name).join(', ')}, and SECONDS above 0`)
  process.exitCode = 2
} else {
  console.log(`seed ${seed}, ${seconds} s`)
  let failures = 0
  for (const target of targets) failures += await fuzz(target, Date.now() + (seconds * 1000) / targets.length)
  process.exitCode = failures === 0 ? 0 : 1
}
