import { createHash } from 'node:crypto'
import type { Secret } from '../../base/secret.ts'
import { type AddressJudge, anyAddress } from '../../net/address-guard.ts'
import { encodeServerAddress, type ServerAddress } from '../transport.ts'
import { CmProtocolError, type CmProtocolErrorCode } from './cm-protocol-error.ts'
import type { CmSession } from './cm-session.ts'
import { type CmClientEnvironment, connectCmServer } from './connect-cm-server.ts'
import { preferredNetwork } from './proxy-route.ts'
import { orderServers, type RandomInt } from './server-list.ts'
import type { SessionPlace } from './session-pool.ts'

/** Who logs in; only ever to servers of the account's own (CM wire 8.2). */
export interface CmLogin {
  readonly userId: string
  readonly authKey: Secret<string>
}

/** Where a task may run, and as whom. */
export interface ServersRequest {
  readonly servers: readonly ServerAddress[]
  readonly judge: AddressJudge
  readonly environment: CmClientEnvironment
  readonly randomInt: RandomInt
  readonly login?: CmLogin
  /** Whose request it is, and in which role: streams through a proxy and kept sessions are never shared between two. */
  readonly isolation?: string
  /** Once it is aborted no further server is tried; what goes on at one ends by its own time-outs. */
  readonly signal?: AbortSignal
}

/** What a task says about one server: it is satisfied, or the next server should be asked too. */
export type ServerAttempt<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'next'; readonly reason: ServerFailure['reason'] }

/** Why one server did not do. */
export interface ServerFailure {
  readonly hostPort: string
  readonly reason:
    | CmProtocolErrorCode
    /** It answered FAILED or INVALID COMMAND. */
    | 'refused'
    | 'login-refused'
    | 'certificate-changed'
    /** It does not have what was asked for. */
    | 'not-found'
  /** `host:port` of the proxy that is the reason. */
  readonly proxyHostPort?: string
}

export type ServersOutcome<T> =
  | {
      readonly kind: 'done'
      readonly value: T
      readonly hostPort: string
      readonly failures: readonly ServerFailure[]
    }
  | { readonly kind: 'all-failed'; readonly failures: readonly ServerFailure[] }

/**
 * Runs `task` at the servers of a list, one after the other, until one is satisfied; connects, logs in and says goodbye
 * around it. The task is called again at the next server after any failure and must ask again for whatever is still
 * open: unlike the reference, no command is lost with the server that dropped it (CM wire 8.2). A task keeps its
 * progress in its own closure. The session may come from an earlier task and go to a later one; a task must not use it
 * after it returned.
 */
export async function withServers<T>(
  request: ServersRequest,
  task: ServerTask<T>,
): Promise<ServersOutcome<T>> {
  const failures: ServerFailure[] = []
  const { servers, randomInt, environment } = request
  for (const server of orderServers(servers, randomInt, preferredNetwork(environment.proxies))) {
    if (request.signal?.aborted === true) break
    const hostPort = encodeServerAddress(server)
    const attempt = await attemptServer(server, request, task)
    if (attempt.kind === 'done') return { kind: 'done', value: attempt.value, hostPort, failures }
    const { reason, proxyHostPort } = attempt
    failures.push({ hostPort, reason, ...(proxyHostPort === undefined ? {} : { proxyHostPort }) })
  }
  return { kind: 'all-failed', failures }
}

type ServerTask<T> = (session: CmSession) => Promise<ServerAttempt<T>>
type AttemptOutcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | {
      readonly kind: 'next'
      readonly reason: ServerFailure['reason']
      readonly proxyHostPort?: string | undefined
    }

async function attemptServer<T>(
  server: ServerAddress,
  request: ServersRequest,
  task: ServerTask<T>,
): Promise<AttemptOutcome<T>> {
  const { environment, judge, login: who } = request
  const place = { hostPort: encodeServerAddress(server), identity: identityOf(request) }
  const kept = await environment.sessions?.take(place, (session) => session.isAllowedBy(judge))
  if (kept !== undefined) {
    const attempt = await useKept(kept, { request, place }, task)
    if (attempt !== undefined) return attempt
  }
  try {
    const { host, port } = server
    const { isolation } = request
    const session = await connectCmServer({ host, port, judge, isolation }, environment)
    environment.sessions?.add(place, session)
    return await useSession(
      session,
      { request, place },
      async () => (await login(session, who)) ?? task(session),
    )
  } catch (error) {
    if (!(error instanceof CmProtocolError)) throw error
    return nextAfter(error)
  }
}

/** Undefined when the session turned out to be dead before it answered anything: a new connection is made then. */
async function useKept<T>(
  session: CmSession,
  use: SessionUse,
  task: ServerTask<T>,
): Promise<AttemptOutcome<T> | undefined> {
  const heard = session.chunksRead
  try {
    return await useSession(session, use, () => task(session))
  } catch (error) {
    if (!(error instanceof CmProtocolError)) throw error
    return session.chunksRead === heard ? undefined : nextAfter(error)
  }
}

interface SessionUse {
  readonly request: ServersRequest
  readonly place: SessionPlace
}

/** Runs a task on a session that is in nobody else's hands; afterwards it is kept, has quit or is dropped. */
async function useSession<T>(
  session: CmSession,
  { request, place }: SessionUse,
  task: () => Promise<ServerAttempt<T>>,
): Promise<ServerAttempt<T>> {
  const { sessions } = request.environment
  try {
    const attempt = await task()
    if (sessions === undefined) await session.quit()
    else if (attempt.kind === 'done') sessions.keep(place, session)
    else sessions.dismiss(session)
    return attempt
  } catch (error) {
    session.close()
    sessions?.forget(session)
    throw error
  }
}

function nextAfter({ code, proxyHostPort }: CmProtocolError): AttemptOutcome<never> {
  return { kind: 'next', reason: code, proxyHostPort }
}

/** Sessions are shared only by requests that are the same to the server and to everybody who watches. */
function identityOf({ login: who, isolation, judge }: ServersRequest): string {
  const key = who === undefined ? '' : createHash('sha256').update(who.authKey.reveal()).digest('hex')
  return JSON.stringify([isolation ?? null, who?.userId ?? null, key, judge === anyAddress])
}

async function login(
  session: CmSession,
  who: CmLogin | undefined,
): Promise<{ kind: 'next'; reason: ServerFailure['reason'] } | undefined> {
  if (who === undefined) return undefined
  const reply = await session.login(who.userId, who.authKey)
  switch (reply.kind) {
    case 'ok':
      return undefined
    case 'refused':
      return { kind: 'next', reason: 'login-refused' }
    case 'certificate-changed':
      return { kind: 'next', reason: 'certificate-changed' }
  }
}
