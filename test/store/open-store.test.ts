import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../src/store/open-store.ts'
import { createTempDirectory, insertTestAccount, openTestStore } from '../support/store.ts'

let directory: Awaited<ReturnType<typeof createTempDirectory>>
let store: Store | undefined

beforeEach(async () => {
  directory = await createTempDirectory()
})
afterEach(async () => {
  await store?.close()
  store = undefined
  await directory.remove()
})

describe('a new data directory', () => {
  it('is made, takes an account and gives it back after reopening', async () => {
    store = await openTestStore(directory.path)
    const accountId = await insertTestAccount(store, 'alice@example.org')
    await store.close()
    store = await openTestStore(directory.path)
    expect(store.read.get('SELECT id, address FROM accounts')).toEqual({
      id: accountId,
      address: 'alice@example.org',
    })
    expect(store.read.get('SELECT count(*) AS count FROM mailboxes')).toEqual({ count: 8 })
  })
})
