import { noArguments, tableCommand } from '../command.ts'

/** CAPABILITY (RFC 9051 6.1.1). */
export const capability = tableCommand({
  name: 'CAPABILITY',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: noArguments,
  async *run(context) {
    yield { kind: 'CAPABILITY', names: context.capabilitiesIn(context.state.name) }
    return { status: 'OK', text: 'CAPABILITY completed' }
  },
})
