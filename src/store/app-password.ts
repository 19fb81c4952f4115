import { createHash, timingSafeEqual } from 'node:crypto'
import { Secret } from '../base/secret.ts'
import type { AppPasswordRow } from './account-operations.ts'
import { ROW_ID_BYTES } from './ids.ts'

/** 32 letters and digits that are not mistaken for each other: 5 bits each. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789'
/** 24 characters of 5 bits: 120 bits, so one round of SHA-256 is enough of a derivation (design 5). */
const PASSWORD_CHARACTERS = 24
const GROUP_CHARACTERS = 4
const SALT_BYTES = 16
/** Octets of what a client may send as a password; ours have 29. */
const MAX_PASSWORD_BYTES = 1024

export type AppPasswordScope = 'imap' | 'smtp'

export interface NewAppPassword {
  /** Shown once, never stored: groups of four with dashes. */
  readonly password: Secret<string>
  readonly row: AppPasswordRow
}

/** A new random password of 120 bits and the row that recognises it. */
export function createAppPassword(options: {
  readonly name: string
  readonly scopes: readonly AppPasswordScope[]
  readonly randomBytes: (size: number) => Uint8Array
}): NewAppPassword {
  const { name, scopes, randomBytes } = options
  const characters = [...randomBytes(PASSWORD_CHARACTERS)].map((byte) => ALPHABET[byte % ALPHABET.length])
  const groups = characters.join('').match(new RegExp(`.{${GROUP_CHARACTERS}}`, 'g')) ?? []
  const password = new Secret(groups.join('-'))
  const salt = randomBytes(SALT_BYTES)
  const row = {
    id: randomBytes(ROW_ID_BYTES),
    name,
    allowsImap: scopes.includes('imap'),
    allowsSmtp: scopes.includes('smtp'),
    salt,
    hash: hashPassword(password, salt),
  }
  return { password, row }
}

/** True when the password is the one the hash was made of, typed in any case, with or without the dashes. Constant time. */
export function matchesAppPassword(
  password: Secret<string>,
  row: { readonly salt: Uint8Array; readonly hash: Uint8Array },
): boolean {
  if (Buffer.byteLength(password.reveal()) > MAX_PASSWORD_BYTES) return false
  return timingSafeEqual(hashPassword(password, row.salt), row.hash)
}

function hashPassword(password: Secret<string>, salt: Uint8Array): Uint8Array {
  const typed = password.reveal().toLowerCase().replaceAll(/[-\s]/g, '')
  return new Uint8Array(createHash('sha256').update(salt).update(typed).digest())
}
