import { describe, expect, it } from 'vitest'
import { clientCopies } from '../../src/bridge/client-copies.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import { messageIdOf } from '../../src/mail/message-id.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { storePerTest } from '../support/store-per-test.ts'

/** Drafts and Sent copies that belong to a submission, also when their Message-IDs are written oddly (design 7.10). */

let store: Store
let accountId: AccountId
storePerTest((fresh) => {
  ;({ store, accountId } = fresh)
})

async function append(mailboxName: string, messageId: string): Promise<void> {
  const sink = await store.beginSpool(accountId)
  await sink.write(Buffer.from(`Subject: x\r\nMessage-ID: ${messageId}\r\n\r\nHello.\r\n`))
  const spooled = await sink.finish()
  const message = store.draftMessage(spooled, await indexMessage(spooled.read()))
  await store.write('appendMessage', { accountId, mailboxName, message, flags: [], internalDateMs: null })
}

describe('what a client stored of the message it submits', () => {
  it.each([
    ['<a@example.org>', '<a@example.org>'],
    ['<a@example.org> (by the program)', '<a@example.org>'],
    ['a@example.org', 'a@example.org'],
    ['<a@example.org>', ' <a@example.org>  (submitted)'],
  ])('with Message-ID %j is found for one submitted with %j', async (stored, submitted) => {
    await append('Drafts', stored)
    await append('Drafts', '<other@example.org>')
    await append('Sent', stored)
    expect(clientCopies(store.read, accountId, messageIdOf(submitted))).toEqual({
      draftUids: [1],
      sentUid: 1,
    })
  })

  it('without a Message-ID is not guessed', async () => {
    await append('Drafts', '')
    expect(clientCopies(store.read, accountId, messageIdOf(''))).toEqual({ draftUids: [], sentUid: null })
  })
})
