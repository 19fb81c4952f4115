import { tableCommand } from '../command.ts'
import type { MailboxStatus } from '../port.ts'
import type { StatusItem } from '../response.ts'

const ITEMS: Readonly<Record<StatusItem, (status: MailboxStatus) => number>> = {
  MESSAGES: ({ messages }) => messages,
  // No message is ever \Recent here.
  RECENT: () => 0,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
}

/** STATUS (RFC 3501 6.3.10); allowed and right for the selected mailbox too (case I25). */
export const status = tableCommand({
  name: 'STATUS',
  states: ['authenticated', 'selected'],
  // status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
  parse(p) {
    p.sp()
    const mailboxName = p.mailbox()
    p.sp()
    const items = p.list(() => {
      const word = p.word()
      if (!isStatusItem(word)) throw p.fail('status-att')
      return word
    })
    p.end()
    return { mailboxName, items }
  },
  async *run({ state }, { mailboxName, items }) {
    const found = await state.account.status(mailboxName)
    if (found === undefined) return { status: 'NO', code: { kind: 'NONEXISTENT' }, text: 'No such mailbox' }
    const unique = [...new Set(items)]
    yield { kind: 'STATUS', mailboxName, items: unique.map((item) => [item, ITEMS[item](found)] as const) }
    return { status: 'OK', text: 'STATUS completed' }
  },
})

function isStatusItem(word: string): word is StatusItem {
  return Object.hasOwn(ITEMS, word)
}
