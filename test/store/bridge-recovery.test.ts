import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OUTBOUND_WORK_PREFIX, prepareBridgeDirectories } from '../../src/bridge/bridge-context.ts'
import type { AcknowledgmentId, AnnouncementId, BlockKey, KeyId, MessageHash } from '../../src/cm/ids.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import type { MessageDraft } from '../../src/store/blob-rows.ts'
import type { AccountId } from '../../src/store/ids.ts'
import { inboundMessage } from '../../src/store/inbound-queries.ts'
import { findMailboxState, listSummaries } from '../../src/store/mailbox-queries.ts'
import type { Store } from '../../src/store/open-store.ts'
import { outboundRecipients } from '../../src/store/outbound-queries.ts'
import { submissionByMessageId } from '../../src/store/submission-queries.ts'
import { waitingWork } from '../../src/store/work-queries.ts'
import type { Lease } from '../../src/store/work-rows.ts'
import { createTempDirectory, createTestClock, insertTestAccount, openTestStore } from '../support/store.ts'

/** What goes on after something went wrong: tries that back off, reports that are all made, blocks that are fetched again. */

let directory: Awaited<ReturnType<typeof createTempDirectory>>
let store: Store
let accountId: AccountId

beforeEach(async () => {
  directory = await createTempDirectory()
  store = await openTestStore(directory.path, createTestClock())
  accountId = await insertTestAccount(store)
})
afterEach(async () => {
  await store.close()
  await directory.remove()
})

async function draft(): Promise<MessageDraft> {
  const sink = await store.beginSpool(accountId)
  await sink.write(Buffer.from('Subject: x\r\nMessage-ID: <m1@example.org>\r\n\r\nHello.\r\n'))
  const spooled = await sink.finish()
  return store.draftMessage(spooled, await indexMessage(spooled.read()))
}

/** One message to everybody named; accepted as number 1. */
async function submit(addresses: readonly string[]) {
  return store.write('acceptSubmission', {
    accountId,
    login: 'first',
    message: await draft(),
    messageId: '<m1@example.org>',
    messageUniqueId: '1'.repeat(40),
    recipientsDigest: addresses.join(),
    contentDigest: 'hello',
    reportable: true,
    returnContent: null,
    envelopeId: null,
    releaseMs: null,
    beginsMs: 0,
    recipients: addresses.map((address) => ({
      field: 'to',
      address,
      keyId: null,
      pinned: false,
      notify: ['success', 'failure'],
      originalRecipient: null,
    })),
    contacts: [],
    draftUids: [],
    sentUid: null,
  })
}

/** Claims the waiting attempt of a row. */
async function claim(row: string) {
  const due = waitingWork(store.read, 100).find((work) => work.row === row)
  if (due === undefined) throw new Error(`${row} does not wait`)
  const lease: Lease = { row, attempt: due.attempt, incarnation: 'now' }
  const claimed = await store.write('claimWork', { lease, stage: due.stage })
  if (claimed === undefined) throw new Error(`${row} cannot be claimed`)
  return { lease, ...claimed }
}

function idOf(address: string): number {
  const found = outboundRecipients(store.read, 1).find((recipient) => recipient.address === address)
  if (found === undefined) throw new Error(`no recipient ${address}`)
  return found.id
}

function failureOf(address: string) {
  return { recipientId: idOf(address), kind: 'failed', statusCode: '5.1.1', diagnostic: 'no key' } as const
}

function countOf(mailboxName: string): number {
  const mailbox = findMailboxState(store.read, accountId, mailboxName)
  return mailbox === undefined ? 0 : listSummaries(store.read, mailbox.id).length
}

describe('resolving', () => {
  it('counts its failed tries, so that the distance between them grows', async () => {
    await submit(['bob@example.net'])
    for (const failures of [0, 1, 2]) {
      const { lease, failures: counted } = await claim('om1')
      expect(counted).toBe(failures)
      const args = { lease, outboundId: 1, resolutions: [], encodeNow: false, retryDelayMs: 0 }
      expect(await store.write('finishResolve', args)).toMatchObject({
        kind: 'ok',
        due: [{ stage: 'resolve' }],
      })
    }
  })

  it('that failed for everybody lets the same submission be sent again', async () => {
    await submit(['bob@example.net'])
    expect(await submit(['bob@example.net'])).toEqual({ kind: 'already-queued', outboundId: 1 })
    const { lease } = await claim('om1')
    const resolutions = [failureOf('bob@example.net')]
    await store.write('finishResolve', {
      lease,
      outboundId: 1,
      resolutions,
      encodeNow: false,
      retryDelayMs: 0,
    })
    expect(await submit(['bob@example.net'])).toMatchObject({ kind: 'accepted', outboundId: 2 })
  })
})

describe('a report', () => {
  it('leaves its row for the recipients who came to another end meanwhile', async () => {
    await submit(['bob@example.net', 'carol@example.net'])
    const resolving = await claim('om1')
    await store.write('finishResolve', {
      lease: resolving.lease,
      outboundId: 1,
      resolutions: [
        failureOf('bob@example.net'),
        { recipientId: idOf('carol@example.net'), kind: 'resolved', keyId: 'c'.repeat(40) as KeyId },
      ],
      encodeNow: false,
      retryDelayMs: 0,
    })
    const { lease } = await claim('rp1')
    const report = {
      lease,
      accountId,
      message: await draft(),
      recipientIds: [idOf('bob@example.net')],
      isDelay: false,
      outboundId: 1,
    }
    expect(await store.write('deliverReport', report)).toBe('done')
    expect(await store.write('repeatWork', { lease, delayMs: 0 })).toMatchObject({ stage: 'report' })
    expect(countOf('INBOX')).toBe(1)
  })
})

