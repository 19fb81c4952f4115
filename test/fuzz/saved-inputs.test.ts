import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FUZZ_TARGETS } from './targets/index.ts'

/** Inputs that broke something once, or are of a kind that does elsewhere; `make fuzz` adds to them. */
const SAVED = fileURLToPath(new URL('saved/', import.meta.url))

describe.each(FUZZ_TARGETS)('saved inputs of $name', ({ name, seeds, run }) => {
  const directory = `${SAVED}${name}/`
  const files = existsSync(directory) ? readdirSync(directory) : []

  it('has good inputs to start from, which pass', async () => {
    const given = seeds()
    expect(given.length).toBeGreaterThan(0)
    for (const seed of given) await run(seed)
  })

  it.each(files)('%s', async (file) => {
    await run(readFileSync(`${directory}${file}`))
  })
})

describe('saved inputs', () => {
  it('belong to targets there are', () => {
    const names = existsSync(SAVED) ? readdirSync(SAVED) : []
    expect(names.filter((name) => !FUZZ_TARGETS.some((target) => target.name === name))).toEqual([])
  })
})
