import { noArguments, tableCommand } from '../command.ts'

/** UNSELECT (RFC 9051 6.4.2): leaves the mailbox as it is. */
export const unselect = tableCommand({
  name: 'UNSELECT',
  states: ['selected'],
  capabilities: [{ name: 'UNSELECT' }],
  parse: noArguments,
  async *run({ state }) {
    return {
      status: 'OK',
      text: 'UNSELECT completed',
      state: { name: 'authenticated', account: state.account },
    }
  },
})
