import { afterEach, beforeEach } from 'vitest'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import {
  createTempDirectory,
  createTestClock,
  insertTestAccount,
  openTestStore,
  type TestClock,
} from './store.ts'

/** What each test of a file starts with: an empty store with one account, and the clock it goes by. */
export interface FreshStore {
  readonly store: Store
  readonly accountId: AccountId
  readonly clock: TestClock
  /** Where it lies. */
  readonly directory: string
}

/** For the top of a test file: a store of its own for each test, handed out before it and removed after it. */
export function storePerTest(handOut: (fresh: FreshStore) => void): void {
  let remove = async (): Promise<void> => undefined
  beforeEach(async () => {
    const directory = await createTempDirectory()
    const clock = createTestClock()
    const store = await openTestStore(directory.path, clock)
    remove = async () => {
      await store.close()
      await directory.remove()
    }
    handOut({ store, accountId: await insertTestAccount(store), clock, directory: directory.path })
  })
  afterEach(() => remove())
}
