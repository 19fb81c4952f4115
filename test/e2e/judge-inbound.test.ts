import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { afterEach, describe, expect, it } from 'vitest'
import { judgeInbound } from '../../src/bridge/judge-inbound.ts'
import type { KeyLookup, LookupOutcome } from '../../src/bridge/key-lookup.ts'
import { readAnnouncedKey } from '../../src/bridge/lookup/read-announced-key.ts'
import { incomingFields } from '../../src/bridge/render/incoming-headers.ts'
import type { AnnouncementId, KeyId } from '../../src/cm/ids.ts'
import { type OpenedMessage, openContainer } from '../../src/cm/message/decode-message.ts'
import { accountById } from '../../src/store/account-queries.ts'
import type { ContactRecord, StoredTrust } from '../../src/store/contact-operations.ts'
import type { InboundMessage } from '../../src/store/inbound-queries.ts'
import { announceForeignKey } from '../support/announced-person.ts'
import { realClock } from '../support/cm-client-support.ts'
import { LookupBench } from '../support/lookup-bench.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from '../support/message-vectors.ts'
import { vectorBytes, vectorPath } from '../support/vectors.ts'

/** What a look-up says of the sender's key reaches the reader (design 8.4, 8.5, 9, case K08). */

const NOW = Date.UTC(2025, 0, 20, 15)
const ALICE = vectorKeyId('alice')

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function openMessage(): Promise<OpenedMessage> {
  const opened = await openContainer({
    containerPath: vectorPath('messages/01-plain/container.bin') ?? '',
    owner: vectorOwner('bob'),
  })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  return opened
}

const NOTHING: LookupOutcome = { kind: 'answered', found: [], unusable: [], dropped: [] }

interface Said {
  readonly ofKey?: Partial<LookupOutcome>
  readonly ofAddress?: Partial<LookupOutcome>
}

/** Judges the message from alice to bob with a look-up that says this, and a contact as it is stored. */
async function judge(said: Said, contact?: ContactRecord, trust: StoredTrust = 'known') {
  const bench = await LookupBench.open({ ownServers: [] })
  ends.push(() => bench.close())
  const { store, accountId } = bench
  if (contact !== undefined) {
    await store.write('recordContacts', { accountId, contacts: [contact] })
    await store.write('setContactTrust', { accountId, keyId: contact.keyId, trust })
  }
  const account = accountById(store.read, accountId)
  if (account === undefined) throw new Error('no account')
  const lookup: KeyLookup = {
    byKeyId: async () => ({ ...NOTHING, ...said.ofKey }) as LookupOutcome,
    byAddress: async () => ({ ...NOTHING, ...said.ofAddress }) as LookupOutcome,
  }
  const message: InboundMessage = {
    id: 1,
    accountId,
    announcementId: '1'.repeat(40) as AnnouncementId,
    state: 'fetched',
    record: '',
    server: 'cm.example.net:8081',
    hasEnoughWork: true,
    bypassKeyId: null,
    seenMs: NOW,
    holdUntilMs: null,
    blocks: [],
  }
  const context = { store, clock: realClock(() => NOW), pool: bench.context.pool, lookup }
  return judgeInbound(context, {
    message,
    account: { ...account, keyId: vectorKeyId('bob') },
    opened: await openMessage(),
  })
}

async function aliceAsAnnounced(): Promise<ContactRecord> {
  const keyBlock = vectorCertificate('alice')
  const blocks = await announceForeignKey('alice@example.org', { keyId: ALICE, keyBlock, dateMs: NOW })
  const announcement = blocks[ALICE] ?? ''
  const userId = 'Alice <alice@example.org>'
  return { keyId: ALICE, userId, addresses: ['alice@example.org'], announcement, announcedMs: NOW }
}

