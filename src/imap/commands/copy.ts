import { tableCommand } from '../command.ts'
import { copyUidCode, parseCopyArguments } from '../copy-messages.ts'
import { refusalReply } from '../mailbox-reply.ts'
import { namedMessages } from '../message-set.ts'

/** COPY (RFC 9051 6.4.7) with the COPYUID of RFC 4315. */
export const copy = tableCommand({
  name: 'COPY',
  states: ['selected'],
  hasUidForm: true,
  parse: parseCopyArguments,
  async *run({ state, isUid }, { set, mailboxName }) {
    const { selected } = state
    const uids = namedMessages(selected, set, isUid).map(({ uid }) => uid)
    const outcome = await selected.mailbox.copyTo(uids, mailboxName)
    if (outcome.kind !== 'ok') return refusalReply(outcome, 'TRYCREATE')
    const text = `${isUid ? 'UID ' : ''}COPY completed`
    const code = copyUidCode(outcome)
    return code === undefined ? { status: 'OK', text } : { status: 'OK', code, text }
  },
})
