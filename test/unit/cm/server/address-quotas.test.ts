import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { duration } from '../../../../src/base/clock.ts'
import { AddressQuotas } from '../../../../src/cm/server/address-quotas.ts'
import type { CmServerContext } from '../../../../src/cm/server/context.ts'
import { serveCmConnection } from '../../../../src/cm/server/session.ts'
import { createMemoryChannelPair } from '../../../../src/net/memory-channel.ts'
import { ScriptConnection } from '../../../support/cm-client-support.ts'
import { endPeopleServerAfterEach, startPeopleServer } from '../../../support/cm-people.ts'
import { MemoryCmAccounts } from '../../../support/memory-cm-blocks.ts'

class ManualClock implements Clock {
  nowMs = Date.parse('2026-11-25T12:00:00Z')
  now = (): number => this.nowMs
  after = () => () => undefined
}

const MANY = 1000

endPeopleServerAfterEach()

function enter(quotas: AddressQuotas, address: string, times: number): number {
  return Array.from({ length: times }, () => quotas.enter(address)).filter((leave) => leave !== undefined)
    .length
}

describe('AddressQuotas', () => {
  it('gives a network its places, and each back when its connection ends', () => {
    const quotas = new AddressQuotas(new ManualClock(), 2)
    const leave = quotas.enter('192.0.2.1')
    expect(enter(quotas, '192.0.2.1', 5)).toBe(1)
    expect(enter(quotas, '192.0.2.2', 1)).toBe(1)
    leave?.()
    expect(enter(quotas, '192.0.2.1', 5)).toBe(1)
  })

  it('takes 200 connections of a network at once and five a second after that', () => {
    const clock = new ManualClock()
    const quotas = new AddressQuotas(clock, MANY)
    expect(enter(quotas, '192.0.2.1', 300)).toBe(200)
    clock.nowMs += 2 * duration.second
    expect(enter(quotas, '192.0.2.1', 300)).toBe(10)
    clock.nowMs += duration.hour
    expect(enter(quotas, '192.0.2.1', 300)).toBe(200)
  })

  it('counts an IPv6 network of 64 bits as one', () => {
    const quotas = new AddressQuotas(new ManualClock(), 1)
    expect(enter(quotas, '2001:db8:1:2::1', 1)).toBe(1)
    expect(enter(quotas, '2001:db8:1:2:ffff:1:2:3', 1)).toBe(0)
    expect(enter(quotas, '2001:db8:1:3::1', 1)).toBe(1)
    expect(enter(quotas, '2001:db8::1', 1)).toBe(1)
    expect(enter(quotas, '2001:db8::2', 1)).toBe(0)
    expect(enter(quotas, '::2', 1)).toBe(1)
  })

  it('leaves loopback alone: there stand the proxies of hidden services', () => {
    const quotas = new AddressQuotas(new ManualClock(), 1)
    for (const address of ['127.0.0.1', '127.1.2.3', '::1']) {
      expect(enter(quotas, address, MANY)).toBe(MANY)
      for (let guess = 0; guess < MANY; guess += 1) quotas.noteRefusedLogin(address)
      expect(quotas.mayGuess(address)).toBe(true)
    }
  })

  it('forgets networks, but never a connection that is open', () => {
    const quotas = new AddressQuotas(new ManualClock(), 1)
    expect(enter(quotas, '192.0.2.1', 1)).toBe(1)
    for (let index = 0; index < 20_000; index += 1) quotas.mayGuess(`198.51.${index >> 8}.${index & 255}`)
    expect(enter(quotas, '192.0.2.1', 1)).toBe(0)
  })
})

describe('a refused connection', () => {
  it('is told so, but only 32 at a time', async () => {
    const quotas = new AddressQuotas(new ManualClock(), 1)
    const slow = Promise.withResolvers<void>()
    let told = 0
    const tell = (): Promise<void> => {
      told += 1
      return slow.promise
    }
    const all = Array.from({ length: 40 }, () => quotas.explain(tell))
    expect(told).toBe(32)
    slow.resolve()
    await Promise.all(all)
    await quotas.explain(tell)
    expect(told).toBe(33)
  })
})

describe('S9: guessing keys', () => {
  it('S9: costs no more hashing after 30 refusals, while keys that were good before stay good', async () => {
    const clock = new ManualClock()
    const quotas = new AddressQuotas(clock, MANY)
    const asked: (string | undefined)[] = []
    class Accounts extends MemoryCmAccounts {
      override login(...[userId, authKey, options]: Parameters<MemoryCmAccounts['login']>) {
        asked.push(options?.which)
        return super.login(userId, authKey, options)
      }
    }
    let context: CmServerContext | undefined
    await startPeopleServer({
      context: (own) => {
        context = { ...own, clock, quotas, accounts: new Accounts({ ALICEKEY00000001: 'alice001' }) }
        return context
      },
    })
    if (context === undefined) throw new Error('the server has no context')
    for (let connection = 0; connection < 4; connection += 1) {
      const [channel, serverSide] = createMemoryChannelPair()
      void serveCmConnection(serverSide, context)
      const client = new ScriptConnection(channel)
      expect(await client.line()).toContain('READY')
      await client.send('STARTTLS\r\n')
      expect(await client.line()).toBe('PROCEED')
      await channel.startTls({ role: 'client' })
      expect(await client.line()).toBe('ENCRYPTED')
      for (let guess = 0; guess < 10; guess += 1) {
        await client.send('LOGIN alice001 WRONGKEY0001\r\n')
        expect(await client.line()).toBe('FAILED')
      }
    }
    expect(asked.filter((which) => which === 'all')).toHaveLength(30)
    expect(asked.filter((which) => which === 'remembered')).toHaveLength(10)
    clock.nowMs += 20 * duration.second
    expect(quotas.mayGuess('memory')).toBe(true)
  })
})
