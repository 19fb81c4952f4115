import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../../../src/base/clock.ts'
import { DEFAULT_MAX_AGES } from '../../../../src/cm/block-verdict.ts'
import { type BlockKey, keyAnnouncementKey, mailboxHash, parseBlockKey } from '../../../../src/cm/ids.ts'
import { AddressQuotas } from '../../../../src/cm/server/address-quotas.ts'
import type { CmServerContext } from '../../../../src/cm/server/context.ts'
import { serveCmConnection } from '../../../../src/cm/server/session.ts'
import { createMemoryChannelPair } from '../../../../src/net/memory-channel.ts'
import { CmBlockStore } from '../../../../src/store/cm-blocks.ts'
import { realClock } from '../../../support/cm-client-support.ts'
import {
  ALICE,
  asAlice,
  asBob,
  BOB,
  DATE_MS,
  endPeopleServerAfterEach,
  loggedIn,
  NOW_MS,
  plainClient,
  secureClient,
  send,
  startPeopleServer,
} from '../../../support/cm-people.ts'
import {
  textBlock,
  upload,
  wireAcknowledgment,
  wireAnnouncement,
  wireDataBlock,
  wireRecord,
} from '../../../support/cm-wire-blocks.ts'
import { vectorBytes } from '../../../support/vectors.ts'

/** The weaknesses of the reference that concern a server, by their numbers in CM wire 10.2: we do not have them. */

endPeopleServerAfterEach()

describe('S9: exhaustion', () => {
  it('S9: an endless payload is cut off, and leaves nothing on the disk', async () => {
    const on = await startPeopleServer()
    const client = await asAlice(on)
    client.send(`STORE SERVER ${'0'.repeat(40)}\r\nType: data\r\nData: 99999999999\r\n`)
    expect(await client.closed()).toBe('')
    expect(readdirSync(join(on.directory, 'payloads'))).toEqual([])
  })

  it("S9: a signed block that cannot be its poster's costs no thread", async () => {
    let judged = 0
    const on = await startPeopleServer({
      context: (own) => ({
        ...own,
        judge: (block) => {
          judged += 1
          return own.judge(block)
        },
      }),
    })
    const [alice, stranger] = [await asAlice(on), await plainClient(on)]
    const announcement = 'Type: key-announcement\n'
    for (const [client, key] of [
      [stranger, ALICE],
      [alice, BOB],
    ] as const) {
      expect(await send(client, upload(textBlock(keyAnnouncementKey(key), announcement)))).toBe('DONE')
    }
    const claim = textBlock('0'.repeat(40) as BlockKey, 'Type: address-claim\n')
    expect(await send(stranger, upload(claim))).toBe('DONE')
    expect(judged).toBe(0)
    expect(await send(alice, upload(textBlock(keyAnnouncementKey(ALICE), announcement)))).toBe('DONE')
    expect(await send(alice, upload(claim))).toBe('DONE')
    expect(judged).toBe(2)
  })

  it('S9: one network takes no more than its places; others are served', async () => {
    const quotas = new AddressQuotas({ now: () => NOW_MS, after: () => () => undefined }, 1)
    let context: CmServerContext | undefined
    await startPeopleServer({
      context: (own) => {
        context = { ...own, quotas }
        return context
      },
    })
    const greeting = async (): Promise<string> => {
      const [client, channel] = createMemoryChannelPair()
      if (context !== undefined) void serveCmConnection(channel, context)
      for await (const bytes of client) return Buffer.from(bytes).toString('latin1')
      return ''
    }
    expect(await greeting()).toContain('READY')
    expect(await greeting()).toContain('BUSY')
    expect(quotas.enter('203.0.113.9')).toBeDefined()
  })
})

describe('S10: randomness', () => {
  it('S10: GENLOGIN gives out what the generator gives, 160 bits a key', async () => {
    const on = await startPeopleServer()
    let given = 0
    const randomBytes = (count: number): Buffer => {
      given += 1
      return Buffer.alloc(count, given)
    }
    const other = await CmBlockStore.open(join(on.directory, 'other'), {
      clock: realClock(() => NOW_MS),
      randomBytes,
      maxAges: DEFAULT_MAX_AGES,
      onFailure: () => undefined,
    })
    const before = given
    expect(other.accounts.newAuthKey()).toBe(
      Buffer.alloc(20, before + 1)
        .toString('hex')
        .toUpperCase(),
    )
    await other.close()
    const client = await loggedIn(on, 'administrator ADMINKEY00000001')
    const keys = (await client.get('GENLOGIN 50')).slice(0, -1)
    expect(new Set(keys).size).toBe(50)
  })
})

