import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../../src/imap/commands/index.ts'
import type { AccountMail } from '../../../src/imap/port.ts'
import type { ServerTlsContext } from '../../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'
import { createAccountMail } from '../../../src/store/account-mail.ts'
import type { Store } from '../../../src/store/open-store.ts'
import { playDialog } from '../../support/imap-dialog.ts'
import { createMemoryAccount, USER } from '../../support/imap-peer.ts'
import {
  createTempDirectory,
  createTestClock,
  insertTestAccount,
  openTestStore,
} from '../../support/store.ts'

const DIRECTORY = fileURLToPath(new URL('.', import.meta.url))
const SCRIPTS = readdirSync(DIRECTORY).filter((name) => name.endsWith('.dialog'))

/** The size append.dialog goes one octet beyond. */
const MAX_MESSAGE_BYTES = 1024 * 1024

let tls: ServerTlsContext
let directory: Awaited<ReturnType<typeof createTempDirectory>>
let store: Store
const clock = createTestClock()

beforeAll(async () => {
  tls = createServerTls(await createCmServerCertificate({ names: ['localhost'], nowMs: Date.now() }))
  directory = await createTempDirectory()
  store = await openTestStore(directory.path, clock)
})

afterAll(async () => {
  await store.close()
  await directory.remove()
})

async function createSqliteAccount(): Promise<AccountMail> {
  const accountId = await insertTestAccount(store)
  return createAccountMail({ store, accountId, accountName: USER, maxMessageBytes: MAX_MESSAGE_BYTES })
}

describe('IMAP dialogs', () => {
  describe.each([
    ['memory', async () => createMemoryAccount(MAX_MESSAGE_BYTES)],
    ['SQLite', createSqliteAccount],
  ])('on %s', (_store, createAccount) => {
    it.each(SCRIPTS)('%s', async (name) => {
      const script = readFileSync(`${DIRECTORY}${name}`, 'utf8')
      expect(script).toMatch(/^# .*RFC \d+/)
      const account = await createAccount()
      // STARTTLS is offered only where the script asks for another machine.
      await playDialog(script, script.includes('\n@remote') ? { account, tls } : { account })
    })
  })

  it.each(COMMANDS.map(({ name }) => name))('%s has a dialog', (name) => {
    expect(SCRIPTS).toContain(`${name.toLowerCase()}.dialog`)
  })
})
