import { createAccountMail } from '../../src/store/account-mail.ts'
import { MemoryAccountMail } from '../../src/store/memory-account-mail.ts'
import { createTempDirectory, createTestClock, insertTestAccount, openTestStore } from '../support/store.ts'
import { describeAccountMail } from './account-mail.ts'

const MAX_MESSAGE_BYTES = 1024 * 1024

describeAccountMail('memory', async () => ({
  mail: new MemoryAccountMail({
    accountName: 'alice@example.org',
    maxMessageBytes: MAX_MESSAGE_BYTES,
    clock: createTestClock(),
  }),
  close: async () => {},
}))

describeAccountMail('SQLite', async () => {
  const directory = await createTempDirectory()
  const store = await openTestStore(directory.path)
  const accountId = await insertTestAccount(store)
  return {
    mail: createAccountMail({
      store,
      accountId,
      accountName: 'alice@example.org',
      maxMessageBytes: MAX_MESSAGE_BYTES,
    }),
    close: async () => {
      await store.close()
      await directory.remove()
    },
  }
})
