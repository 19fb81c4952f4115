import { describe, expect, it } from 'vitest'
import { MailboxView } from '../../../src/imap/mailbox-view.ts'
import type { MailboxChange, MessageSummary, Uid } from '../../../src/imap/port.ts'

function summary(uid: number, modSeq = uid, ...flags: string[]): MessageSummary {
  return { uid: uid as Uid, modSeq, flags }
}

function expunged(uid: number, modSeq = 100): MailboxChange {
  return { kind: 'expunged', uid: uid as Uid, modSeq }
}

function viewOf(...uids: number[]): MailboxView {
  const view = new MailboxView({ isReadOnly: false })
  view.start(
    uids.map((uid) => summary(uid)),
    [],
  )
  return view
}

const ALL = { expunges: 'told' } as const
const HELD = { expunges: 'held' } as const

describe('MailboxView', () => {
  it('renumbers as it tells each EXPUNGE', () => {
    const view = viewOf(1, 2, 3, 4)
    view.apply(expunged(1))
    view.apply(expunged(3))
    expect(view.flush(ALL)).toEqual([
      { kind: 'EXPUNGE', seqNum: 1 },
      { kind: 'EXPUNGE', seqNum: 2 },
    ])
    expect([...view.messages()].map(({ uid }) => uid)).toEqual([2, 4])
  })

  it('holds EXPUNGE back and still tells what arrived (RFC 9051 7.5.1)', () => {
    const view = viewOf(1, 2)
    view.apply(expunged(1))
    view.apply({ kind: 'added', message: summary(3) })
    expect(view.flush(HELD)).toEqual([{ kind: 'EXISTS', count: 3 }])
    expect(view.seqNumOf(1 as Uid)).toBe(1)
    expect(view.flush(ALL)).toEqual([{ kind: 'EXPUNGE', seqNum: 1 }])
  })

  it('says EXISTS only when the number grew (case I06)', () => {
    const view = viewOf(1)
    view.apply(expunged(1))
    expect(view.flush(ALL)).toEqual([{ kind: 'EXPUNGE', seqNum: 1 }])
    expect(view.flush(ALL)).toEqual([])
  })

  it('never speaks of a message that came and went between two commands', () => {
    const view = viewOf(1)
    view.apply({ kind: 'added', message: summary(2) })
    view.apply(expunged(2))
    expect(view.flush(ALL)).toEqual([])
    expect(view.size).toBe(1)
  })

  it('takes a change that raced the snapshot once', () => {
    const view = new MailboxView({ isReadOnly: false })
    view.apply({ kind: 'added', message: summary(2) })
    view.apply(expunged(1))
    view.start([summary(1), summary(2)], [])
    expect(view.flush(ALL)).toEqual([{ kind: 'EXPUNGE', seqNum: 1 }])
    expect(view.size).toBe(1)
  })

  it('tells only the latest of several flag changes', () => {
    const view = viewOf(1)
    view.apply({ kind: 'flags', message: summary(1, 5, '\\Seen') })
    view.apply({ kind: 'flags', message: summary(1, 6, '\\Flagged') })
    expect(view.flush(ALL)).toEqual([
      {
        kind: 'FETCH',
        seqNum: 1,
        items: [
          { kind: 'UID', uid: 1 },
          { kind: 'FLAGS', flags: ['\\Flagged'] },
        ],
      },
    ])
  })

  it('a silent STORE is not told, whether its change comes before the outcome or behind it', () => {
    const store = { mode: 'add', flags: ['\\seen'], silent: true } as const
    const before = viewOf(1)
    before.apply({ kind: 'flags', message: summary(1, 5, '\\Seen') })
    before.stored([summary(1, 5, '\\Seen')], store)
    expect(before.flush(ALL)).toEqual([])
    const behind = viewOf(1)
    behind.stored([summary(1, 5, '\\Seen')], store)
    behind.apply({ kind: 'flags', message: summary(1, 5, '\\Seen') })
    expect(behind.flush(ALL)).toEqual([])
  })

  it('a silent STORE tells what somebody else changed', () => {
    const view = viewOf(1)
    view.stored([summary(1, 6, '\\Seen', '\\Flagged')], { mode: 'add', flags: ['\\Seen'], silent: true })
    expect(view.flush(ALL)).toHaveLength(1)
  })

  it('flags told by a FETCH are not told again', () => {
    const view = viewOf(1)
    view.apply({ kind: 'flags', message: summary(1, 5, '\\Seen') })
    view.told(summary(1, 5, '\\Seen'))
    expect(view.flush(ALL)).toEqual([])
  })

  it('tells a keyword the client has not heard of before its first use', () => {
    const view = viewOf(1)
    view.apply({ kind: 'flags', message: summary(1, 5, '$New') })
    expect(view.flush(ALL).map(({ kind }) => kind)).toEqual(['FLAGS', 'condition', 'FETCH'])
  })

  it('knows messages by UID and by number', () => {
    const view = viewOf(3, 5, 9)
    const uids = (messages: readonly { uid: Uid }[] | undefined): number[] | undefined =>
      messages?.map(({ uid }) => uid)
    expect(uids(view.byUid([{ from: 4, to: 9 }]))).toEqual([5, 9])
    expect(uids(view.byUid([{ from: 559, to: '*' }]))).toEqual([9])
    expect(uids(view.byUid([{ from: 1, to: 2 }]))).toEqual([])
    expect(uids(view.bySeqNum([{ from: 2, to: '*' }]))).toEqual([5, 9])
    expect(view.bySeqNum([{ from: 4, to: 4 }])).toBeUndefined()
    expect(viewOf().bySeqNum([{ from: 1, to: '*' }])).toBeUndefined()
    expect(viewOf().byUid([{ from: 1, to: '*' }])).toEqual([])
  })
})
