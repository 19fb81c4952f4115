import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { tokenFor } from '../../src/bridge/bypass-tokens.ts'
import { renewBlock } from '../../src/bridge/renew-block.ts'
import type { AcknowledgmentId, AnnouncementId, BlockKey, KeyId, MessageHash } from '../../src/cm/ids.ts'
import { encodeMessageAnnouncement, parseMessageAnnouncements } from '../../src/cm/message-announcement.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import { bypassSecrets, isBypassSecretInDoubt, oldestIssuedDate } from '../../src/store/bypass-queries.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import type { DueWork, Lease } from '../../src/store/work-rows.ts'
import type { TestClock } from '../support/store.ts'
import { storePerTest } from '../support/store-per-test.ts'

/** What is kept of bypass tokens (CM wire 6). */

const BOB = '2'.repeat(40) as KeyId
const CREATED = '2026-11-23T22:00:00Z'
const NOW = '2026-11-25T00:00:00Z'

let store: Store
let accountId: AccountId
let clock: TestClock
storePerTest((fresh) => {
  ;({ store, accountId, clock } = fresh)
})

async function issue(keyId: KeyId = BOB) {
  const wanted = [{ keyId, secret: randomBytes(20) }]
  const [issued] = await store.write('issueBypassSecrets', { accountId, wanted, created: CREATED, now: NOW })
  return issued
}

const received = (secret: string, created = CREATED) => ({
  direction: 'received' as const,
  keyId: BOB,
  secret: Buffer.from(secret, 'hex'),
  created,
  expires: 'never',
})

async function keep(...secrets: readonly ReturnType<typeof received>[]): Promise<void> {
  await store.write('keepBypassSecrets', { accountId, secrets })
}

const receivedOf = () => bypassSecrets(store.read, accountId, { direction: 'received', keyId: BOB })

describe('issued secrets', () => {
  it('stay the same for a key, and differ between keys', async () => {
    const first = await issue()
    expect(first?.secret).toMatch(/^[0-9a-f]{40}$/)
    expect(await issue()).toEqual(first)
    expect((await issue('3'.repeat(40) as KeyId))?.secret).not.toBe(first?.secret)
    expect(oldestIssuedDate(store.read, accountId)).toBe(CREATED)
  })

  it('are taken over from another client of the account, and reused', async () => {
    const secret = randomBytes(20)
    const given = { direction: 'issued' as const, keyId: BOB, secret, created: CREATED, expires: 'never' }
    await store.write('keepBypassSecrets', { accountId, secrets: [given, given] })
    expect(await issue()).toMatchObject({ secret: secret.toString('hex'), created: CREATED })
    expect(bypassSecrets(store.read, accountId, { direction: 'issued' })).toHaveLength(1)
  })

  it('are replaced by new ones when they have expired', async () => {
    const given = { ...received('00'.repeat(20)), direction: 'issued' as const, expires: NOW }
    await store.write('keepBypassSecrets', { accountId, secrets: [given] })
    expect((await issue())?.secret).not.toBe('00'.repeat(20))
  })
})

describe('an announcement that waited for a week', () => {
  it('gets a new date, and the token for it', async () => {
    await keep(received('ab'.repeat(20)))
    const [secret] = receivedOf()
    if (secret === undefined) throw new Error('not kept')
    await postWith(secret.id, '1')
    const recipientId = store.read.get<{ id: number }>('SELECT id FROM outbound_recipients')?.id ?? 0
    const parts = {
      date: '2026-11-18T00:00:00Z',
      recipient: BOB,
      mailboxPrefix: '0',
      messageHash: '1'.repeat(40) as MessageHash,
      dataBlocks: ['1'.repeat(40) as BlockKey],
    }
    const text = encodeMessageAnnouncement({
      ...parts,
      proofOfWork: 'bd,1,2',
      bypassToken: tokenFor(secret, parts),
    })
    const block = {
      id: 1,
      type: 'message-announcement',
      text,
      recipientId,
      payload: null,
      target: '',
      createdMs: 0,
    } as const
    const solver = { solve: async () => 'bd,3,4', close: async () => undefined }
    const renewed = await renewBlock(
      { clock, solver, store },
      {
        block: { ...block, key: '1'.repeat(40) as BlockKey },
        payload: null,
        signal: new AbortController().signal,
      },
    )
    const parsed = parseMessageAnnouncements(renewed)
    const announcement = parsed.kind === 'ok' ? parsed.records[0]?.announcement : undefined
    expect(announcement?.date).toBe('2026-11-25T00:00:00Z')
    expect(announcement?.bypassToken).toBe(tokenFor(secret, { ...parts, date: '2026-11-25T00:00:00Z' }))
    expect(announcement?.bypassToken).not.toBe(tokenFor(secret, parts))
  })
})

