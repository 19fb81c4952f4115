import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../../../../src/base/clock.ts'
import {
  dataBlock,
  heldBy,
  keysOf,
  large,
  placeOf,
  postTo,
  proxy,
  targetOf,
  type WireBlock,
} from '../../../../support/cm-relay-support.ts'
import { endRelaysAfterEach, start, stop } from '../../../../support/relays-per-test.ts'

endRelaysAfterEach()

describe('hostile items of STORE PROXY (S3)', () => {
  const HOSTILE: readonly (readonly [string, (nowMs: number) => WireBlock])[] = [
    ['without Date', (nowMs) => edited(dataBlock('a', nowMs), /^Date: .*\n/m, '')],
    [
      'with an impossible Date',
      (nowMs) => edited(dataBlock('b', nowMs), /^Date: .*$/m, 'Date: 2026-13-45T25:61:61Z'),
    ],
    ['without proof of work', (nowMs) => edited(dataBlock('c', nowMs), /^ProofOfWork: .*\n/m, '')],
    [
      'with another proof',
      (nowMs) => edited(dataBlock('d', nowMs), /^ProofOfWork: .*$/m, 'ProofOfWork: bd,1,2'),
    ],
    ['dated years ahead', (nowMs) => dataBlock('e', nowMs + 400 * duration.day)],
    ['that is a week old', (nowMs) => dataBlock('f', nowMs - 7 * duration.day)],
    ['under another key', (nowMs) => ({ ...dataBlock('g', nowMs), key: dataBlock('h', nowMs).key })],
    ['of no type', (nowMs) => edited(dataBlock('i', nowMs), /^Type: data\n/m, '')],
  ]

  it.each(HOSTILE)('refuses a block %s', async (_, make) => {
    const relay = await start()
    expect(await proxy(relay, postTo(make(relay.clock.now()), 'server=a.example:1'))).toBe('FAILED')
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0 })
    expect(readdirSync(join(relay.directory, 'payloads'))).toEqual([])
    expect(readdirSync(join(relay.directory, 'relay'))).toEqual([])
  })

  it('refuses an AFTER that comes when no server takes the block any more', async () => {
    const relay = await start()
    const block = postTo(dataBlock('too late', relay.clock.now()), 'server=a.example:1')
    expect(await proxy(relay, block, relay.clock.now() + 11 * duration.day)).toBe('FAILED')
    expect(await proxy(relay, block, relay.clock.now() - 8 * duration.day)).toBe('FAILED')
  })

  it('refuses a target that only a proxy we do not have could reach', async () => {
    const relay = await start()
    const block = dataBlock('hidden', relay.clock.now())
    expect(await proxy(relay, postTo(block, 'server=hidden.onion:1,hidden.i2p:1'))).toBe('FAILED')
    expect(await proxy(relay, postTo(block, 'server=hidden.onion:1,a.example:1'))).toBe('DONE')
  })

  it('keeps only lines a server stores, so that nothing else is passed on', async () => {
    const there = await start()
    const relay = await start({ allowed: [placeOf(there)] })
    const block = dataBlock('clean', relay.clock.now())
    const noisy = { ...block, text: `X-Unknown: NOT FOUND\n${block.text}` }
    expect(await proxy(relay, postTo(noisy, targetOf(there)))).toBe('DONE')
    await relay.pass()
    expect(await heldBy(there, block.key)).toBe(`${block.text}clean`)
  })

  it('goes on past an item that cannot be sent, and tells of it', async () => {
    const there = await start()
    const relay = await start({ allowed: [placeOf(there)] })
    const lost = dataBlock(large('lost'), relay.clock.now())
    const good = dataBlock('good', relay.clock.now())
    expect(await proxy(relay, postTo(lost, targetOf(there)))).toBe('DONE')
    for (const name of readdirSync(join(relay.directory, 'relay'))) {
      rmSync(join(relay.directory, 'relay', name))
    }
    expect(await proxy(relay, postTo(good, targetOf(there)))).toBe('DONE')
    await relay.pass()
    expect(relay.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    relay.clock.advance(2 * duration.minute)
    await relay.pass()
    expect(keysOf(there)).toEqual([good.key])
    expect(relay.relay.senderState()).toEqual({ kind: 'running' })
  })

  it('says in SELFTEST when the sender has not looked for eight intervals', async () => {
    const relay = await start()
    await relay.pass()
    await stop(relay)
    relay.clock.advance(17 * duration.minute)
    expect(relay.relay.senderState()).toEqual({ kind: 'stalled', seconds: 17 * 60 })
  })
})

function edited(block: WireBlock, pattern: RegExp, replacement: string): WireBlock {
  return { ...block, text: block.text.replace(pattern, replacement) }
}
