import { noArguments, tableCommand } from '../command.ts'

/** STARTTLS (RFC 9051 6.2.1). The session turns the channel to TLS behind the reply and forgets what it knew. */
export const starttls = tableCommand({
  name: 'STARTTLS',
  states: ['not-authenticated'],
  capabilities: [{ name: 'STARTTLS', when: ({ canStartTls }) => canStartTls }],
  parse: noArguments,
  async *run({ connection }) {
    if (connection.isSecure) return { status: 'BAD', text: 'TLS is up already' }
    if (!connection.canStartTls) return { status: 'NO', text: 'There is no certificate here' }
    return { status: 'OK', text: 'Begin TLS now', startsTls: true }
  },
})
