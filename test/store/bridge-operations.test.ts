import { describe, expect, it } from 'vitest'
import type { AnnouncementId, BlockKey, MessageHash } from '../../src/cm/ids.ts'
import type { OpenMailbox, Uid } from '../../src/imap/port.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import type { MessageDraft } from '../../src/store/blob-rows.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { outboundMessage } from '../../src/store/outbound-queries.ts'
import { RESUBMISSION_WINDOW_MS, type SubmittedMessage } from '../../src/store/submission-operations.ts'
import { waitingWork } from '../../src/store/work-queries.ts'
import type { DueWork, Lease } from '../../src/store/work-rows.ts'
import { select } from '../contract/account-mail-session.ts'
import type { TestClock } from '../support/store.ts'
import { storePerTest } from '../support/store-per-test.ts'

/** What must be true in one commit: a submission with its work, an inbound message with its end (design 4, 7.5, 8.5). */

let store: Store
let accountId: AccountId
let clock: TestClock
storePerTest((fresh) => {
  ;({ store, accountId, clock } = fresh)
})

async function draft(text = 'Hello.'): Promise<MessageDraft> {
  const sink = await store.beginSpool(accountId)
  await sink.write(Buffer.from(`Subject: x\r\nMessage-ID: <m1@example.org>\r\n\r\n${text}\r\n`))
  const spooled = await sink.finish()
  return store.draftMessage(spooled, await indexMessage(spooled.read()))
}

async function submit(changes: Partial<SubmittedMessage> = {}) {
  return store.write('acceptSubmission', {
    accountId,
    login: 'first',
    message: await draft(),
    messageId: '<m1@example.org>',
    messageUniqueId: '1'.repeat(40),
    recipientsDigest: 'to bob',
    contentDigest: 'hello',
    reportable: true,
    returnContent: null,
    envelopeId: null,
    releaseMs: null,
    beginsMs: 0,
    recipients: [
      {
        field: 'to',
        address: 'bob@example.net',
        keyId: null,
        pinned: false,
        notify: [],
        originalRecipient: null,
      },
    ],
    contacts: [],
    draftUids: [],
    sentUid: null,
    ...changes,
  })
}

async function open(mailboxName: string): Promise<OpenMailbox> {
  const account = { store, accountId, accountName: 'user', maxMessageBytes: 1_000_000 }
  return (await select(createAccountMail(account), mailboxName)).mailbox
}

async function uidsOf(mailboxName: string): Promise<Uid[]> {
  const mailbox = await open(mailboxName)
  mailbox.close()
  return mailbox.messages.map(({ uid }) => uid)
}

