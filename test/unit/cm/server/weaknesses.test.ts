import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { duration } from '../../../../src/base/clock.ts'
import { type BlockKey, parseBlockKey } from '../../../../src/cm/ids.ts'
import {
  ACCOUNTS,
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
import { startTestCmServer } from '../../../support/cm-server-support.ts'
import {
  textBlock,
  upload,
  wireAcknowledgment,
  wireAnnouncement,
  wireDataBlock,
} from '../../../support/cm-wire-blocks.ts'
import { vectorBytes } from '../../../support/vectors.ts'

/** The weaknesses of the reference that concern a server, by their numbers in CM wire 10.2: we do not have them. */

endPeopleServerAfterEach()

describe('S1: a second LOGIN', () => {
  it('S1: makes nobody administrator or replication, with a wrong key or a right one', async () => {
    const client = await asAlice(await startPeopleServer())
    for (const login of [
      'administrator BOGUSKEY1',
      'replication BOGUSKEY1',
      'administrator ADMINKEY00000001',
    ]) {
      expect(await client.ask(`LOGIN ${login}`)).toBe('FAILED')
      expect(await client.ask('GENLOGIN 1')).toBe('FAILED')
      expect(await client.ask(`REPLOGIN ${ALICE} SOMEKEY00001`)).toBe('FAILED')
    }
  })
})

describe('S2: blocks of different types', () => {
  it('S2: data with the key of a mailbox or an acknowledgment takes neither away', async () => {
    const on = await startPeopleServer()
    const client = await asBob(on)
    const mail = wireAnnouncement({ recipient: BOB, dateMs: DATE_MS })
    const secret = Buffer.alloc(20, 's')
    const acknowledgment = wireAcknowledgment(secret, DATE_MS)
    const squatters = [
      wireDataBlock(Buffer.concat([Buffer.from('0'), Buffer.from(BOB, 'hex')]), NOW_MS + duration.hour),
      wireDataBlock(secret, NOW_MS + duration.hour),
    ]
    expect(squatters.map(({ key }) => key)).toEqual([mail.key, acknowledgment.key])
    for (const block of [mail, acknowledgment, ...squatters])
      expect(await send(client, upload(block))).toBe('DONE')
    expect((await client.get(`GET SERVER ${mail.key}`))[0]).toBe('Type: message-announcement')
    expect((await client.get(`GET SERVER ${acknowledgment.key}`))[0]).toBe('Type: acknowledgment')
    // And the other way round: who comes first keeps nobody out.
    const before = wireDataBlock(Buffer.concat([Buffer.from('1'), Buffer.from(BOB, 'hex')]), NOW_MS)
    const late = wireAnnouncement({ recipient: BOB, mailboxPrefix: '1', dateMs: DATE_MS })
    for (const block of [before, late]) expect(await send(client, upload(block))).toBe('DONE')
    expect((await client.get(`GET SERVER ${late.key}`))[0]).toBe('Type: message-announcement')
  })
})

describe('S3: blocks that are not whole', () => {
  it.each(['STORE SERVER', 'STORE PROXY'])(
    'S3: %s without Date or proof, or of an impossible day, ends nothing',
    async (command) => {
      const on = await startPeopleServer({ relay: {} })
      const client = await asAlice(on)
      const payload = Buffer.from('crash')
      const key = createHash('sha1').update(payload).digest('hex') as BlockKey
      const proof = 'ProofOfWork: bd,000000001,000000002\r\n'
      for (const lines of ['', 'Date: 2026-13-45T25:61:61Z\r\n', `Date: 2026-11-25T11:59:00Z\r\n`, proof]) {
        const head = `Post-To: server=127.0.0.1:1\r\nType: data\r\n${lines}Data: 5\r\n`
        const block = {
          key,
          body: Buffer.concat([Buffer.from(command === 'STORE PROXY' ? head : head.slice(29)), payload]),
        }
        expect(await send(client, upload(block, command))).toMatch(/^(DONE|FAILED)$/)
      }
      const good = wireDataBlock(Buffer.from('after the crash'), DATE_MS)
      expect(await send(client, upload(good))).toBe('DONE')
      expect((await client.get(`GET SERVER ${good.key}`)).at(-1)).toBe('after the crash')
      expect(await client.ask('SELFTEST')).toBe('PASS')
      expect(on.errors).toEqual([])
    },
  )
})

describe('S4: what came before TLS', () => {
  it('S4: a command behind STARTTLS is never obeyed, and no key is taken in clear', async () => {
    const on = await startPeopleServer()
    const client = await plainClient(on)
    expect(await client.ask(`LOGIN ${ALICE} ALICEKEY00000001`)).toBe('FAILED')
    client.send('STARTTLS\r\nPING injected\r\n')
    expect(await client.closed()).not.toContain('injected')
  })
})

describe('S5: lines that look like replies', () => {
  it('S5: no line of a stranger ends a mailbox early or pretends to be a reply', async () => {
    const on = await startPeopleServer()
    const client = await asBob(on)
    const honest = wireAnnouncement({ recipient: BOB, payload: 'honest', dateMs: DATE_MS })
    expect(await send(client, upload(honest))).toBe('DONE')
    for (const [index, line] of ['Data: 0', 'NOT FOUND', 'FAILED', 'X-Any: thing'].entries()) {
      const hostile = wireAnnouncement({
        recipient: BOB,
        payload: `${index}`,
        dateMs: DATE_MS,
        extraLines: [line],
      })
      expect(await send(client, upload(hostile))).toBe('DONE')
    }
    const loneLineFeed = wireAnnouncement({ recipient: BOB, payload: 'lf', dateMs: DATE_MS })
    const body = Buffer.from(
      loneLineFeed.body.toString('latin1').replace('Version: 1\r\n', 'Version: 1\nEndBlock\r\n'),
      'latin1',
    )
    expect(await send(client, upload({ key: loneLineFeed.key, body }))).toBe('FAILED')
    const mailbox = await client.get(`GET SERVER ${honest.key}`)
    expect(mailbox.at(-1)).toBe('EndBlock')
    expect(
      mailbox.filter(
        (line) =>
          !/^(Type|Date|Version|Recipient|Mailbox|ProofOfWork|DataBlock|MessageHash): /.test(line) &&
          line !== 'NextMessage',
      ),
    ).toEqual(['EndBlock'])
  })
})

describe('S6: relaying', () => {
  it('S6: STORE PROXY needs a login, and Post-To in STORE SERVER sends nothing and is not kept', async () => {
    const on = await startPeopleServer({ relay: {} })
    const block = wireAcknowledgment(Buffer.alloc(20, 'p'), DATE_MS)
    const body = Buffer.concat([Buffer.from(`Post-To: server=127.0.0.1:${on.port}\r\n`), block.body])
    const stranger = await secureClient(on)
    expect(await send(stranger, upload({ ...block, body }, 'STORE PROXY'))).toBe('FAILED')
    const client = await asAlice(on)
    expect(await send(client, upload({ ...block, body }))).toBe('DONE')
    expect(on.store.relay.counts()).toMatchObject({ proxied: 0 })
    expect((await client.get(`GET SERVER ${block.key}`)).join('\n')).not.toContain('Post-To')
  })

  it('S6: a target inside the network is not connected to', async () => {
    const target = await startTestCmServer({ nowMs: NOW_MS, accounts: ACCOUNTS })
    try {
      // Only this server's own listener is allowed; the target is another port of the same machine.
      const on = await startPeopleServer({ relay: {} })
      const client = await asAlice(on)
      const block = wireAcknowledgment(Buffer.alloc(20, 'q'), DATE_MS)
      const to = (port: number): Buffer => Buffer.from(`Post-To: server=127.0.0.1:${port}\r\n`)
      const body = Buffer.concat([to(target.port), to(on.port), block.body])
      expect(await send(client, upload({ ...block, body }, 'STORE PROXY'))).toBe('DONE')
      expect(await client.ask('QUIT')).toBe('GOODBYE')
      client.destroy()
      await expect.poll(() => on.stored.length).toBe(1)
      expect(target.stored).toEqual([])
    } finally {
      await target.close()
    }
  })
})

describe('S7: claims', () => {
  it('S7: a claim that its key did not sign is dropped where the key is known', async () => {
    const nowMs = Date.parse('2025-01-20T10:00:00Z')
    const bob = 'DA3F4E31AE4082ECF960B007EC8DACBE1CA9E289'
    const on = await startPeopleServer({ nowMs, accounts: { BOBKEY0000000001: bob } })
    const client = await loggedIn(on, `${bob} BOBKEY0000000001`)
    const claimKey = parseBlockKey('261ff6da2b2d35500dc3f050d71fbc4334a829cc') as BlockKey
    const vector = (key: BlockKey, name: string): Buffer =>
      upload(textBlock(key, vectorBytes(name).toString('utf8')))
    expect(
      await send(client, vector(parseBlockKey(bob) as BlockKey, 'announcements/bob-server-nobypass.txt')),
    ).toBe('DONE')
    for (const name of ['forged-signature', 'unsigned']) {
      expect(await send(client, vector(claimKey, `claims/${name}.txt`))).toBe('DONE')
      expect(await client.ask(`GET SERVER ${claimKey}`)).toBe('NOT FOUND')
    }
    expect(await send(client, vector(claimKey, 'claims/bob.txt'))).toBe('DONE')
    expect((await client.get(`GET SERVER ${claimKey}`))[0]).toBe('-----BEGIN PGP SIGNED MESSAGE-----')
  })
})

describe('S8: proofs of work', () => {
  it('S8: a record without Recipient is dropped, whatever its mailbox says', async () => {
    const on = await startPeopleServer()
    const client = await asBob(on)
    const block = wireAnnouncement({ recipient: BOB, dateMs: DATE_MS })
    const body = Buffer.from(block.body.toString('latin1').replace(/Recipient: .*\r\n/, ''), 'latin1')
    expect(await send(client, upload({ key: block.key, body }))).toBe('DONE')
    expect(await client.ask(`GET SERVER ${block.key}`)).toBe('NOT FOUND')
  })
})
