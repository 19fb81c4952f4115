import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import { accountByLogin } from '../../src/store/account-queries.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'
import { openTestStore } from '../support/store.ts'

/** Mail that cannot be read is kept until it can be (design 8.3). */

describe.skipIf(!hasProgram('redis-server'))('mail to a subkey that is not here', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice'], guests: ['dora'] })
  })
  afterAll(() => household.stop())

  it('waits in quarantine, and is delivered when the key has come', async () => {
    const dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
    const lost = await generateKey({
      name: 'alice',
      address: 'alice@example.org',
      nowMs: Date.now() - 60_000,
    })
    const { certificate } = lost
    await dora.send({ to: 'alice', subject: 'To a lost subkey', encryptTo: certificate.armored })
    const inQuarantine = () =>
      household.rows(`SELECT 1 FROM inbound_announcements WHERE state = 'quarantined'`).length === 1
    await eventually('it lies in quarantine', inQuarantine)
    const alice = household.person('alice')
    await withImap(household, alice, (client) => awaitMessage(client, 'Notices', () => true))
    await household.signal('SIGTERM')
    // What an import of that key leaves behind.
    addSecretKey(join(household.data, 'bridge.db'), alice.keyId, lost.armored.reveal())
    const store = await openTestStore(household.data)
    const account = accountByLogin(store.read, alice.address)
    expect(await store.write('retryQuarantined', { accountId: account?.id ?? 0 })).toMatchObject([
      { stage: 'decode' },
    ])
    expect(await store.write('retryQuarantined', { accountId: account?.id ?? 0 })).toEqual([])
    await store.close()
    await household.restart()
    const { flags } = await withImap(household, alice, (client) =>
      awaitMessage(client, 'INBOX', 'To a lost subkey'),
    )
    expect(flags).toContain('$CMVerified')
    await household.untilQuiet()
    expect(household.cmServer.stored.filter(({ type }) => type === 'acknowledgment')).toHaveLength(1)
  })
})

function addSecretKey(path: string, keyId: string, armored: string): void {
  const database = new DatabaseSync(path)
  database
    .prepare(
      `INSERT INTO keys (id, account_id, key_id, sealed_secret_key, created_at_ms)
       SELECT ?, id, key_id, ?, 1 FROM accounts WHERE key_id = ?`,
    )
    .run(randomBytes(16), Buffer.concat([Buffer.from([0]), Buffer.from(armored)]), keyId)
  database.close()
}
