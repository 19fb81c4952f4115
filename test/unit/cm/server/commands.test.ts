import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { duration } from '../../../../src/base/clock.ts'
import { Secret } from '../../../../src/base/secret.ts'
import type { CmRelay } from '../../../../src/cm/server/relay/port.ts'
import { realClock } from '../../../support/cm-client-support.ts'
import {
  ALICE,
  asAlice,
  DATE_MS,
  endPeopleServerAfterEach,
  loggedIn,
  NOW_MS,
  plainClient,
  secureClient,
  send,
  startPeopleServer,
} from '../../../support/cm-people.ts'
import { upload, wireAcknowledgment } from '../../../support/cm-wire-blocks.ts'

endPeopleServerAfterEach()

const PEER = {
  server: { host: '127.0.0.1', port: 1 },
  authKey: new Secret('PEERKEY000000001'),
  certificateDigest: undefined,
}

/** A sender in a certain state, that counts how often it is woken. */
function relayInState(state: ReturnType<CmRelay['senderState']>): CmRelay & { woken: number } {
  return {
    woken: 0,
    hasPeer: false,
    acceptProxied: async () => 'FAILED',
    senderState: () => state,
    wake() {
      this.woken += 1
    },
  }
}

describe('SELFTEST', () => {
  it('says for how many seconds nothing was sent', async () => {
    const relay = relayInState({ kind: 'stalled', seconds: 961.7 })
    const client = await plainClient(
      await startPeopleServer({ context: (context) => ({ ...context, relay }) }),
    )
    expect(await client.get('SELFTEST')).toEqual(['FAIL SENDER 961', 'EndBlock'])
  })

  it('fails when the store does, and the error is logged', async () => {
    const on = await startPeopleServer({
      context: (context) => ({
        ...context,
        blocks: { ...context.blocks, store: () => Promise.reject(new Error('the disk is gone')) },
      }),
    })
    const client = await plainClient(on)
    expect(await client.get('SELFTEST')).toEqual(['FAIL STORE', 'EndBlock'])
    expect(on.errors).toMatchObject([{ message: 'the disk is gone' }])
  })
})

describe('DNS TXT', () => {
  it('is FAILED where it is switched off', async () => {
    const client = await plainClient(await startPeopleServer())
    expect(await client.ask('DNS TXT cmsvr.example.org')).toBe('FAILED')
  })

  it('gives up after ten seconds, and answers what was asked behind it', async () => {
    const real = realClock(() => NOW_MS)
    let giveUp = (): void => undefined
    const clock: Clock = {
      now: real.now,
      after(delayMs, callback) {
        if (delayMs === 10 * duration.second) giveUp = callback
        return real.after(delayMs, callback)
      },
    }
    const asked = Promise.withResolvers<void>()
    const on = await startPeopleServer({
      context: (context) => ({
        ...context,
        clock,
        resolveTxt: (_name, signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve({ kind: 'failed' }))
            asked.resolve()
          }),
      }),
    })
    const client = await plainClient(on)
    client.send('DNS TXT cmsvr.slow.example\r\nPING behind\r\n')
    await asked.promise
    giveUp()
    expect([await client.line(), await client.line()]).toEqual(['NOT FOUND', 'PONG behind'])
  })
})

describe('accounts', () => {
  it('are told to the peer in the order of their changes, with the first user of a key, but not what came from it', async () => {
    const on = await startPeopleServer({ relay: { peer: PEER } })
    const administrator = await loggedIn(on, 'administrator ADMINKEY00000001')
    expect(await administrator.ask('ADDLOGIN NEWKEY0001')).toBe('DONE')
    expect(await administrator.ask(`ADDLOGIN ${ALICE.toUpperCase()} NEWKEY0002`)).toBe('DONE')
    expect(await administrator.ask('RMLOGIN NEWKEY0002')).toBe('DONE')
    const [generated = ''] = await administrator.get('GENLOGIN 1')
    const peer = await loggedIn(on, 'replication REPLICATIONKEY01')
    expect(await peer.ask('REPLOGIN undefined PEERSKEY0001')).toBe('DONE')
    const user = await secureClient(on)
    expect(await user.ask(`LOGIN ${ALICE} NEWKEY0001`)).toBe('DONE')
    const queued = on.store.relay.replicas
      .after(0, 10)
      .map((entry) => (entry.kind === 'account' ? [entry.userId, entry.authKey.reveal()] : entry.kind))
    expect(queued).toEqual([
      ['undefined', 'NEWKEY0001'],
      [ALICE.toUpperCase(), 'NEWKEY0002'],
      ['disabled', 'NEWKEY0002'],
      ['undefined', generated],
      [ALICE, 'NEWKEY0001'],
    ])
  })

  it('are FAILED when they cannot be stored, and the connection goes on', async () => {
    const on = await startPeopleServer({
      context: (context) => ({
        ...context,
        accounts: {
          login: (...login) => context.accounts.login(...login),
          newAuthKey: () => context.accounts.newAuthKey(),
          assign: () => Promise.reject(new Error('no space')),
        },
      }),
    })
    const administrator = await loggedIn(on, 'administrator ADMINKEY00000001')
    for (const command of ['ADDLOGIN NEWKEY0001', 'RMLOGIN NEWKEY0001', 'GENLOGIN 1']) {
      expect(await administrator.ask(command)).toBe('FAILED')
    }
    expect(on.errors).toHaveLength(3)
  })
})

describe('a connection that ends', () => {
  it('wakes the sender when it may have queued something, and only then', async () => {
    const relay = relayInState({ kind: 'running' })
    const on = await startPeopleServer({ context: (context) => ({ ...context, relay }) })
    const idle = await plainClient(on)
    expect(await idle.ask('PING')).toBe('PONG')
    expect(await idle.ask('QUIT')).toBe('GOODBYE')
    expect(await idle.closed()).toBe('')
    idle.destroy()
    const poster = await asAlice(on)
    expect(await send(poster, upload(wireAcknowledgment(Buffer.alloc(20, 'w'), DATE_MS)))).toBe('DONE')
    expect(relay.woken).toBe(0)
    expect(await poster.ask('QUIT')).toBe('GOODBYE')
    expect(await poster.closed()).toBe('')
    poster.destroy()
    await expect.poll(() => relay.woken).toBe(1)
  })
})
