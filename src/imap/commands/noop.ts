import { noArguments, tableCommand } from '../command.ts'

/** NOOP (RFC 9051 6.1.2): a chance to hear what is new. */
export const noop = tableCommand({
  name: 'NOOP',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: noArguments,
  async *run() {
    return { status: 'OK', text: 'NOOP completed' }
  },
})
