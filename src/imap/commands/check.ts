import { noArguments, tableCommand } from '../command.ts'

/** CHECK (RFC 3501 6.4.1): everything is durable at any time, so there is nothing to do. */
export const check = tableCommand({
  name: 'CHECK',
  states: ['selected'],
  parse: noArguments,
  async *run() {
    return { status: 'OK', text: 'CHECK completed' }
  },
})
