import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  acquireInstanceLock,
  type LockHolder,
  livingLockHolder,
  readLockHolder,
} from '../../src/store/instance-lock.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** One process per data directory (design 4, case O11). */

const holder: LockHolder = {
  pid: process.pid,
  startedAtMs: 1_795_604_400_000,
  verb: 'serve',
  runDirectory: '/run/x',
}

/** Takes the lock in a process of its own and says so. */
const HOLDER_SCRIPT = `
import { acquireInstanceLock } from '${fileURLToPath(new URL('../../src/store/instance-lock.ts', import.meta.url))}'
const [directory] = process.argv.slice(-1)
const outcome = acquireInstanceLock(directory, { pid: process.pid, startedAtMs: 1, verb: 'serve', runDirectory: '' })
console.log(outcome.kind)
setInterval(() => outcome, 1000)
`

async function startHolder(directory: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const script = join(directory, 'holder.ts')
  writeFileSync(script, HOLDER_SCRIPT)
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  expect(line).toBe('acquired')
  const kill = async (): Promise<void> => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return { pid: child.pid ?? 0, kill }
}

describe('the lock of a data directory', () => {
  it('tells who lives from who was killed', async () => {
    const directory = shortDirectory()
    const other = await startHolder(directory)
    expect(livingLockHolder(directory)?.pid).toBe(other.pid)
    await other.kill()
    expect(readLockHolder(directory)?.pid).toBe(other.pid)
    expect(livingLockHolder(directory)).toBeUndefined()
  })

  it('is held once, and says by whom', () => {
    const directory = shortDirectory()
    const first = acquireInstanceLock(directory, holder)
    expect(first).toMatchObject({ kind: 'acquired', abandoned: undefined })
    expect(acquireInstanceLock(directory, { ...holder, pid: 1 })).toEqual({ kind: 'held', holder })
    if (first.kind === 'acquired') first.lock.release()
    expect(readLockHolder(directory)).toBeUndefined()
    const second = acquireInstanceLock(directory, holder)
    expect(second.kind).toBe('acquired')
    if (second.kind === 'acquired') second.lock.release()
  })

  it('names another process that has it', async () => {
    const directory = shortDirectory()
    const { pid } = await startHolder(directory)
    expect(acquireInstanceLock(directory, holder)).toMatchObject({
      kind: 'held',
      holder: { pid, verb: 'serve' },
    })
  })

  it('is free at once after kill -9, and tells who left it', async () => {
    const directory = shortDirectory()
    const { pid, kill } = await startHolder(directory)
    await kill()
    const outcome = acquireInstanceLock(directory, holder)
    expect(outcome).toMatchObject({ kind: 'acquired', abandoned: { pid } })
    if (outcome.kind === 'acquired') outcome.lock.release()
  })

  it('does not depend on the file beside it', () => {
    const directory = shortDirectory()
    writeFileSync(join(directory, 'lock.json'), '{"pid": 1')
    const outcome = acquireInstanceLock(directory, holder)
    expect(outcome).toMatchObject({ kind: 'acquired', abandoned: undefined })
    writeFileSync(join(directory, 'lock.json'), '[]')
    expect(acquireInstanceLock(directory, holder)).toEqual({ kind: 'held', holder: undefined })
    if (outcome.kind === 'acquired') outcome.lock.release()
  })

  it('of two directories are two', () => {
    const [mine, yours] = [
      acquireInstanceLock(shortDirectory(), holder),
      acquireInstanceLock(shortDirectory(), holder),
    ]
    expect([mine.kind, yours.kind]).toEqual(['acquired', 'acquired'])
    for (const outcome of [mine, yours]) if (outcome.kind === 'acquired') outcome.lock.release()
  })
})
