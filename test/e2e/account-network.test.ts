import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { addressHash, type BlockKey, keyAnnouncementKey, mailboxHash } from '../../src/cm/ids.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { CHANGE_OVER_MS } from '../../src/store/account-network.ts'
import { AccountStages, announcementFor, hostPortOf } from '../support/account-stages.ts'
import { startScriptedServer } from '../support/cm-client-support.ts'
import { storedText, type TestCmServer, WireClient } from '../support/cm-server-support.ts'

/** What an account announces and where it looks while its settings change (CM message 10.1, wire 8.6, 8.8). */

let stages: AccountStages
beforeEach(async () => {
  stages = await AccountStages.start()
})
afterEach(() => stages.close())

const OK = { kind: 'repeat' }
const again = (reason: RegExp) => ({ kind: 'retry', reason: expect.stringMatching(reason) })

/** A stranger posts an announcement for alice, as senders do: without a login. */
async function post(server: TestCmServer, mailbox: string, bits = 24): Promise<void> {
  const { key, text } = announcementFor(stages.alice, { mailbox, bits, nowMs: stages.nowMs })
  const client = await WireClient.connectSecure(server.port)
  const lines = [`STORE SERVER ${key}`, ...text.trimEnd().split('\n'), 'EndBlock']
  expect(await client.ask(...lines)).toBe('DONE')
  client.destroy()
}

/** Alice's announcement as this server has it; undefined for none. */
async function announcedAt(server: TestCmServer) {
  const key = keyAnnouncementKey(stages.alice.keyId)
  const stored = await storedText(server.store, 'key-announcement', key)
  if (stored === undefined) return undefined
  const parsed = parseKeyAnnouncement(stored)
  if (parsed.kind !== 'ok') throw new Error(parsed.reason)
  const { dateMs, mailboxPrefixes, senderProofOfWork, transport, bypassTokenAccepted } = parsed.announcement
  return { dateMs, mailboxPrefixes, senderProofOfWork, transport, bypassTokenAccepted }
}

const hasClaim = async (server: TestCmServer) =>
  (await server.store.find(addressHash('alice@example.org'), { type: 'address-claim' })) !== undefined
/** More than a reply may have. */
const FLOOD = 'Type: message-announcement\r\n'.repeat(400_000)
const mailboxes = () => stages.found.map(({ mailbox }) => mailbox)

describe('an account that moves to another server', () => {
  it('announces at both, finds mail at both, and forgets the old one when its time is over', async () => {
    const [before, after] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(before)
    expect(await stages.announce()).toMatchObject(OK)
    stages.advance(duration.day)
    await stages.set({ servers: [hostPortOf(after)], authKey: stages.authKey })
    expect(stages.alice.network.old).toEqual({
      servers: [hostPortOf(before)],
      untilMs: stages.nowMs + CHANGE_OVER_MS,
    })

    expect(await stages.announce()).toMatchObject(OK)
    const servers = [{ host: '127.0.0.1', port: after.port }]
    for (const server of [before, after]) {
      expect(await announcedAt(server)).toMatchObject({ transport: { servers } })
      expect(await hasClaim(server)).toBe(true)
    }

    await post(before, '0')
    await post(after, '1')
    expect(await stages.poll()).toMatchObject(OK)
    expect(await stages.pollOld()).toMatchObject(OK)
    expect(stages.found).toEqual([
      { mailbox: '1', server: hostPortOf(after), hasEnoughWork: true },
      { mailbox: '0', server: hostPortOf(before), hasEnoughWork: true },
    ])

    stages.advance(CHANGE_OVER_MS)
    await post(before, '2')
    expect(await stages.pollOld()).toEqual({ kind: 'moved', due: [] })
    expect(await stages.pollOld()).toBeUndefined()
    expect(mailboxes()).toEqual(['1', '0'])
    expect(stages.alice.network.old).toBeUndefined()
  })

  it('finds mail at the new server while the old one is dead, and the other way round', async () => {
    const [before, after] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(before)
    await stages.announce()
    stages.advance(duration.minute)
    await stages.set({ servers: [hostPortOf(after)], authKey: stages.authKey })
    await post(after, '3')
    await before.close()
    expect(await stages.pollOld()).toMatchObject(again(/unreachable/))
    expect(await stages.poll()).toMatchObject(OK)
    expect(mailboxes()).toEqual(['3'])
    expect(await stages.announce()).toMatchObject(again(/^old server: 127\.0\.0\.1:\d+ unreachable$/))
    expect(await announcedAt(after)).toBeDefined()
  })
})

