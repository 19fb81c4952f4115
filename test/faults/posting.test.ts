import { afterEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import type { KeyLookup } from '../../src/bridge/key-lookup.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Posting, type RecordingServer, startRecordingServer } from '../support/posting.ts'

/** Posting when servers fail (CM wire 8.2, 8.5): what the reference loses there, we do not. */

let servers: RecordingServer[] = []
let posting: Posting | undefined

afterEach(async () => {
  await posting?.close()
  for (const server of servers) await server.close()
  posting = undefined
  servers = []
})

async function server(onStore?: () => Promise<void>): Promise<RecordingServer> {
  const started = await startRecordingServer(onStore)
  servers.push(started)
  return started
}

async function start(options: Partial<Parameters<typeof Posting.start>[0]> = {}): Promise<Posting> {
  const privateServers = servers.map(({ hostPort }) => hostPort)
  posting = await Posting.start({ ownServers: ['127.0.0.1:1'], privateServers, ...options })
  return posting
}

const targetOf = (...list: RecordingServer[]) => `server=${list.map(({ hostPort }) => hostPort).join(',')}`

/** The kinds of blocks in the order they came: `data` or `announcement`. */
function blocksOf({ heard }: RecordingServer): string[] {
  return heard
    .filter((line) => line.startsWith('STORE'))
    .map((line) => (line.includes('Type: data') ? 'data' : 'announcement'))
}

describe('posting', () => {
  it('gives data before the announcement, without login and without a word on where it goes', async () => {
    const target = await server()
    const alice = await start()
    const id = await alice.encoded([targetOf(target)])
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(blocksOf(target)).toEqual(['data', 'announcement'])
    expect(target.heard.every((line) => line.startsWith('STORE SERVER '))).toBe(true)
    expect(target.heard.join()).not.toMatch(/Post-To|LOGIN/)
    expect(alice.state(id)).toBe('posted')
    expect(alice.recipients(id)).toMatchObject([{ state: 'posted', posted_ms: alice.nowMs }])
  })

  it.each([
    ['FAILED', ['data', 'announcement'], ['announcement']],
    ['close', ['data', 'announcement'], ['announcement']],
  ] as const)(
    'gives the block that one server answered with %s to the next one, and only that',
    async (answer, atFirst, atSecond) => {
      const [first, second] = [await server(), await server()]
      const alice = await start()
      // The order of the list is random: whoever comes first fails at its second block.
      for (const { answers } of [first, second]) answers.push('DONE', answer)
      const id = await alice.encoded([targetOf(first, second)])
      await alice.post(id)
      const heard = [blocksOf(first), blocksOf(second)].sort((one, other) => other.length - one.length)
      expect(heard).toEqual([atFirst, atSecond])
      expect(alice.state(id)).toBe('posted')
    },
  )

  it('goes on at another target when one does not answer, and does the rest later', async () => {
    const [good, bad] = [await server(), await server()]
    const alice = await start()
    bad.answers.push('FAILED')
    const id = await alice.encoded([targetOf(bad), targetOf(good)])
    const outcome = await alice.post(id)
    expect(outcome).toMatchObject({
      kind: 'retry',
      reason: expect.stringContaining(`${bad.hostPort} refused`),
    })
    expect(blocksOf(good)).toEqual(['data', 'announcement'])
    expect(alice.state(id)).toBe('posting')
    expect(alice.recipients(id).map(({ state }) => state)).toEqual(['resolved', 'posted'])
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(blocksOf(good)).toHaveLength(2)
    expect(blocksOf(bad)).toEqual(['data', 'data', 'announcement'])
    expect(alice.state(id)).toBe('posted')
  })

  it('posts to everybody else at a server that has no room for one of them', async () => {
    const target = await server()
    const alice = await start()
    target.answers.push('DONE', 'DONE', 'FAILED')
    const id = await alice.encoded([targetOf(target), targetOf(target)])
    expect(await alice.post(id)).toMatchObject({ kind: 'retry' })
    expect(blocksOf(target)).toEqual(['data', 'data', 'announcement', 'announcement'])
    expect(alice.recipients(id).map(({ state }) => state)).toEqual(['resolved', 'posted'])
    await alice.post(id)
    expect(blocksOf(target).slice(4)).toEqual(['announcement'])
    expect(alice.state(id)).toBe('posted')
  })

  it('stops before the announcement when the message was taken out of the Outbox', async () => {
    const target = await server(async () => {
      await posting?.store.write('releaseLease', { row: 'om1', incarnation: 'test' })
    })
    const alice = await start()
    const id = await alice.encoded([targetOf(target)])
    expect(await alice.post(id)).toEqual({ kind: 'lease-lost' })
    expect(blocksOf(target)).toEqual(['data'])
  })

  it('gives a block that waited a week a new date and proof of work', async () => {
    const target = await server()
    const alice = await start()
    target.answers.push('FAILED')
    const id = await alice.encoded([targetOf(target)])
    await alice.post(id)
    const oldDate = formatUtcTime(Math.floor(alice.nowMs / 1000) * 1000)
    alice.advance(2 * duration.day)
    target.answers.push('FAILED')
    await alice.post(id)
    expect(target.heard.filter((line) => line.includes(`Date: ${oldDate}`))).toHaveLength(2)
    alice.advance(5 * duration.day + duration.second)
    await alice.post(id)
    const newDate = formatUtcTime(Math.floor(alice.nowMs / 1000) * 1000)
    const renewed = target.heard.filter((line) => line.startsWith('STORE')).slice(2)
    expect(renewed).toHaveLength(2)
    for (const block of renewed) {
      expect(block).toContain(`Date: ${newDate}`)
      expect(block).toMatch(/ProofOfWork: bd,[0-9a-f]+,/)
    }
    // The data are the same, and so is what the announcement says of them.
    expect(renewed[0]).toContain('ciphertext')
  })

  it('fails the recipient after three days of trying, not of sleeping', async () => {
    const target = await server()
    const alice = await start()
    const id = await alice.encoded([targetOf(target)])
    alice.advance(3 * duration.day)
    target.answers.push('FAILED', 'FAILED')
    expect(await alice.post(id, 11)).toMatchObject({ kind: 'retry' })
    expect(alice.recipients(id)).toMatchObject([{ state: 'resolved' }])
    expect(await alice.post(id, 12)).toMatchObject({ kind: 'moved' })
    expect(alice.recipients(id)).toMatchObject([{ state: 'failed', status_code: '4.4.1' }])
  })

  it('wakes what waits for a server as soon as that server answers again', async () => {
    const target = await server()
    const alice = await start()
    target.answers.push('FAILED')
    const [first, second] = [await alice.encoded([targetOf(target)]), await alice.encoded([targetOf(target)])]
    expect(await alice.post(first)).toMatchObject({ kind: 'retry' })
    const outcome = await alice.post(second)
    expect(outcome).toMatchObject({ kind: 'moved', due: [{ row: `om${first}`, nextAttemptMs: alice.nowMs }] })
  })
})

describe('posting through the own server', () => {
  it('hands over every block with its target, logged in, and leaves so that it is passed on', async () => {
    const [own, target] = [await server(), await server()]
    const alice = await start({ ownServers: [own.hostPort], postByProxy: ['direct'] })
    const id = await alice.encoded([targetOf(target)])
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(target.heard).toEqual([])
    expect(own.heard[0]).toBe(`LOGIN ${alice.alice.keyId.toUpperCase()} KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKE`)
    expect(blocksOf(own)).toEqual(['data', 'announcement'])
    for (const block of own.heard.filter((line) => line.startsWith('STORE'))) {
      expect(block).toMatch(/^STORE PROXY [0-9a-f]{40}\|Post-To: server=127\.0\.0\.1:\d+\|Type: /)
    }
    await alice.context.cm.sessions.close()
    expect(own.heard.at(-1)).toBe('QUIT')
  })

  it('takes the next own server when one refuses', async () => {
    const [one, other, target] = [await server(), await server(), await server()]
    const alice = await start({ ownServers: [one.hostPort, other.hostPort], postByProxy: ['direct'] })
    one.answers.push('FAILED')
    other.answers.push('FAILED')
    const id = await alice.encoded([targetOf(target)])
    // Both refuse once, in whatever order; then both would take it.
    await alice.post(id)
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect([...one.heard, ...other.heard].filter((line) => line.startsWith('LOGIN'))).toHaveLength(3)
  })

  it('takes no more than four of its connections', async () => {
    let [now, most] = [0, 0]
    const own = await server(async () => {
      now += 1
      most = Math.max(most, now)
      // As long as a few commits take, so that others come meanwhile if they may.
      for (let turn = 0; turn < 5; turn += 1) await posting?.store.write('wakeWork', { row: 'none' })
      now -= 1
    })
    const alice = await start({ ownServers: [own.hostPort], postByProxy: ['direct'] })
    const targets = (first: number) => [0, 1, 2].map((index) => `server=203.0.113.${first + index}:8081`)
    const ids = [
      await alice.encoded(targets(1)),
      await alice.encoded(targets(4)),
      await alice.encoded(targets(7)),
    ]
    for (const outcome of await Promise.all(ids.map((id) => alice.post(id)))) {
      expect(outcome).toMatchObject({ kind: 'moved' })
    }
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(4)
  })

  it('is only for the classes it was asked for', async () => {
    const [own, target] = [await server(), await server()]
    const alice = await start({ ownServers: [own.hostPort], postByProxy: ['tor', 'i2p'] })
    const id = await alice.encoded([targetOf(target), 'server=abcdefgh.onion:8081'])
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(blocksOf(target)).toEqual(['data', 'announcement'])
    expect(own.heard.filter((line) => line.includes('Post-To: server=abcdefgh.onion:8081'))).toHaveLength(2)
  })
})

describe('an acknowledgment', () => {
  it('is tried again at the next server, and given up after three days', async () => {
    const target = await server()
    const alice = await start()
    const row = await alice.acknowledgment(targetOf(target))
    target.answers.push('FAILED', 'close')
    for (const reason of ['refused', 'hung up']) {
      const outcome = await alice.acknowledge(row)
      expect(outcome).toEqual({ kind: 'retry', reason: `${target.hostPort} ${reason}` })
    }
    alice.advance(3 * duration.day + 1)
    expect(await alice.acknowledge(row)).toEqual({ kind: 'moved', due: [] })
    expect(target.heard.filter((line) => line.startsWith('STORE'))).toHaveLength(2)
  })

  it('waits two minutes for all the servers its sender wrote down', async () => {
    const asked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const silent = await server(() => {
      asked.resolve()
      return release.promise
    })
    const alice = await start()
    const row = await alice.acknowledgment(targetOf(silent))
    const clock = new ManualClock(alice.nowMs)
    const outcome = alice.acknowledge(row, clock)
    await asked.promise
    clock.advance(2 * duration.minute)
    expect(await outcome).toMatchObject({
      kind: 'retry',
      reason: expect.stringContaining('no answer in time'),
    })
    release.resolve()
  })

  it('goes through the own server when its class of servers does', async () => {
    const [own, target] = [await server(), await server()]
    const alice = await start({ ownServers: [own.hostPort], postByProxy: ['direct'] })
    expect(await alice.acknowledge(await alice.acknowledgment(targetOf(target)))).toMatchObject({
      kind: 'moved',
    })
    expect(target.heard).toEqual([])
    expect(own.heard[1]).toBe(
      `STORE PROXY ${'3'.repeat(40)}|Post-To: ${targetOf(target)}|Type: acknowledgment`,
    )
  })
})

describe('a message with a time', () => {
  it('goes to the own server with that time, and counts as posted from then on', async () => {
    const [own, target] = [await server(), await server()]
    const alice = await start({ ownServers: [own.hostPort] })
    const releaseMs = Math.floor(alice.nowMs / 1000) * 1000 + duration.hour
    const id = await alice.encoded([targetOf(target)], releaseMs)
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(target.heard).toEqual([])
    const after = formatUtcTime(releaseMs)
    const stored = own.heard.filter((line) => line.startsWith('STORE'))
    expect(stored).toHaveLength(2)
    for (const block of stored)
      expect(block).toMatch(new RegExp(`^STORE PROXY [0-9a-f]{40} AFTER ${after}\\|Post-To: server=`))
    expect(stored.join()).not.toMatch(/embargo/i)
    expect(alice.recipients(id)).toMatchObject([{ state: 'posted', posted_ms: releaseMs }])
  })

  it('does not wait for a recipient without a key until its time has come', async () => {
    const alice = await start()
    const id = await alice.submitted(2, alice.nowMs + 2 * duration.day)
    const found = {
      ...{
        keyId: '7'.repeat(40) as KeyId,
        userId: 'Bob <bob0@example.net>',
        addresses: ['bob0@example.net'],
      },
      ...{ announcement: '', announcedMs: alice.nowMs },
    }
    const lookup: KeyLookup = {
      byAddress: async (_, address) =>
        address === 'bob0@example.net'
          ? { kind: 'answered', found: [found], unusable: [], dropped: [] }
          : { kind: 'unreachable', reason: 'no answer', found: [], unusable: [], dropped: [] },
      byKeyId: () => Promise.reject(new Error('not asked')),
    }
    expect(await alice.resolve(id, lookup)).toMatchObject({ kind: 'moved', due: [{ stage: 'resolve' }] })
    alice.advance(10 * duration.minute)
    expect(await alice.resolve(id, lookup)).toMatchObject({ kind: 'moved', due: [{ stage: 'encode' }] })
  })

  it('is held here when the own server does not keep it, and posted when its time has come', async () => {
    const [own, target] = [await server(), await server()]
    const alice = await start({ ownServers: [own.hostPort] })
    const id = await alice.encoded([targetOf(target)], alice.nowMs + 5000)
    own.answers.push('FAILED')
    const held = await alice.post(id)
    expect(held).toMatchObject({ kind: 'retry' })
    expect(held.kind === 'retry' && held.delayMs).toBeLessThanOrEqual(5000)
    expect(target.heard).toEqual([])
    alice.advance(5000)
    expect(await alice.post(id)).toMatchObject({ kind: 'moved' })
    expect(blocksOf(target)).toEqual(['data', 'announcement'])
  })
})
