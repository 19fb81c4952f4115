import { noArguments, tableCommand } from '../command.ts'

/** CLOSE (RFC 9051 6.4.1): removes the deleted messages without a word, unless opened read-only. */
export const close = tableCommand({
  name: 'CLOSE',
  states: ['selected'],
  parse: noArguments,
  async *run({ state }) {
    const { account, selected } = state
    if (!selected.isReadOnly) await selected.mailbox.expunge(undefined)
    return { status: 'OK', text: 'CLOSE completed', state: { name: 'authenticated', account } }
  },
})
