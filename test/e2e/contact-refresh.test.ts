import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { ContactRefresh } from '../../src/bridge/contact-refresh.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { type RivalContext, refreshContact, tellOwnRivals } from '../../src/bridge/rivals.ts'
import { type Account, accountById } from '../../src/store/account-queries.ts'
import { contactByKeyId } from '../../src/store/contact-queries.ts'
import { type AnnouncedPerson, announcePerson, joinClaims } from '../support/announced-person.ts'
import { type BlockServer, startBlockServer } from '../support/block-server.ts'
import { realClock } from '../support/cm-client-support.ts'
import { LookupBench } from '../support/lookup-bench.ts'

/** Contacts are fetched again weekly, and rivals are told to whom they concern (design 9). */

const BOB = 'bob@example.net'
const DAY = 24 * 3_600_000

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Bench {
  readonly bench: LookupBench
  readonly server: BlockServer
  readonly context: RivalContext
  readonly account: Account
  /** Kinds and subjects of what was told, in order. */
  notices(): { readonly kind: string; readonly subject: string }[]
}

async function benchWith(blocks: Record<string, string>, clock: Clock = realClock()): Promise<Bench> {
  const server = await startBlockServer({ blocks })
  ends.push(() => server.close())
  const bench = await LookupBench.open({ ownServers: [server.hostPort] })
  ends.push(() => bench.close())
  const { store, accountId } = bench
  const account = accountById(store.read, accountId)
  if (account === undefined) throw new Error('no account')
  const context = { store, clock, randomBytes, log: silentLog, lookup: bench.lookup() }
  const notices = () =>
    store.read.all<{ kind: string; subject: string }>(
      'SELECT kind, subject FROM notices ORDER BY told_ms, subject',
    )
  return { bench, server, context, account, notices }
}

async function knowBob({ bench }: Bench): Promise<void> {
  const { store, accountId } = bench
  const { found: contacts } = await bench.byAddress(BOB)
  await store.write('recordContacts', { accountId, contacts })
  for (const { keyId } of contacts) await store.write('setContactTrust', { accountId, keyId, trust: 'known' })
}

const subjectOf = (...people: readonly AnnouncedPerson[]): string =>
  people
    .map(({ keyId }) => keyId)
    .sort()
    .join(' ')

describe('a rival', () => {
  it('of a contact is told once, when a refresh finds it', async () => {
    const [bob, eve] = [await announcePerson(BOB), await announcePerson(BOB)]
    const blocks: Record<string, string> = { ...bob.blocks }
    const given = await benchWith(blocks)
    await knowBob(given)
    const { context, account } = given
    const refresh = () => refreshContact(context, account, { keyId: bob.keyId, trust: 'known' })
    expect(await refresh()).toEqual({ kind: 'answered', isFound: true, problem: undefined })
    expect(given.notices()).toEqual([])
    Object.assign(blocks, { [eve.keyId]: eve.announcement.text, [bob.claim.key]: joinClaims(bob, eve) })
    await refresh()
    await refresh()
    expect(given.notices()).toEqual([{ kind: 'new-key-for-contact', subject: subjectOf(bob, eve) }])
  })

  it('of the account’s own address is told to its owner, unless it is blocked', async () => {
    const [eve, mallory] = [
      await announcePerson('owner@example.com'),
      await announcePerson('owner@example.com'),
    ]
    const given = await benchWith({ ...eve.blocks })
    const { context, account, bench } = given
    await tellOwnRivals(context, account)
    await tellOwnRivals(context, account)
    const subject = [account.keyId, eve.keyId].sort().join(' ')
    expect(given.notices()).toEqual([{ kind: 'rival-of-own-address', subject }])
    const { store, accountId } = bench
    expect(contactByKeyId(store.read, accountId, eve.keyId)?.trust).toBe('new')

    const other = await benchWith({ ...mallory.blocks })
    const { found } = await other.bench.byAddress('owner@example.com')
    await other.bench.store.write('recordContacts', { accountId: other.bench.accountId, contacts: found })
    await other.bench.store.write('setContactTrust', {
      accountId: other.bench.accountId,
      keyId: mallory.keyId,
      trust: 'blocked',
    })
    await tellOwnRivals(other.context, other.account)
    expect(other.notices()).toEqual([])
  })
})

describe('the weekly refresh', () => {
  it('asks for contacts that are a week old, and not again for a day when nobody has them', async () => {
    const bob = await announcePerson(BOB)
    const blocks: Record<string, string> = { ...bob.blocks }
    let aheadMs = 0
    const clock = realClock(() => Date.now() + aheadMs)
    const given = await benchWith(blocks, clock)
    await knowBob(given)
    for (const name of Object.keys(blocks)) delete blocks[name]
    const { asked } = given.server
    const asksForBob = (): number => asked.filter((line) => line.endsWith(bob.claim.key)).length
    const refresh = new ContactRefresh({ ...given.context, ended: new AbortController().signal })
    const before = asksForBob()
    await refresh.pass()
    expect(asksForBob() - before).toBe(0)
    aheadMs = 7 * DAY + 60_000
    await refresh.pass()
    await refresh.pass()
    expect(asksForBob() - before).toBe(1)
    aheadMs += DAY
    await refresh.pass()
    expect(asksForBob() - before).toBe(2)
  })

  it('leaves alone who was never written to, and who is blocked', async () => {
    const bob = await announcePerson(BOB)
    const given = await benchWith(
      { ...bob.blocks },
      realClock(() => Date.now() + 8 * DAY),
    )
    const { store, accountId } = given.bench
    const { found: contacts } = await given.bench.byAddress(BOB)
    await store.write('recordContacts', { accountId, contacts })
    const refresh = new ContactRefresh({ ...given.context, ended: new AbortController().signal })
    const asksForBob = (): number => given.server.asked.filter((line) => line.endsWith(bob.claim.key)).length
    const before = asksForBob()
    await refresh.pass()
    await store.write('setContactTrust', { accountId, keyId: bob.keyId, trust: 'blocked' })
    await refresh.pass()
    expect(asksForBob()).toBe(before)
  })
})