describe('an account that asks for more work', () => {
  it('takes what was asked before until the end of the change, then puts it into Junk', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await stages.announce()
    stages.advance(duration.minute)
    await stages.set({ costBits: 32 })
    expect(await stages.announce()).toMatchObject(OK)
    expect((await announcedAt(server))?.senderProofOfWork).toEqual({ bits: 32, matches: 2 })

    await post(server, '0', 24)
    await stages.poll()
    stages.advance(CHANGE_OVER_MS)
    await post(server, '0', 24)
    await stages.poll()
    expect(stages.found.map(({ hasEnoughWork }) => hasEnoughWork)).toEqual([true, false])
  })
})

describe('an account with fewer mailboxes', () => {
  it('looks into the former ones until the end of the change', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await stages.announce()
    stages.advance(duration.minute)
    await stages.set({ mailboxCount: 2 })
    expect(await stages.announce()).toMatchObject(OK)
    expect((await announcedAt(server))?.mailboxPrefixes).toEqual(['0', '1'])

    await post(server, '3')
    await stages.poll()
    expect(mailboxes()).toEqual(['3'])
    stages.advance(CHANGE_OVER_MS)
    await post(server, '3')
    await stages.poll()
    expect(mailboxes()).toEqual(['3'])
  })
})

describe('a publishing server', () => {
  it('is given the key and never asked for mail', async () => {
    const [own, domain] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(own)
    await stages.set({ publishServers: [hostPortOf(domain)], publishAuthKey: stages.authKey })
    expect(await stages.announce()).toMatchObject(OK)
    expect(await announcedAt(domain)).toEqual(await announcedAt(own))
    expect(await hasClaim(domain)).toBe(true)
    await post(domain, '0')
    await stages.poll()
    expect(stages.found).toEqual([])
  })

  it('that refuses is said, and only there the key is posted again', async () => {
    const [own, domain] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(own)
    await stages.set({ publishServers: [hostPortOf(domain)], publishAuthKey: new Secret('WRONGKEYWRONGKEY') })
    const refused = again(/^publishing server: \S+ refused the authentication key/)
    expect(await stages.announce()).toMatchObject(refused)
    const first = await announcedAt(own)
    stages.advance(duration.hour)
    expect(await stages.announce()).toMatchObject(refused)
    expect(await announcedAt(own)).toEqual(first)
    await stages.set({ publishAuthKey: stages.authKey })
    expect(await stages.announce()).toMatchObject(OK)
    expect(await announcedAt(domain)).toBeDefined()
  })
})

describe('the announcement', () => {
  it('is renewed after six days, before the claim and what the announcement says expire', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    const outcome = await stages.announce()
    expect(outcome).toMatchObject({ kind: 'repeat', delayMs: 6 * duration.day })
    const first = await announcedAt(server)
    stages.advance(6 * duration.day)
    expect(await stages.announce()).toMatchObject(OK)
    expect((await announcedAt(server))?.dateMs).toBeGreaterThan(first?.dateMs ?? Number.POSITIVE_INFINITY)
  })

  it('says since when tokens are taken, only when they are', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await stages.announce()
    expect((await announcedAt(server))?.bypassTokenAccepted).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    stages.advance(duration.minute)
    await stages.set({ usesBypassTokens: false })
    await stages.announce()
    expect((await announcedAt(server))?.bypassTokenAccepted).toBeUndefined()
  })

  it('of two changes in one second is the later one in the end', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await stages.set({ costBits: 40 })
    await stages.announce()
    await stages.set({ costBits: 36 })
    expect(await stages.announce()).toEqual({ kind: 'repeat', delayMs: duration.second })
    stages.advance(duration.second)
    expect(await stages.announce()).toMatchObject(OK)
    expect((await announcedAt(server))?.senderProofOfWork?.bits).toBe(36)
  })

  it('is made again when a daily look finds that the server lost it', async () => {
    const [server, other] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(server)
    await stages.announce()
    const row = `announce${stages.alice.id}`
    expect(await stages.poll()).toMatchObject({ due: [] })
    // The same account at a server that never heard of it stands for one that lost its disk.
    await stages.set({ servers: [hostPortOf(other)], authKey: stages.authKey, oldServers: [] })
    expect(await stages.poll()).toMatchObject({ due: [{ row }] })
  })

  it('that the own server does not take for a day is told in Notices once', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await stages.announce()
    await stages.set({ authKey: new Secret('WRONGKEYWRONGKEY') })
    stages.advance(2 * duration.day)
    expect(await stages.announce(3)).toMatchObject(again(/refused the authentication key/))
    expect(stages.told).toEqual([])
    await stages.announce(20)
    stages.advance(duration.hour)
    await stages.announce(21)
    expect(stages.told).toEqual(['own-key-not-announced'])
    await stages.poll(20)
    expect(stages.told).toEqual(['own-key-not-announced', 'own-mail-not-fetched'])
  })
})