describe('the judge of inbound mail', () => {
  it('believes a contact, and its domain when that vouches for the address that is shown', async () => {
    const alice = await aliceAsAnnounced()
    const known = await judge({}, alice)
    expect(known).toMatchObject({ judged: { verdict: { signature: 'good', trust: 'known' } } })
    const vouched = { ...alice, vouchedAddresses: ['alice@example.org'] }
    const withDomain = await judge({ ofAddress: { found: [vouched] } }, alice)
    expect(withDomain).toMatchObject({ judged: { verdict: { signature: 'good', trust: 'domain' } } })
    const elsewhere = {
      ...alice,
      addresses: [...alice.addresses, 'a@b.example'],
      vouchedAddresses: ['a@b.example'],
    }
    expect(await judge({ ofAddress: { found: [elsewhere] } }, alice)).toMatchObject({
      judged: { verdict: { trust: 'known' } },
    })
  })

  it('says collision for a key its domain vouches for, when there is a rival', async () => {
    const alice = { ...(await aliceAsAnnounced()), vouchedAddresses: ['alice@example.org'] }
    const rival = { ...alice, keyId: '2'.repeat(40) as KeyId, vouchedAddresses: [] }
    expect(await judge({ ofAddress: { found: [alice, rival] } }, alice)).toMatchObject({
      judged: { verdict: { trust: 'collision', collidingKeys: [rival.keyId] } },
    })
  })

  it('does not take the signature of a key that was revoked meanwhile, although the contact is old', async () => {
    const secret = await openpgp.readPrivateKey({ armoredKey: vectorBytes('keys/alice.sec.asc').toString() })
    const date = new Date(NOW - 60_000)
    const { publicKey } = await openpgp.revokeKey({ key: secret, date, format: 'object' })
    const key = { keyId: ALICE, reason: 'key was revoked by its owner', isKeysFault: true }
    const unusable = [{ ...key, revokedCertificate: publicKey.armor() }]
    const alice = await aliceAsAnnounced()
    expect(await judge({}, alice)).toMatchObject({ judged: { verdict: { signature: 'good' } } })
    expect(await judge({ ofAddress: { unusable } }, alice)).toMatchObject({
      kind: 'judged',
      judged: {
        verdict: { signature: 'bad', reason: 'bad-signature' },
        disposition: { acknowledge: false, show: 'text-only' },
      },
    })
  })

  it('K08: says why a key that was found cannot be used, at once and never as a bad signature', async () => {
    const bench = await LookupBench.open({ ownServers: [] })
    ends.push(() => bench.close())
    const keyBlock = readFileSync(new URL('../golden/cases/K08.asc', import.meta.url), 'utf8')
    const blocks = await announceForeignKey('joerg@example.net', { keyId: ALICE, keyBlock })
    const text = blocks[ALICE] ?? ''
    const key = await readAnnouncedKey(bench.context.pool, { keyId: ALICE, text, nowMs: Date.now() })
    if (key?.kind !== 'unusable') throw new Error('K08 cannot be used')
    const outcome = await judge({ ofKey: { unusable: [key.unusable] } })
    expect(outcome).toMatchObject({ kind: 'judged', judged: { verdict: { signature: 'unknown-key' } } })
    const fields = incomingFields(outcome.judged.verdict, {
      messageId: '0'.repeat(40),
      receivedFrom: undefined,
    })
    expect(fields.replaceAll('\r\n ', ' ')).toContain(
      `X-CM-Warning: The signature could not be checked: key ${ALICE} has a name this program cannot check.`,
    )
    expect(fields).toMatch(/^[\x20-\x7e\r\n]+$/)
  })

  it('waits for a key that nobody has announced, and for one whose announcement is only damaged', async () => {
    expect(await judge({})).toMatchObject({ kind: 'sender-unknown' })
    const unusable = [{ keyId: ALICE, reason: 'its announcement is not valid', isKeysFault: false }]
    expect(await judge({ ofKey: { unusable } })).toMatchObject({
      kind: 'sender-unknown',
      reason: 'its announcement is not valid',
    })
  })
})
