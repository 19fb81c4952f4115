import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { followFile } from '../../../src/cli/follow-file.ts'

let directory = ''
let path = ''
let told: (string | undefined)[] = []
let errors: unknown[] = []
let timer: (() => void) | undefined

const clock: Clock = {
  now: () => 0,
  after(_delayMs, callback) {
    timer = callback
    return () => {
      timer = undefined
    }
  },
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-follow-'))
  path = join(directory, 'auth.txt')
  told = []
  errors = []
})

afterEach(() => rmSync(directory, { recursive: true }))

function follow(onChange?: (text: string | undefined) => Promise<void>): Promise<() => Promise<void>> {
  return followFile({
    path,
    clock,
    onChange: async (text) => {
      told.push(text)
      await onChange?.(text)
    },
    onError: (error) => errors.push(error),
  })
}

/** Looks until a change has come to rest. */
async function settle(): Promise<void> {
  await look()
  await look()
}

/** Lets the time for one look pass, and the look end. */
async function look(): Promise<void> {
  const callback = timer
  timer = undefined
  callback?.()
  await expect.poll(() => timer).toBeDefined()
}

describe('followFile', () => {
  it('tells the text at once, and again only when the file was changed', async () => {
    writeFileSync(path, 'one')
    const end = await follow()
    await look()
    writeFileSync(path, 'two!')
    await look()
    await look()
    expect(told).toEqual(['one', 'two!'])
    await end()
  })

  it('sees a file that an editor replaced, that appears, and that goes', async () => {
    const end = await follow()
    writeFileSync(`${path}.new`, 'new')
    renameSync(`${path}.new`, path)
    await settle()
    rmSync(path)
    await settle()
    expect(told).toEqual([undefined, 'new', undefined])
    await end()
  })

  it('fails at the start, and later only tells what was wrong, once for each change', async () => {
    const failing = async (text: string | undefined): Promise<void> => {
      if (text === 'wrong') throw new Error('line 1')
    }
    writeFileSync(path, 'wrong')
    await expect(follow(failing)).rejects.toThrow('line 1')
    writeFileSync(path, 'right')
    const end = await follow(failing)
    writeFileSync(path, 'wrong')
    await look()
    await look()
    expect(errors).toHaveLength(1)
    writeFileSync(path, 'right again')
    await settle()
    expect(told.at(-1)).toBe('right again')
    await end()
  })

  it('tells once that the path cannot be looked at, and goes on when it can', async () => {
    writeFileSync(path, 'one')
    const end = await follow()
    rmSync(path)
    symlinkSync(path, path)
    await settle()
    await settle()
    expect(errors).toEqual([expect.objectContaining({ code: 'ELOOP' })])
    rmSync(path)
    writeFileSync(path, 'two')
    await settle()
    expect(told).toEqual(['one', 'two'])
    await end()
  })

  it('does not read a file that is still being written', async () => {
    writeFileSync(path, 'all of it')
    const end = await follow()
    for (const text of ['hal', 'half of', 'half of it, and the rest']) {
      writeFileSync(path, text)
      await look()
    }
    expect(told).toEqual(['all of it'])
    await look()
    expect(told).toEqual(['all of it', 'half of it, and the rest'])
    await end()
  })

  it('refuses a file that is too long to be one of these', async () => {
    writeFileSync(path, Buffer.alloc(1024 * 1024 + 1))
    await expect(follow()).rejects.toThrow('is longer than')
  })

  it('ends', async () => {
    const end = await follow()
    await end()
    expect(timer).toBeUndefined()
  })
})
