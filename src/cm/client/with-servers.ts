import type { Secret } from '../../base/secret.ts'
import type { AddressJudge } from '../../net/address-guard.ts'
import { encodeServerAddress, type ServerAddress } from '../transport.ts'
import { CmProtocolError, type CmProtocolErrorCode } from './cm-protocol-error.ts'
import type { CmSession } from './cm-session.ts'
import { type CmClientEnvironment, connectCmServer } from './connect-cm-server.ts'
import { networkOf, orderServers, type RandomInt } from './server-list.ts'

/** Who logs in; only ever to servers of the account's own (CM wire 8.2). */
export interface CmLogin {
  readonly userId: string
  readonly authKey: Secret<string>
}

export interface ServersRequest {
  readonly servers: readonly ServerAddress[]
  readonly judge: AddressJudge
  readonly environment: CmClientEnvironment
  readonly randomInt: RandomInt
  readonly login?: CmLogin
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
    /** A `.onion` or `.i2p` server, and no proxy for it. */
    | 'no-proxy'
    /** It does not have what was asked for. */
    | 'not-found'
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
 * progress in its own closure.
 */
export async function withServers<T>(
  request: ServersRequest,
  task: (session: CmSession) => Promise<ServerAttempt<T>>,
): Promise<ServersOutcome<T>> {
  const failures: ServerFailure[] = []
  for (const server of orderServers(request.servers, request.randomInt)) {
    const attempt = await attemptServer(server, request, task)
    if (attempt.kind === 'done') {
      return { kind: 'done', value: attempt.value, hostPort: encodeServerAddress(server), failures }
    }
    failures.push({ hostPort: encodeServerAddress(server), reason: attempt.reason })
  }
  return { kind: 'all-failed', failures }
}

async function attemptServer<T>(
  server: ServerAddress,
  request: ServersRequest,
  task: (session: CmSession) => Promise<ServerAttempt<T>>,
): Promise<ServerAttempt<T>> {
  if (networkOf(server) !== 'direct' && request.environment.openChannel === undefined) {
    return { kind: 'next', reason: 'no-proxy' }
  }
  let session: CmSession | undefined
  try {
    const { host, port } = server
    session = await connectCmServer({ host, port, judge: request.judge }, request.environment)
    const refused = await login(session, request.login)
    const attempt = refused ?? (await task(session))
    await session.quit()
    return attempt
  } catch (error) {
    session?.close()
    if (error instanceof CmProtocolError) return { kind: 'next', reason: error.code }
    throw error
  }
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
