import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { duration } from '../../../../src/base/clock.ts'
import { type KeyId, type MessageHash, mailboxHash } from '../../../../src/cm/ids.ts'
import {
  announcementProofInput,
  encodeMessageAnnouncement,
  joinMessageAnnouncements,
} from '../../../../src/cm/message-announcement.ts'
import { solveProofOfWork } from '../../../../src/cm/proof-of-work.ts'
import { MAX_SLOT_RECORDS } from '../../../../src/cm/server/port.ts'
import { formatUtcTime } from '../../../../src/cm/utc-time.ts'
import { startTestCmServer, type TestCmServer, WireClient } from '../../../support/cm-server-support.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const USER = 'a1b2c3d4e5f60718293a4b5c6d7e8f9011223344' as KeyId
const MAILBOX = mailboxHash('0', USER)
const RECORDS = 5000

let server: TestCmServer
let client: WireClient

afterEach(async () => {
  client.destroy()
  await server.close()
})

async function start(): Promise<void> {
  const accounts = { ACCOUNTKEY000003: USER, REPLICATIONKEY01: 'replication' }
  server = await startTestCmServer({ nowMs: NOW_MS, accounts })
  client = await WireClient.connectSecure(server.port)
  expect(await client.ask(`LOGIN ${USER} ACCOUNTKEY000003`)).toBe('DONE')
}

function record(number: number): string {
  const messageHash = createHash('sha1').update(String(number)).digest('hex') as MessageHash
  const announcement = {
    date: formatUtcTime(NOW_MS - duration.hour + number * duration.second),
    recipient: USER,
    mailboxPrefix: '0',
    dataBlocks: [],
    messageHash,
  }
  const proofOfWork = solveProofOfWork({ bits: 8, matches: 2 }, announcementProofInput(announcement))
  return encodeMessageAnnouncement({ ...announcement, proofOfWork })
}

async function store(text: string): Promise<string> {
  client.send(`STORE SERVER ${MAILBOX}\r\n${text.replaceAll('\n', '\r\n')}EndBlock\r\n`)
  return client.line()
}

describe('a mailbox of 5,000 records', () => {
  it('comes in one upload, is given back whole, grows by one, and repeats without harm', async () => {
    await start()
    const records = Array.from({ length: RECORDS }, (_, number) => record(number))
    const whole = joinMessageAnnouncements(records)
    expect(whole.length).toBeGreaterThan(1024 * 1024)
    expect(await store(whole)).toBe('DONE')
    client.send(`GET SERVER ${MAILBOX}\r\n`)
    expect((await client.upTo('EndBlock\r\n')).replaceAll('\r', '')).toBe(whole)

    const one = record(RECORDS)
    expect(await store(one)).toBe('DONE')
    expect(server.stored.at(-1)?.added).toEqual([one])
    const changes = server.stored.length
    expect(await store(one)).toBe('DONE')
    expect(await store(whole)).toBe('DONE')
    expect(server.stored).toHaveLength(changes)
    client.send(
      `GET SERVER ${MAILBOX} SINCE ${formatUtcTime(NOW_MS - duration.hour + (RECORDS - 1) * 1000)}\r\n`,
    )
    expect((await client.upTo('EndBlock\r\n')).match(/^NextMessage\r$/gm)).toHaveLength(1)
    expect(server.errors).toEqual([])
  })

  it('that is full answers FAILED, so that the sender tries elsewhere', async () => {
    await start()
    const filler = Array.from({ length: MAX_SLOT_RECORDS }, (_, number) => ({
      identity: number.toString(16).padStart(40, '0'),
      dateMs: NOW_MS,
      text: '.\n',
    }))
    await server.store.store({ type: 'message-announcement', key: MAILBOX, records: filler })
    expect(await store(record(1))).toBe('FAILED')
    expect(await client.ask('PING')).toBe('PONG')
    client.destroy()
    // A reference server that replicates would send nothing else any more (CM wire 9.4).
    client = await WireClient.connectSecure(server.port)
    expect(await client.ask('LOGIN replication REPLICATIONKEY01')).toBe('DONE')
    const lines = record(1).replaceAll('\n', '\r\n')
    client.send(`REPLICATE ${MAILBOX} none\r\n${lines}EndBlock\r\n`)
    expect(await client.line()).toBe('DONE')
  })
})
