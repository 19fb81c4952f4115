import { tableCommand } from '../command.ts'
import { MAX_LIST_ITEMS } from '../limits.ts'

/** ENABLE (RFC 9051 6.3.1, RFC 5161). What we announce needs no enabling, so the list is empty for now. */
export const enable = tableCommand({
  name: 'ENABLE',
  states: ['authenticated', 'selected'],
  capabilities: [{ name: 'ENABLE' }],
  // enable = "ENABLE" 1*(SP capability)
  parse(p) {
    const asked: string[] = []
    do {
      p.sp()
      if (asked.length === MAX_LIST_ITEMS) throw p.fail(`at most ${MAX_LIST_ITEMS} capabilities`)
      asked.push(p.word())
    } while (!p.atEnd())
    return asked
  },
  async *run() {
    yield { kind: 'ENABLED', names: [] }
    return { status: 'OK', text: 'ENABLE completed' }
  },
})
