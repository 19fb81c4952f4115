import { type IncomingMessage, request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'

/** What a document may cost. */
export interface FetchLimits {
  readonly maxBytes: number
  /** Milliseconds for all of it, redirects too. */
  readonly timeoutMs: number
}

export interface FetchOptions extends FetchLimits {
  /** PEM; besides the public authorities none is trusted unless it is given. */
  readonly authority?: string | undefined
}

export type FetchOutcome =
  | { readonly kind: 'ok'; readonly bytes: Buffer }
  /** One line for people. */
  | { readonly kind: 'failed'; readonly reason: string }

/** As browsers do, for a document that moved; more is a loop. */
const MAX_REDIRECTS = 5

/**
 * Fetches one document over https with certificate validation, bounded in size, time and redirects. Plain http is only
 * for this machine itself: `localhost`, 127.0.0.0/8 and ::1; nothing redirects to it from elsewhere.
 */
export async function fetchDocument(url: string, options: FetchOptions): Promise<FetchOutcome> {
  const signal = AbortSignal.timeout(options.timeoutMs)
  let target = URL.parse(url)
  const mayBePlain = target !== null && isPlainLoopback(target)
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    if (target === null) return failed('this is no address of a document')
    if (target.protocol !== 'https:' && !(mayBePlain && isPlainLoopback(target)))
      return failed('only https is taken: over plain http anybody on the way could change it')
    const answer = await get(target, options, signal)
    if (answer.kind !== 'moved') return answer
    target = URL.parse(answer.location, target.href)
  }
  return failed(`it is redirected more than ${MAX_REDIRECTS} times`)
}

function failed(reason: string): FetchOutcome {
  return { kind: 'failed', reason }
}

function isPlainLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname)
}

type Answer = FetchOutcome | { readonly kind: 'moved'; readonly location: string }

function get(target: URL, options: FetchOptions, signal: AbortSignal): Promise<Answer> {
  const headers = {
    accept: 'text/plain, */*;q=0.1',
    'accept-encoding': 'identity',
    'user-agent': 'confidant-bridge',
  }
  const given: RequestOptions = {
    signal,
    headers,
    agent: false,
    rejectUnauthorized: true,
    ...(options.authority === undefined ? {} : { ca: options.authority }),
  }
  const open = target.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve) => {
    const fail = (cause: unknown): void => resolve(failed(reasonOf(cause, signal)))
    const request = open(target, given, (response) => {
      read(response, options.maxBytes).then(resolve, fail)
    })
    request.on('error', fail)
    request.end()
  })
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  const { statusCode = 0 } = response
  const { location } = response.headers
  try {
    if (statusCode >= 300 && statusCode < 400 && location !== undefined) return { kind: 'moved', location }
    if (statusCode !== 200) return failed(`the server answers ${statusCode}`)
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response) {
      const bytes = Buffer.from(chunk as Uint8Array)
      size += bytes.length
      if (size > maxBytes) return failed(`it has more than ${maxBytes} octets`)
      chunks.push(bytes)
    }
    return { kind: 'ok', bytes: Buffer.concat(chunks) }
  } finally {
    response.destroy()
  }
}

/** What a person can do something about; never the peer's own words. */
function reasonOf(cause: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'the server is too slow'
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (/CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(code))
    return `the server's certificate is not valid (${code}): nothing was taken`
  return `the server cannot be reached (${code === '' ? 'no answer' : code})`
}