describe('S11: dates ahead', () => {
  it('S11: a block of the day after tomorrow is refused, and does not keep an honest one out', async () => {
    const on = await startPeopleServer()
    const client = await asAlice(on)
    const payload = Buffer.from('time')
    // The clock that is wrong may be ours: to whoever is told DONE, the block would be lost.
    const ahead = NOW_MS + duration.day + duration.second
    expect(await send(client, upload(wireDataBlock(payload, ahead)))).toBe('FAILED')
    expect(await send(client, upload(wireDataBlock(Buffer.alloc(100_000), ahead)))).toBe('FAILED')
    expect(await send(client, upload(wireAcknowledgment(Buffer.alloc(20, 'b'), ahead)))).toBe('FAILED')
    expect(readdirSync(join(on.directory, 'payloads'))).toEqual([])
    const honest = wireDataBlock(payload, DATE_MS)
    expect(await client.ask(`GET SERVER ${honest.key}`)).toBe('NOT FOUND')
    expect(await send(client, upload(honest))).toBe('DONE')
    expect((await client.get(`GET SERVER ${honest.key}`)).at(-1)).toBe('time')
  })
})

describe('S12: mailboxes of others', () => {
  it('S12: a mailbox is read by its owner alone; payloads and acknowledgments by every account', async () => {
    const on = await startPeopleServer()
    const [alice, bob] = [await asAlice(on), await asBob(on)]
    const mail = wireAnnouncement({ recipient: BOB, dateMs: DATE_MS })
    const data = wireDataBlock(Buffer.from('payload'), DATE_MS)
    const acknowledgment = wireAcknowledgment(Buffer.alloc(20, 'a'), DATE_MS)
    for (const block of [mail, data, acknowledgment]) expect(await send(alice, upload(block))).toBe('DONE')
    expect(await alice.ask(`GET SERVER ${mail.key}`)).toBe('NOT FOUND')
    const roles = ['administrator ADMINKEY00000001', 'replication REPLICATIONKEY01']
    for (const role of roles)
      expect(await (await loggedIn(on, role)).ask(`GET SERVER ${mail.key}`)).toBe('NOT FOUND')
    expect((await bob.get(`GET SERVER ${mail.key}`))[0]).toBe('Type: message-announcement')
    for (const client of [alice, bob]) {
      expect((await client.get(`GET SERVER ${data.key}`)).at(-1)).toBe('payload')
      expect((await client.get(`GET SERVER ${acknowledgment.key}`))[0]).toBe('Type: acknowledgment')
    }
  })

  it('S12: a record that names two recipients opens the mailbox to nobody else, and keeps the owner in', async () => {
    const on = await startPeopleServer()
    const [alice, bob] = [await asAlice(on), await asBob(on)]
    const hostile = wireAnnouncement({ recipient: BOB, dateMs: DATE_MS, extraLines: [`Recipient: ${ALICE}`] })
    expect(await send(alice, upload(hostile))).toBe('DONE')
    expect(await alice.ask(`GET SERVER ${hostile.key}`)).toBe('NOT FOUND')
    expect((await bob.get(`GET SERVER ${hostile.key}`))[0]).toBe(`Recipient: ${ALICE}`)
  })

  it('S12: a key that belongs to somebody cannot be bound by somebody else', async () => {
    const on = await startPeopleServer()
    const client = await secureClient(on)
    expect(await client.ask(`LOGIN ${ALICE} BOBKEY0000000001`)).toBe('FAILED')
  })
})