describe('a look into the mailboxes', () => {
  /** A server whose mailbox 1 cannot be read, as a record with `Data: 0` in it makes one of the reference (S5). */
  async function startJammedServer(good: string): Promise<{ port: number; close(): Promise<void> }> {
    const jammed = mailboxHash('1', stages.alice.keyId)
    const full = mailboxHash('2', stages.alice.keyId)
    return startScriptedServer(async (connection) => {
      await connection.greet()
      for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
        const asked = / ([0-9a-f]{40})/.exec(line)?.[1] as BlockKey | undefined
        if (line.startsWith('LOGIN')) await connection.send('DONE\r\n')
        else if (asked === jammed)
          await connection.send('Type: message-announcement\r\nData: 0\nrest\nNOT FOUND\r\n')
        else if (asked === full) await connection.send(`${good.replaceAll('\n', '\r\n')}EndBlock\r\n`)
        else await connection.send('NOT FOUND\r\n')
      }
    })
  }

  it('goes on with the others when one is jammed, and says which', async () => {
    const away = await stages.startServer()
    await stages.addAlice(away)
    const good = announcementFor(stages.alice, { mailbox: '2', bits: 24, nowMs: stages.nowMs })
    const server = await startJammedServer(good.text)
    try {
      await stages.set({ servers: [hostPortOf(server)], authKey: stages.authKey, oldServers: [] })
      expect(await stages.poll()).toMatchObject(again(/: mailbox 1$/))
      expect(mailboxes()).toEqual(['2'])
    } finally {
      await server.close()
    }
  })

  it('asks the next server for what the first could not say', async () => {
    const replica = await stages.startServer()
    await stages.addAlice(replica)
    await post(replica, '1')
    const server = await startJammedServer('')
    try {
      await stages.set({ servers: [hostPortOf(server), hostPortOf(replica)] })
      expect(await stages.poll()).toMatchObject(OK)
      expect(mailboxes()).toEqual(['1'])
    } finally {
      await server.close()
    }
  })

  it('passes over records that are not for us, too old, or none at all', async () => {
    const away = await stages.startServer()
    await stages.addAlice(away)
    const { alice, nowMs } = stages
    const of = (given: Partial<Parameters<typeof announcementFor>[1]>) =>
      announcementFor(alice, { mailbox: '2', bits: 8, nowMs, ...given }).text
    const records = [
      of({}).replace(/^Recipient: .*$/m, `Recipient: ${'ab'.repeat(20)}`),
      of({}).replace(/^Recipient: .*\n/m, ''),
      of({ mailbox: '3' }),
      of({ nowMs: nowMs - 11 * duration.day }),
      of({ nowMs: nowMs + 2 * duration.day }),
      of({}).replace(/^DataBlock: .*\n/m, ''),
      of({}).replace('message-announcement', 'data'),
      'Nonsense\n',
      of({}),
    ]
    const server = await startJammedServer(records.join('NextMessage\n'))
    try {
      await stages.set({ servers: [hostPortOf(server)], authKey: stages.authKey, oldServers: [] })
      await stages.poll()
      expect(stages.found).toEqual([{ mailbox: '2', server: hostPortOf(server), hasEnoughWork: false }])
    } finally {
      await server.close()
    }
  })

  it('finds new mail in a mailbox that was flooded before', async () => {
    const away = await stages.startServer()
    await stages.addAlice(away)
    const { alice } = stages
    stages.advance(duration.day)
    const { text } = announcementFor(alice, { mailbox: '2', bits: 24, nowMs: stages.nowMs })
    const sinces: string[] = []
    const server = await startScriptedServer(async (connection) => {
      await connection.greet()
      for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
        if (line.startsWith('LOGIN')) await connection.send('DONE\r\n')
        else if (!line.includes(mailboxHash('2', alice.keyId))) await connection.send('NOT FOUND\r\n')
        else if (sinces.push(line.slice(52)) === 1) await connection.send(FLOOD)
        else await connection.send(`${text.replaceAll('\n', '\r\n')}EndBlock\r\n`)
      }
    })
    try {
      await stages.set({ servers: [hostPortOf(server)], authKey: stages.authKey, oldServers: [] })
      expect(await stages.poll()).toMatchObject(OK)
      expect(mailboxes()).toEqual(['2'])
      await stages.poll()
      stages.advance(duration.day)
      await stages.poll()
      expect(sinces.map((since) => since !== '')).toEqual([false, true, true, false])
    } finally {
      await server.close()
    }
  })

  it('takes a mailbox of 5,000 records', async () => {
    const away = await stages.startServer()
    await stages.addAlice(away)
    const records = Array.from({ length: 5000 }, () =>
      announcementFor(stages.alice, { mailbox: '2', bits: 8, nowMs: stages.nowMs }),
    )
    const server = await startJammedServer(records.map(({ text }) => text).join('NextMessage\n'))
    try {
      await stages.set({ servers: [hostPortOf(server)], authKey: stages.authKey, oldServers: [] })
      await stages.poll()
      expect(stages.found).toHaveLength(5000)
    } finally {
      await server.close()
    }
  })
})