describe('a submission', () => {
  it('again is the same message within the window, whoever else is written to meanwhile (S03)', async () => {
    expect(await submit()).toMatchObject({ kind: 'accepted', outboundId: 1 })
    expect(await submit()).toEqual({ kind: 'already-queued', outboundId: 1 })
    expect(await submit({ recipientsDigest: 'to carol' })).toMatchObject({ kind: 'accepted', outboundId: 2 })
    expect(await submit({ contentDigest: 'other' })).toMatchObject({ kind: 'accepted', outboundId: 3 })
    expect(await submit({ messageId: null })).toMatchObject({ kind: 'accepted', outboundId: 4 })
    clock.advance(RESUBMISSION_WINDOW_MS - 1)
    expect(await submit()).toEqual({ kind: 'already-queued', outboundId: 1 })
    clock.advance(1)
    expect(await submit()).toMatchObject({ kind: 'accepted', outboundId: 5 })
    expect(await uidsOf('Outbox')).toHaveLength(5)
  })

  it('sent by many connections at once is one message', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => submit()))
    expect(outcomes.filter(({ kind }) => kind === 'accepted')).toHaveLength(1)
    expect(await uidsOf('Outbox')).toHaveLength(1)
  })

  it('that is held for later gets no Sent copy of ours before its time', async () => {
    const outcome = await submit({ beginsMs: Date.now() + 3_600_000 })
    if (outcome.kind !== 'accepted') throw new Error('not accepted')
    const [work, copy] = outcome.due
    expect(work?.stage).toBe('resolve')
    expect(copy?.stage).toBe('sentcopy')
    expect(copy?.nextAttemptMs).toBeGreaterThanOrEqual(work?.nextAttemptMs ?? Number.POSITIVE_INFINITY)
  })

  it('that was taken back leaves no word of delivery on the copy its program saved in Sent', async () => {
    const internalDateMs = clock.now()
    const append = { accountId, mailboxName: 'Sent', message: await draft(), flags: [], internalDateMs }
    await store.write('appendMessage', append)
    expect(await submit({ sentUid: 1 as Uid })).toMatchObject({ kind: 'accepted' })
    const sent = await open('Sent')
    const keywords = (): readonly string[] => sent.messages.flatMap(({ flags }) => flags)
    expect(keywords()).toContain('$CMPending')
    const outbox = await open('Outbox')
    const uids = outbox.messages.map(({ uid }) => uid)
    await outbox.storeFlags(uids, 'add', ['\\Deleted'])
    await outbox.expunge(uids)
    outbox.close()
    sent.close()
    const again = await open('Sent')
    expect(again.messages.flatMap(({ flags }) => flags)).toEqual([])
    again.close()
  })

  it('that was taken out of the Outbox is cancelled, never runs again, and may be sent again', async () => {
    const first = await submit()
    if (first.kind !== 'accepted') throw new Error('not accepted')
    const [job] = first.due
    if (job === undefined) throw new Error('no work')
    const lease: Lease = { row: job.row, attempt: job.attempt, incarnation: 'now' }
    expect(await store.write('claimWork', { lease, stage: job.stage })).toBeDefined()
    const outbox = await open('Outbox')
    const uids = outbox.messages.map(({ uid }) => uid)
    await outbox.storeFlags(uids, 'add', ['\\Deleted'])
    expect(await outbox.expunge(uids)).toEqual(uids)
    outbox.close()
    expect(outboundMessage(store.read, 1)?.state).toBe('cancelled')
    expect(waitingWork(store.read, 10).map(({ row }) => row)).not.toContain(job.row)
    const finish = { lease, outboundId: 1, resolutions: [], encodeNow: true, retryDelayMs: 0 }
    expect(await store.write('finishResolve', finish)).toEqual({ kind: 'lease-lost' })
    expect(await store.write('markBlocksPosted', { lease, blockIds: [1] })).toBe(false)
    expect(await submit()).toMatchObject({ kind: 'accepted', outboundId: 2 })
  })
})

describe('an inbound message', () => {
  async function announce(ids: readonly string[]): Promise<readonly DueWork[]> {
    return store.write('recordPoll', {
      place: 'own',
      servers: ['127.0.0.1:8081'],
      accountId,
      announcements: ids.map((id) => ({
        announcementId: id.repeat(40) as AnnouncementId,
        messageHash: id.repeat(40) as MessageHash,
        record: 'Type: message announcement\n',
        dataBlocks: ['d'.repeat(40) as BlockKey],
        hasEnoughWork: true,
        server: '127.0.0.1:8081',
      })),
      acknowledged: [],
      isFull: true,
      startedMs: clock.now(),
    })
  }

  async function finish(due: DueWork | undefined, inboundId: number) {
    if (due === undefined) throw new Error('no work')
    const lease: Lease = { row: due.row, attempt: due.attempt, incarnation: 'now' }
    await store.write('claimWork', { lease, stage: due.stage })
    return store.write('finishInbound', {
      lease,
      accountId,
      inboundId,
      end: {
        kind: 'deliver',
        mailboxName: 'INBOX',
        message: await draft(),
        flags: [],
        acknowledgment: { key: 'a'.repeat(40) as BlockKey, text: 'ack', target: 'server=127.0.0.1:8081' },
        messageUniqueId: null,
        messageId: null,
      },
      reason: 'verified',
      fingerprint: 'the same',
      contacts: [],
      pin: null,
      notices: [],
    })
  }

  it('that is announced twice under one id is work once', async () => {
    expect(await announce(['1', '1'])).toHaveLength(1)
    expect(await announce(['1'])).toEqual([])
  })

  it('that comes twice under two ids is delivered once and acknowledged once', async () => {
    const [first, second] = await announce(['1', '2'])
    const delivered = await finish(first, 1)
    expect(delivered).toMatchObject({ kind: 'ok', due: [{ stage: 'acknowledge' }] })
    expect(await finish(second, 2)).toEqual({ kind: 'duplicate', due: [] })
    expect(await uidsOf('INBOX')).toHaveLength(1)
  })

  it('is delivered by nobody who lost the lease', async () => {
    const [due] = await announce(['1'])
    if (due === undefined) throw new Error('no work')
    expect(await finish(due, 1)).toMatchObject({ kind: 'ok' })
    expect(await finish(due, 1)).toEqual({ kind: 'lease-lost' })
    expect(await uidsOf('INBOX')).toHaveLength(1)
  })
})
