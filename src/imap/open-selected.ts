import type { SelectedMailbox } from './command.ts'
import { MailboxView } from './mailbox-view.ts'
import type { AccountMail } from './port.ts'
import { Signal } from './signal.ts'

/** Opens a mailbox with a view that misses no change; undefined when there is none of that name. */
export async function openSelected(
  account: AccountMail,
  mailboxName: string,
  isReadOnly: boolean,
): Promise<SelectedMailbox | undefined> {
  const view = new MailboxView({ isReadOnly })
  const changes = new Signal()
  const mailbox = await account.open(mailboxName, (change) => {
    view.apply(change)
    changes.raise()
  })
  if (mailbox === undefined) return undefined
  view.start(mailbox.messages, mailbox.knownFlags)
  return { mailbox, view, isReadOnly, changes }
}
