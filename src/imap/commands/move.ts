import { tableCommand } from '../command.ts'
import { copyUidCode, parseCopyArguments } from '../copy-messages.ts'
import { refusalReply } from '../mailbox-reply.ts'
import { namedMessages, requireWritable } from '../message-set.ts'

/** MOVE (RFC 6851): COPYUID comes first, then the EXPUNGEs, then the tagged reply. */
export const move = tableCommand({
  name: 'MOVE',
  states: ['selected'],
  capabilities: [{ name: 'MOVE' }],
  hasUidForm: true,
  parse: parseCopyArguments,
  async *run({ state, isUid }, { set, mailboxName }) {
    const { selected } = state
    requireWritable(selected)
    const uids = namedMessages(selected, set, isUid).map(({ uid }) => uid)
    const outcome = await selected.mailbox.moveTo(uids, mailboxName)
    if (outcome.kind !== 'ok') return refusalReply(outcome, 'TRYCREATE')
    const code = copyUidCode(outcome)
    if (code !== undefined) yield { kind: 'condition', status: 'OK', code, text: 'Moved' }
    selected.view.removed(outcome.pairs.map(({ from }) => from))
    return { status: 'OK', text: `${isUid ? 'UID ' : ''}MOVE completed` }
  },
})
