import { afterEach, beforeEach, describe } from 'vitest'
import { describeMailboxes } from './account-mail-mailboxes.ts'
import { describeMessages } from './account-mail-messages.ts'
import type { AccountMailSubject } from './account-mail-session.ts'

/** The contract of the port, run by every implementation. */
export function describeAccountMail(label: string, create: () => Promise<AccountMailSubject>): void {
  describe(`AccountMail on ${label}`, () => {
    let subject: AccountMailSubject

    beforeEach(async () => {
      subject = await create()
    })
    afterEach(() => subject.close())

    describeMailboxes(() => subject.mail)
    describeMessages(() => subject.mail)
  })
}
