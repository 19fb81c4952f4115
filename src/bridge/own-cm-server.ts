import { Secret } from '../base/secret.ts'
import type { KeyId } from '../cm/ids.ts'
import type { CmAccountEntry } from '../cm/server/port.ts'

/** Our own CM server in this installation, as far as its accounts are made with ours (design 12). */
export interface OwnCmServer {
  /** True for a HOST:PORT it is reached at. */
  isAt(hostPort: string): boolean
  newAuthKey(): string
  /** Durable when it resolves. */
  assign(entries: readonly CmAccountEntry[]): Promise<void>
}

/** For which list of servers an account wants an auth key. */
export interface AuthKeyRequest {
  readonly keyId: KeyId
  readonly servers: readonly string[]
  /** The account's servers until now. */
  readonly formerServers: readonly string[]
  /** What the user gave; null: none. */
  readonly authKey: Secret<string> | null | undefined
}

/**
 * The key the user gave; for an account at our own CM server without one, a new one that the server knows: a household
 * that hosts itself needs no account file.
 */
export async function givenAuthKey(
  own: OwnCmServer | undefined,
  { keyId, servers, formerServers, authKey }: AuthKeyRequest,
): Promise<Secret<string> | null | undefined> {
  if (own === undefined || authKey !== undefined || servers.length === 0) return authKey
  // One key is for all servers of a list: where others are in it, its owner has to say.
  if (!servers.every((server) => own.isAt(server))) return undefined
  if (formerServers.some((server) => own.isAt(server))) return undefined
  const made = own.newAuthKey()
  await own.assign([{ userId: keyId.toUpperCase(), authKey: made }])
  return new Secret(made)
}

/** Nobody logs in with this key any more. */
export async function withdrawAuthKey(own: OwnCmServer, authKey: Secret<string>): Promise<void> {
  await own.assign([{ userId: 'disabled', authKey: authKey.reveal() }])
}
