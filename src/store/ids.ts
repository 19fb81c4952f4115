import type { Brand } from '../base/brand.ts'

/**
 * An account of this bridge: a random number of 48 bits, chosen by the caller before anything is sealed for it.
 * A plain number, since it is also the foreign key of every table.
 */
export type AccountId = number

/** Row id of a mailbox; never used again, so a name that is deleted and made anew is another mailbox. */
export type MailboxId = Brand<number, 'MailboxId'>

/** Octets of the ids of blobs and sealed rows (design 4): random, bound as associated data. */
export const ROW_ID_BYTES = 16

const ACCOUNT_ID_BYTES = 6

/** A new account id, 1 to 2^48-1: exact in a JavaScript number and in SQLite. */
export function createAccountId(randomBytes: (size: number) => Uint8Array): AccountId {
  return Math.max(1, Buffer.from(randomBytes(ACCOUNT_ID_BYTES)).readUIntBE(0, ACCOUNT_ID_BYTES))
}
