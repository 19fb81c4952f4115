import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyAnnouncementKey, parseKeyId } from '../../src/cm/ids.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { parseCertificate } from '../../src/cm/openpgp/certificates.ts'
import { verifyClearSigned } from '../../src/cm/openpgp/clear-signatures.ts'
import { rotateEncryptionSubkey } from '../../src/cm/openpgp/rotate-subkey.ts'
import { readSecretKey } from '../../src/cm/openpgp/secret-keys.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { storedText } from '../support/cm-server-support.ts'
import { cmbridge } from '../support/command-line.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** The encryption subkey changes while the bridge runs, and when it is killed in between (CM message 10.5). */

describe.skipIf(!hasProgram('redis-server'))('cmbridge key rotate', () => {
  let household: Household
  let dora: ForeignClient
  beforeAll(async () => {
    household = await Household.start({ people: ['alice'], guests: ['dora'] })
    dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
  })
  afterAll(() => household.stop())

  async function rotate(): Promise<string> {
    const { stdout, stderr } = await cmbridge([
      ...['key', 'rotate', 'alice', '--force', '--json', '--data', household.data],
    ])
    expect(stderr).toBe('')
    return (JSON.parse(stdout) as { newSubkey: string }).newSubkey
  }

  /** The certificate in the announcement at the server, whose signature must be good. */
  async function announced(): Promise<string> {
    const keyId = parseKeyId(household.person('alice').keyId)
    if (keyId === undefined) throw new Error('no key id')
    const text = await storedText(household.cmServer.store, 'key-announcement', keyAnnouncementKey(keyId))
    const parsed = parseKeyAnnouncement(text ?? '')
    if (parsed.kind !== 'ok') throw new Error(parsed.reason)
    const { keyBlock, signed } = parsed.announcement
    const read = await parseCertificate(keyBlock, Date.now())
    if (read.kind !== 'ok') throw new Error(read.reason)
    expect((await verifyClearSigned(signed, [read.certificate], Date.now())).kind).toBe('good')
    return read.certificate.armored
  }

  async function isDelivered(subject: string, encryptTo: string): Promise<void> {
    await dora.send({ to: 'alice', subject, encryptTo })
    const alice = household.person('alice')
    const { flags } = await withImap(household, alice, (client) => awaitMessage(client, 'INBOX', subject))
    expect(flags).toContain('$CMVerified')
  }

  it('announces each new subkey at once; mail to it and to those before arrives', async () => {
    const certificates = [await announced()]
    for (const _generation of [1, 2]) {
      const before = certificates.at(-1)
      await rotate()
      await eventually('the new subkey is announced', async () => (await announced()) !== before)
      certificates.push(await announced())
    }
    expect(new Set(certificates).size).toBe(3)
    await isDelivered('To the subkey of now', certificates[2] ?? '')
    await isDelivered('To the one before', certificates[1] ?? '')
    await isDelivered('To the one before that', certificates[0] ?? '')
  })

  it('a subkey made elsewhere opens what waits in quarantine, once it is imported (K16)', async () => {
    const { stdout } = await cmbridge([
      'key',
      'export',
      'alice',
      '--secret',
      '--no-passphrase',
      '--data',
      household.data,
    ])
    const exported = await readSecretKey(stdout, { nowMs: Date.now() })
    if (exported.kind !== 'ok') throw new Error(exported.kind)
    const elsewhere = await rotateEncryptionSubkey(exported.secretKey, Math.floor(Date.now() / 1000) * 1000)
    if (elsewhere.kind !== 'ok') throw new Error(elsewhere.kind)
    const { certificate, armored } = elsewhere.secretKey
    const subject = 'To a subkey made elsewhere'
    await dora.send({ to: 'alice', subject, encryptTo: certificate.armored })
    const inQuarantine = () =>
      household.rows(`SELECT 1 FROM inbound_announcements WHERE state = 'quarantined'`).length === 1
    await eventually('it lies in quarantine', inQuarantine)
    const alice = household.person('alice')
    await withImap(household, alice, (client) => awaitMessage(client, 'Notices', () => true))
    const file = join(household.data, 'elsewhere.asc')
    writeFileSync(file, armored.reveal())
    const before = await announced()
    const imported = await cmbridge(['key', 'import', 'alice', file, '--json', '--data', household.data])
    expect(JSON.parse(imported.stdout)).toMatchObject({ gained: [elsewhere.newSubkey], retried: 1 })
    await eventually('the imported subkey is announced', async () => (await announced()) !== before)
    const { flags } = await withImap(household, alice, (client) => awaitMessage(client, 'INBOX', subject))
    expect(flags).toContain('$CMVerified')
  })

  it('is announced after a kill between storing and announcing', async () => {
    const before = await announced()
    household.gate.set('refuse')
    const newSubkey = await rotate()
    await household.signal('SIGKILL')
    expect(await announced()).toBe(before)
    household.gate.set('pass')
    await household.restart()
    await eventually('the new subkey is announced', async () => (await announced()) !== before)
    const shown = await cmbridge(['key', 'show', 'alice', '--json', '--data', household.data])
    const { subkeys } = JSON.parse(shown.stdout) as { subkeys: { fingerprint: string; state: string }[] }
    expect(subkeys.filter(({ state }) => state === 'in use')).toMatchObject([{ fingerprint: newSubkey }])
    await isDelivered('To the subkey after the kill', await announced())
  })
})
