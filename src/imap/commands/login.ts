import { tableCommand } from '../command.ts'
import { logIn } from '../log-in.ts'

/** LOGIN (RFC 9051 6.2.3). */
export const login = tableCommand({
  name: 'LOGIN',
  states: ['not-authenticated'],
  capabilities: [{ name: 'LOGINDISABLED', when: ({ mayLogin }) => !mayLogin }],
  // login = "LOGIN" SP userid SP password ; userid = astring ; password = astring
  parse(p) {
    p.sp()
    const authcid = p.utf8String()
    p.sp()
    const password = p.utf8String()
    p.end()
    return { authcid, authzid: '', password }
  },
  async *run(context, credentials) {
    return await logIn(context, credentials)
  },
})
