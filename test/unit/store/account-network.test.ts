import { describe, expect, it } from 'vitest'
import { duration } from '../../../src/base/clock.ts'
import {
  type AccountDemand,
  type AccountServers,
  CHANGE_OVER_MS,
  changeDemand,
  changeServers,
  type ServersChange,
} from '../../../src/store/account-network.ts'

/** How an account's settings change while others still go by what was announced (CM message 10.1, wire 8.6). */

const NOW = Date.UTC(2026, 10, 25)
const UNTIL = NOW + CHANGE_OVER_MS
const key = (digit: number) => ({ id: new Uint8Array(16).fill(digit), sealed: new Uint8Array([digit]) })
const place = (authKey: ReturnType<typeof key> | null, ...servers: string[]) => ({ servers, authKey })
const NOWHERE = place(null)

const settled: AccountServers = { own: place(key(1), 'a:1', 'b:1'), old: undefined, publish: NOWHERE }
const moved: AccountServers = {
  own: place(key(2), 'c:1'),
  old: { ...place(key(1), 'a:1', 'b:1'), untilMs: UNTIL },
  publish: NOWHERE,
}

const servers = (change: ServersChange, before = settled, nowMs = NOW) => changeServers(before, change, nowMs)
const ok = (after: AccountServers) => ({ kind: 'ok', servers: after })

describe('the servers of an account', () => {
  it.each<[string, ServersChange, AccountServers]>([
    ['nothing', {}, settled],
    ['another auth key', { authKey: key(9) }, { ...settled, own: place(key(9), 'a:1', 'b:1') }],
    ['no auth key', { authKey: null }, { ...settled, own: place(null, 'a:1', 'b:1') }],
    [
      'a list that shares a server: its key stays, and what is left is old',
      { servers: ['B:1', 'c:1'] },
      { ...settled, own: place(key(1), 'B:1', 'c:1'), old: { ...place(key(1), 'a:1'), untilMs: UNTIL } },
    ],
    [
      'a longer list',
      { servers: ['a:1', 'b:1', 'c:1'] },
      { ...settled, own: place(key(1), 'a:1', 'b:1', 'c:1') },
    ],
    ['another list with its key', { servers: ['c:1'], authKey: key(2) }, moved],
    [
      'another list with a day for the old one',
      { servers: ['c:1'], authKey: key(2), oldUntilMs: NOW + duration.day },
      { ...moved, old: { ...place(key(1), 'a:1', 'b:1'), untilMs: NOW + duration.day } },
    ],
    [
      'another list and nothing old',
      { servers: ['c:1'], authKey: key(2), oldServers: [] },
      { ...moved, old: undefined },
    ],
    [
      'an old server by name',
      { oldServers: ['x:1'], oldAuthKey: key(3) },
      { ...settled, old: { ...place(key(3), 'x:1'), untilMs: UNTIL } },
    ],
    ['an old server whose time is over', { oldServers: ['x:1'], oldAuthKey: null, oldUntilMs: NOW }, settled],
    ['an old server that is a current one', { oldServers: ['a:1'], oldAuthKey: key(3) }, settled],
    [
      'a publishing server',
      { publishServers: ['p:1'], publishAuthKey: key(4) },
      { ...settled, publish: place(key(4), 'p:1') },
    ],
  ])('after %s', (_what, change, expected) => {
    expect(servers(change)).toEqual(ok(expected))
  })

  it('go back with the key they had, and what was new is old', () => {
    const back = { ...settled, old: { ...place(key(2), 'c:1'), untilMs: UNTIL } }
    expect(servers({ servers: ['a:1', 'b:1'] }, moved)).toEqual(ok(back))
  })

  it('keep the old list and its end through other changes', () => {
    expect(servers({ authKey: key(5) }, moved, NOW + duration.day)).toEqual(
      ok({ ...moved, own: place(key(5), 'c:1') }),
    )
    expect(servers({ oldUntilMs: NOW }, moved)).toEqual(ok({ ...moved, old: undefined }))
  })

  it('forget an old list whose time is over', () => {
    expect(servers({}, moved, UNTIL)).toEqual(ok({ ...moved, old: undefined }))
  })

  it.each<[string, ServersChange, AccountServers, object]>([
    ['a key for strangers', { servers: ['x:1'] }, settled, { kind: 'auth-key-wanted', place: 'own' }],
    [
      'a key for an old stranger',
      { oldServers: ['x:1'] },
      settled,
      { kind: 'auth-key-wanted', place: 'old' },
    ],
    [
      'a key for a publishing stranger',
      { publishServers: ['p:1'] },
      settled,
      { kind: 'auth-key-wanted', place: 'publish' },
    ],
    [
      'two old lists',
      { servers: ['d:1'], authKey: key(3) },
      moved,
      { kind: 'old-servers-in-use', servers: ['a:1', 'b:1'], untilMs: UNTIL },
    ],
    ['an end of nothing', { oldUntilMs: UNTIL }, settled, { kind: 'no-old-servers' }],
  ])('refuse %s', (_what, change, before, refusal) => {
    expect(servers(change, before)).toEqual(refusal)
  })

  it('need no key where there never was one', () => {
    const open = { ...settled, own: place(null, 'a:1') }
    expect(servers({ servers: ['c:1'] }, open)).toMatchObject({ servers: { own: place(null, 'c:1') } })
  })
})

describe('mailboxes and cost', () => {
  const plain: AccountDemand = { mailboxCount: 4, costBits: 24, previous: undefined }
  const raised: AccountDemand = {
    mailboxCount: 4,
    costBits: 36,
    previous: { mailboxCount: 4, costBits: 24, untilMs: UNTIL },
  }

  it.each<[string, AccountDemand, Parameters<typeof changeDemand>[1], number, AccountDemand]>([
    ['a raised cost leaves the former in force', plain, { costBits: 36 }, NOW, raised],
    ['a lowered cost counts at once', raised, { costBits: 32 }, NOW, { ...raised, costBits: 32 }],
    ['the cost of before needs nothing more', raised, { costBits: 24 }, NOW, plain],
    [
      'fewer mailboxes leave the former looked at',
      plain,
      { mailboxCount: 2 },
      NOW,
      { mailboxCount: 2, costBits: 24, previous: { mailboxCount: 4, costBits: 24, untilMs: UNTIL } },
    ],
    ['more mailboxes are no loss', plain, { mailboxCount: 16 }, NOW, { ...plain, mailboxCount: 16 }],
    [
      'a cost raised twice keeps the first, for twelve days from the second',
      raised,
      { costBits: 40 },
      NOW + duration.day,
      { ...raised, costBits: 40, previous: { mailboxCount: 4, costBits: 24, untilMs: UNTIL + duration.day } },
    ],
    [
      'what is over is forgotten',
      raised,
      { costBits: 40 },
      UNTIL,
      {
        ...raised,
        costBits: 40,
        previous: { mailboxCount: 4, costBits: 36, untilMs: UNTIL + CHANGE_OVER_MS },
      },
    ],
    ['nothing changes nothing', raised, {}, NOW, raised],
    ['nothing forgets what is over', raised, {}, UNTIL, { ...raised, previous: undefined }],
  ])('%s', (_what, before, change, nowMs, expected) => {
    expect(changeDemand(before, change, nowMs)).toEqual(expected)
  })

  it('lowered below what was accepted, then raised: the lower stays', () => {
    const lowered = changeDemand(raised, { costBits: 24, mailboxCount: 2 }, NOW)
    expect(changeDemand(lowered, { costBits: 40 }, NOW).previous).toMatchObject({
      costBits: 24,
      mailboxCount: 4,
    })
  })
})