describe('S14: what strangers learn', () => {
  it('S14: certificates of other servers are not to be had, and PING and SELFTEST say nothing', async () => {
    const on = await startPeopleServer({ relay: {} })
    await on.store.relay.certificates.remember('peer.example:8081', {
      sha256: 'f'.repeat(64),
      description: 'secret',
      firstSeenMs: 1,
    })
    const client = await asAlice(on)
    const key = createHash('sha1').update('peer.example:8081').digest('hex')
    expect(await client.ask(`GET SERVER ${key}`)).toBe('NOT FOUND')
    const stranger = await plainClient(on)
    expect(await stranger.ask('PING')).toBe('PONG')
    expect(await stranger.get('SELFTEST')).toEqual(['PASS', 'EndBlock'])
  })
})

describe('S15: keys of others', () => {
  it('S15: a key announcement lies under its own fingerprint alone, and nothing unjudged comes from a DHT', async () => {
    const nowMs = Date.parse('2025-01-20T10:00:00Z')
    const bob = parseBlockKey('DA3F4E31AE4082ECF960B007EC8DACBE1CA9E289') as BlockKey
    const victim = parseBlockKey('E6E73DF5920E7325F02029372AFA2D8EAD20D7FA') as BlockKey
    const accounts = { BOBKEY0000000001: bob.toUpperCase(), VICTIMKEY0000001: victim.toUpperCase() }
    const on = await startPeopleServer({ nowMs, accounts })
    const text = vectorBytes('announcements/bob-server-nobypass.txt').toString('utf8')
    for (const login of [`${bob} BOBKEY0000000001`, `${victim} VICTIMKEY0000001`]) {
      const client = await loggedIn(on, login)
      expect(await send(client, upload(textBlock(victim, text)))).toBe('DONE')
      expect(await client.ask(`GET SERVER ${victim}`)).toBe('NOT FOUND')
      expect(await client.ask(`GET ENTANGLED ${victim}`)).toBe('NOT FOUND')
    }
  })
})

describe('S16: hashes', () => {
  it('S16: a payload that does not hash to the key is dropped, so that only a collision could take its place', async () => {
    const on = await startPeopleServer()
    const client = await asAlice(on)
    const [honest, other] = [
      wireDataBlock(Buffer.from('honest'), DATE_MS),
      wireDataBlock(Buffer.from('other!'), NOW_MS),
    ]
    for (const block of [honest, { ...other, key: honest.key }]) {
      expect(await send(client, upload(block))).toBe('DONE')
    }
    expect((await client.get(`GET SERVER ${honest.key}`)).at(-1)).toBe('honest')
  })
})

describe('S17: lengths', () => {
  it('S17: exactly as many octets are served as the header says', async () => {
    const on = await startPeopleServer()
    const client = await asAlice(on)
    const block = wireDataBlock(Buffer.from('exact'), DATE_MS)
    client.send(Buffer.concat([upload(block), Buffer.from('surplus\r\n')]))
    expect([await client.line(), await client.line()]).toEqual(['DONE', 'INVALID COMMAND'])
    const short = block.body.toString('latin1').replace('Data: 5', 'Data: 4')
    client.send(
      Buffer.concat([upload({ key: block.key, body: Buffer.from(short, 'latin1') }), Buffer.from('\r\n')]),
    )
    expect([await client.line(), await client.line()]).toEqual(['DONE', 'INVALID COMMAND'])
    expect((await client.get(`GET SERVER ${block.key}`)).slice(-2)).toEqual(['Data: 5', 'exact'])
    expect(await client.ask('PING next')).toBe('PONG next')
  })
})

describe('S18: endless waits', () => {
  it('S18: an upload that never ends is dropped by us too', async () => {
    const timers: (() => void)[] = []
    const clock = {
      now: () => NOW_MS,
      after: (_: number, callback: () => void) => {
        timers.push(callback)
        return () => timers.splice(timers.indexOf(callback), 1)
      },
    }
    const on = await startPeopleServer({ clock })
    const client = await plainClient(on)
    client.send(
      `STORE SERVER ${mailboxHash('0', BOB)}\r\n${wireRecord({ recipient: BOB, dateMs: DATE_MS }).split('\n')[0]}\r\n`,
    )
    await expect.poll(() => timers.length).toBeGreaterThan(0)
    const closed = client.closed()
    for (const callback of timers.splice(0)) callback()
    expect(await closed).toBe('')
  })
})
