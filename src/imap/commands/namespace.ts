import { noArguments, tableCommand } from '../command.ts'

/** NAMESPACE (RFC 9051 6.3.10): one personal namespace with an empty prefix. */
export const namespace = tableCommand({
  name: 'NAMESPACE',
  states: ['authenticated', 'selected'],
  capabilities: [{ name: 'NAMESPACE' }],
  parse: noArguments,
  async *run() {
    yield { kind: 'NAMESPACE' }
    return { status: 'OK', text: 'NAMESPACE completed' }
  },
})
