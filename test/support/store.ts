import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import { type AccountId, createAccountId } from '../../src/store/ids.ts'
import { openStore, type Store } from '../../src/store/open-store.ts'

/** A clock that tests own: `advance` runs what is due, in order. */
export interface TestClock extends Clock {
  advance(ms: number): void
}

export function createTestClock(startMs = Date.UTC(2026, 10, 25)): TestClock {
  let nowMs = startMs
  const timers = new Map<symbol, { readonly atMs: number; readonly callback: () => void }>()
  return {
    now: () => nowMs,
    after(delayMs, callback) {
      const key = Symbol()
      timers.set(key, { atMs: nowMs + delayMs, callback })
      return () => timers.delete(key)
    },
    advance(ms) {
      const untilMs = nowMs + ms
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.atMs <= untilMs)
        const next = due.sort(([, a], [, b]) => a.atMs - b.atMs)[0]
        if (next === undefined) break
        timers.delete(next[0])
        nowMs = Math.max(nowMs, next[1].atMs)
        next[1].callback()
      }
      nowMs = untilMs
    },
  }
}

export async function createTempDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'cmb-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Opens a store for a test; a writer thread that dies fails the test run. */
export function openTestStore(directory: string, clock: Clock = createTestClock()): Promise<Store> {
  return openStore({
    directory,
    clock,
    randomBytes,
    onFailure: (error) => {
      throw error
    },
  })
}

let accountsMade = 0

/** An account whose key and password nobody needs. */
export async function insertTestAccount(
  store: Store,
  address = `user${++accountsMade}@example.org`,
  servers: readonly string[] = ['127.0.0.1:8081'],
): Promise<AccountId> {
  const accountId = createAccountId(randomBytes)
  const outcome = await store.write('createAccount', {
    accountId,
    address,
    shortName: address,
    displayName: '',
    keyId: randomBytes(20).toString('hex') as KeyId,
    servers,
    authKey: null,
    secretKey: { id: randomBytes(16), sealed: randomBytes(8) },
    appPassword: {
      id: randomBytes(16),
      name: 'test',
      allowsImap: true,
      allowsSmtp: true,
      salt: randomBytes(16),
      hash: randomBytes(32),
    },
  })
  if (outcome.kind !== 'ok') throw new Error(`account not made: ${outcome.what}`)
  return accountId
}
