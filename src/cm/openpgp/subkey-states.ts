import * as openpgp from 'openpgp'
import type { SecretKey } from '../secret-key.ts'
import { encryptionSubkeys } from './encryption-subkeys.ts'
import { readOwnKey } from './settings.ts'

/** An encryption subkey of one of our own keys, for people. */
export interface SubkeyState {
  readonly fingerprint: string
  readonly algorithm: string
  readonly createdMs: number
  /** `next`: made by a clock that is ahead. */
  readonly state: 'in use' | 'usable' | 'revoked' | 'expired' | 'next'
  /** When it was revoked or expires; undefined: neither. */
  readonly endMs: number | undefined
  /** False: its mail cannot be opened here. */
  readonly hasSecret: boolean
}

/** The encryption subkeys of a secret key, newest first, as of `nowMs`. */
export async function subkeyStates(secretKey: SecretKey, nowMs: number): Promise<readonly SubkeyState[]> {
  const key = await readOwnKey(secretKey)
  const newestFirst = (await encryptionSubkeys(key)).toSorted((a, b) => b.createdMs - a.createdMs)
  let isUsedSeen = false
  return newestFirst.map(({ subkey, createdMs, revokedMs, expiresMs }): SubkeyState => {
    const { algorithm, bits, curve } = subkey.getAlgorithmInfo()
    const { keyPacket } = subkey
    let state: SubkeyState['state'] = isUsedSeen ? 'usable' : 'in use'
    if (revokedMs !== undefined) state = 'revoked'
    else if (expiresMs !== undefined && expiresMs <= nowMs) state = 'expired'
    else if (createdMs > nowMs) state = 'next'
    else isUsedSeen = true
    return {
      fingerprint: subkey.getFingerprint(),
      algorithm: `${algorithm} ${bits ?? curve ?? ''}`.trim(),
      createdMs,
      state,
      endMs: revokedMs ?? expiresMs,
      hasSecret: keyPacket instanceof openpgp.SecretKeyPacket && !keyPacket.isDummy(),
    }
  })
}

/** When the youngest encryption subkey that is not revoked was made; undefined: the primary key does it alone. */
export async function newestSubkeyMs(secretKey: SecretKey): Promise<number | undefined> {
  const key = await readOwnKey(secretKey)
  const made = (await encryptionSubkeys(key))
    .filter(({ revokedMs }) => revokedMs === undefined)
    .map(({ createdMs }) => createdMs)
  return made.length === 0 ? undefined : Math.max(...made)
}