describe('an acknowledgment', () => {
  it('counts for every address of its key, and is reported when one of them asked', async () => {
    await submit(['bob@example.net', 'robert@example.net'])
    const resolving = await claim('om1')
    const ids = [idOf('bob@example.net'), idOf('robert@example.net')]
    const keyId = 'b'.repeat(40) as KeyId
    const resolutions = ids.map((recipientId) => ({ recipientId, kind: 'resolved', keyId }) as const)
    await store.write('finishResolve', {
      lease: resolving.lease,
      outboundId: 1,
      resolutions,
      encodeNow: true,
      retryDelayMs: 0,
    })
    const { lease } = await claim('om1')
    const acknowledgmentId = 'a'.repeat(40) as AcknowledgmentId
    await store.write('finishEncode', {
      lease,
      outboundId: 1,
      failures: [],
      copies: [
        {
          file: `${randomUUID()}.pgp`,
          messageHash: 'd'.repeat(40) as MessageHash,
          announcementId: 'e'.repeat(40) as AnnouncementId,
          recipients: ids.map((recipientId) => ({ recipientId, acknowledgmentId })),
          blocks: ids.map((recipientId) => ({
            type: 'message-announcement',
            key: 'f'.repeat(40) as BlockKey,
            target: 'server=cm.example.net:8081',
            text: 'Type: message-announcement\n',
            payload: null,
            recipientId,
          })),
        },
      ],
    })
    const posting = await claim('om1')
    await store.write('markBlocksPosted', { lease: posting.lease, blockIds: [1, 2] })
    await store.write('finishPost', {
      lease: posting.lease,
      postedBlockIds: [],
      outboundId: 1,
      failures: [],
      resolveDelayMs: 0,
    })
    const due = await store.write('recordPoll', {
      place: 'own',
      servers: ['127.0.0.1:8081'],
      accountId,
      announcements: [],
      acknowledged: [acknowledgmentId],
      isFull: true,
      startedMs: 0,
    })
    expect(due.map(({ row }) => row)).toEqual(['rp1'])
    expect(outboundRecipients(store.read, 1).map(({ state }) => state)).toEqual([
      'acknowledged',
      'acknowledged',
    ])
  })
})

describe('the Sent copy', () => {
  it('is the client’s when its APPEND and the submission did not see each other', async () => {
    const message = await draft()
    const appended = await store.write('appendMessage', {
      accountId,
      mailboxName: 'Sent',
      message,
      flags: [],
      internalDateMs: null,
    })
    if (appended.kind !== 'ok') throw new Error('not appended')
    await submit(['bob@example.net'])
    const { lease } = await claim('sent1')
    const clientUid = appended.uid
    expect(await store.write('makeSentCopy', { lease, outboundId: 1, clientUid })).toBe('done')
    expect(countOf('Sent')).toBe(1)
    const by = { messageId: '<m1@example.org>', sinceMs: 0 }
    expect(submissionByMessageId(store.read, accountId, by)).toBeUndefined()
  })
})

describe('an inbound message', () => {
  it('whose block the disk lost goes back to fetching, for that block only', async () => {
    const keys = ['a', 'b'].map((digit) => digit.repeat(40) as BlockKey)
    await store.write('recordPoll', {
      place: 'own',
      servers: ['127.0.0.1:8081'],
      accountId,
      announcements: [
        {
          announcementId: randomBytes(20).toString('hex') as AnnouncementId,
          messageHash: randomBytes(20).toString('hex') as MessageHash,
          record: 'Type: message-announcement\n',
          dataBlocks: keys,
          hasEnoughWork: true,
          server: 'cm.example.net:8081',
        },
      ],
      acknowledged: [],
      isFull: true,
      startedMs: 0,
    })
    const fetching = await claim('in1')
    for (const position of [0, 1]) {
      await store.write('markBlockFetched', { lease: fetching.lease, inboundId: 1, position })
    }
    await store.write('finishFetch', { lease: fetching.lease, accountId, inboundId: 1 })
    const { lease, stage } = await claim('in1')
    expect(stage).toBe('decode')
    const lost = { lease, accountId, inboundId: 1, keys: keys.slice(1), delayMs: 0 }
    expect(await store.write('refetchBlocks', lost)).toMatchObject([{ row: 'in1', stage: 'fetch' }])
    expect(inboundMessage(store.read, 1)?.blocks.map(({ isFetched }) => isFetched)).toEqual([true, false])
    expect(await store.write('refetchBlocks', lost)).toEqual([])
  })
})

describe('the directories', () => {
  it('lose what a killed run left in clear when they are prepared', async () => {
    const { outbound } = await prepareBridgeDirectories(directory.path)
    const left = join(outbound, `${OUTBOUND_WORK_PREFIX}${randomUUID()}`, 'copy-1')
    await mkdir(left, { recursive: true })
    await prepareBridgeDirectories(directory.path)
    expect(existsSync(left)).toBe(false)
  })
})
