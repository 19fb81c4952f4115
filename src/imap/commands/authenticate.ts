import { tableCommand } from '../command.ts'
import { CLEAR_LOGIN_REFUSED, type Credentials, LOGIN_REFUSED, logIn } from '../log-in.ts'
import { decodeUtf8 } from '../parser.ts'
import { ImapReplyError } from '../reply-error.ts'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** AUTHENTICATE PLAIN (RFC 9051 6.2.2, RFC 4616), with and without an initial response (RFC 4959). */
export const authenticate = tableCommand({
  name: 'AUTHENTICATE',
  states: ['not-authenticated'],
  capabilities: [{ name: 'SASL-IR' }, { name: 'AUTH=PLAIN', when: ({ mayLogin }) => mayLogin }],
  // authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64) ; initial-resp = (base64 / "=")
  parse(p) {
    p.sp()
    const mechanism = p.word()
    const initial = p.accept(' ') ? p.matching('initial-resp', /=(?![^ ])|[A-Za-z0-9+/=]+/y) : null
    p.end()
    return { mechanism, initial }
  },
  async *run(context, { mechanism, initial }) {
    if (mechanism !== 'PLAIN') {
      return { status: 'NO', code: { kind: 'CANNOT' }, text: 'This mechanism is not offered' }
    }
    if (!context.connection.mayLogin) return CLEAR_LOGIN_REFUSED
    if (initial === null) yield { kind: 'continuation', text: '' }
    const answer = initial ?? (await context.input.readLine())
    if (answer === '*') return { status: 'BAD', text: 'AUTHENTICATE cancelled' }
    const credentials = parsePlain(answer === '=' ? '' : answer)
    return credentials === undefined ? LOGIN_REFUSED : await logIn(context, credentials)
  },
})

/** message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 2); undefined for anything else that is base64. */
function parsePlain(base64: string): Credentials | undefined {
  if (!BASE64.test(base64)) throw new ImapReplyError('BAD', 'That is no base64')
  const message = decodeUtf8(Buffer.from(base64, 'base64').toString('latin1'))
  const [authzid, authcid, password, ...more] = message?.split('\0') ?? []
  if (authzid === undefined || authcid === undefined || password === undefined || more.length > 0)
    return undefined
  return { authzid, authcid, password }
}