describe('received secrets', () => {
  it('are kept once, and of one key only the last sixteen', async () => {
    for (let n = 0; n < 20; n += 1) {
      await keep(received(n.toString(16).padStart(40, '0')))
      clock.advance(1000)
    }
    await keep(received('13'.padStart(40, '0')))
    const kept = receivedOf().map(({ secret }) => Number.parseInt(secret, 16))
    expect(kept.sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, index) => index + 4))
  })

  it('are in doubt when mail sent with them is not acknowledged for a day, until they come again', async () => {
    await keep(received('ab'.repeat(20)))
    clock.advance(duration.minute)
    const [secret] = receivedOf()
    if (secret === undefined) throw new Error('not kept')
    const isInDoubt = () => isBypassSecretInDoubt(store.read, secret.id, { nowMs: clock.now() })
    const first = await postWith(secret.id, '1')
    expect(isInDoubt()).toBe(false)
    clock.advance(duration.day)
    expect(isInDoubt()).toBe(true)
    // One that was sent later arrived: the token is not what was wrong.
    const second = await postWith(secret.id, '2')
    await acknowledge(second)
    expect(isInDoubt()).toBe(false)
    await postWith(secret.id, '3')
    clock.advance(duration.day)
    expect(isInDoubt()).toBe(true)
    await keep(received('ab'.repeat(20)))
    expect(isInDoubt()).toBe(false)
    expect(first).not.toBe(second)
  })
})

describe('a received secret that brought nothing back', () => {
  it('is remembered when the message is given up and put away', async () => {
    await keep(received('ab'.repeat(20)))
    clock.advance(duration.minute)
    const [secret] = receivedOf()
    if (secret === undefined) throw new Error('not kept')
    await postWith(secret.id, '1')
    clock.advance(40 * duration.day)
    await store.write('expireUnconfirmed', { postedBeforeMs: clock.now() - 10 * duration.day })
    await store.write('pruneOutbound', { acceptedBeforeMs: clock.now() - 30 * duration.day, limit: 10 })
    const isInDoubt = () => isBypassSecretInDoubt(store.read, secret.id, { nowMs: clock.now() })
    expect(isInDoubt()).toBe(true)
    await keep(received('ab'.repeat(20)))
    expect(isInDoubt()).toBe(false)
  })
})

/** A message to bob, posted with the token; returns its acknowledgment id. */
async function postWith(bypassSecretId: Uint8Array, digit: string): Promise<AcknowledgmentId> {
  const sink = await store.beginSpool(accountId)
  await sink.write(Buffer.from(`Subject: ${digit}\r\n\r\nHello.\r\n`))
  const spooled = await sink.finish()
  const outcome = await store.write('acceptSubmission', {
    accountId,
    login: 'first',
    message: store.draftMessage(spooled, await indexMessage(spooled.read())),
    messageId: `<${digit}@example.org>`,
    messageUniqueId: digit.repeat(40),
    recipientsDigest: digit,
    contentDigest: digit,
    reportable: true,
    returnContent: null,
    envelopeId: null,
    releaseMs: null,
    beginsMs: 0,
    recipients: [
      {
        field: 'to',
        address: 'bob@example.net',
        keyId: BOB,
        pinned: false,
        notify: [],
        originalRecipient: null,
      },
    ],
    contacts: [],
    draftUids: [],
    sentUid: null,
  })
  if (outcome.kind !== 'accepted') throw new Error(`not accepted: ${outcome.kind}`)
  const { outboundId } = outcome
  const acknowledgmentId = digit.padStart(40, 'a') as AcknowledgmentId
  const recipientId = store.read.get<{ id: number }>(
    'SELECT id FROM outbound_recipients WHERE outbound_id = ?',
    outboundId,
  )?.id
  if (recipientId === undefined) throw new Error('no recipient')
  let due = outcome.due[0]
  due = next(
    await store.write('finishResolve', {
      lease: await claim(due),
      outboundId,
      resolutions: [{ recipientId, kind: 'resolved', keyId: BOB }],
      encodeNow: true,
      retryDelayMs: 0,
    }),
  )
  const block = {
    type: 'message-announcement' as const,
    key: digit.repeat(40) as BlockKey,
    target: 'server=127.0.0.1:1',
    text: '',
    payload: null,
    recipientId,
  }
  due = next(
    await store.write('finishEncode', {
      lease: await claim(due),
      outboundId,
      copies: [
        {
          file: `${digit}.pgp`,
          messageHash: digit.repeat(40) as MessageHash,
          announcementId: digit.repeat(40) as AnnouncementId,
          recipients: [{ recipientId, acknowledgmentId, bypassSecretId }],
          blocks: [block],
        },
      ],
      failures: [],
    }),
  )
  const lease = await claim(due)
  const blockId = store.read.get<{ id: number }>('SELECT max(id) AS id FROM outbound_blocks')?.id ?? 0
  await store.write('markBlocksPosted', { lease, blockIds: [blockId] })
  await store.write('finishPost', { lease, outboundId, postedBlockIds: [], failures: [], resolveDelayMs: 0 })
  return acknowledgmentId
}

function next(outcome: { readonly kind: string; readonly due?: readonly DueWork[] }): DueWork | undefined {
  return outcome.due?.at(-1)
}

async function claim(due: DueWork | undefined): Promise<Lease> {
  if (due === undefined) throw new Error('nothing is due')
  const lease: Lease = { row: due.row, attempt: due.attempt, incarnation: 'now' }
  expect(await store.write('claimWork', { lease, stage: due.stage })).toBeDefined()
  return lease
}

async function acknowledge(id: AcknowledgmentId): Promise<void> {
  clock.advance(1000)
  await store.write('recordPoll', {
    place: 'own',
    servers: ['127.0.0.1:8081'],
    accountId,
    announcements: [],
    acknowledged: [id],
    isFull: false,
    startedMs: clock.now(),
  })
}
