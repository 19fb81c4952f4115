import { noArguments, tableCommand } from '../command.ts'

/** LOGOUT (RFC 9051 6.1.3). */
export const logout = tableCommand({
  name: 'LOGOUT',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: noArguments,
  async *run() {
    yield { kind: 'condition', status: 'BYE', text: 'Logging out' }
    return { status: 'OK', text: 'LOGOUT completed', state: { name: 'logout' } }
  },
})
