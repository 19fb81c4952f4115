import { tableCommand } from '../command.ts'
import { MAX_ID_PAIRS } from '../limits.ts'

/** ID (RFC 2971). What a client says of itself is checked and forgotten. */
export const id = tableCommand({
  name: 'ID',
  states: ['not-authenticated', 'authenticated', 'selected'],
  capabilities: [{ name: 'ID' }],
  // id = "ID" SP id-params-list ; id-params-list = "(" *(string SP nstring) ")" / nil
  parse(p) {
    p.sp()
    if (!p.accept('(')) {
      if (p.nstring() !== null) throw p.fail('id-params-list')
    } else if (!p.accept(')')) {
      for (let pairs = 1; ; pairs += 1) {
        if (pairs > MAX_ID_PAIRS) throw p.fail(`at most ${MAX_ID_PAIRS} pairs`)
        p.string()
        p.sp()
        p.nstring()
        if (p.accept(')')) break
        p.sp()
      }
    }
    p.end()
    return undefined
  },
  async *run({ serverId }) {
    yield { kind: 'ID', pairs: serverId }
    return { status: 'OK', text: 'ID completed' }
  },
})
