import { createHash } from 'node:crypto'
import * as openpgp from 'openpgp'
import { OPENPGP_SETTINGS } from './settings.ts'

/**
 * Keys as openpgp.js wants them, read once for each thread: reading one and verifying its own signatures costs more than
 * what a small message needs of it. The objects are shared, so nobody may change them; whoever makes a new key of an old
 * one reads it afresh. openpgp.js keeps in them only that a self-signature is true, never that it is valid at a time.
 */

/** Certificates kept in one thread; hostile ones take a few megabytes each, most a few kilobytes. */
const MAX_CERTIFICATES = 32
/** Secret keys kept in one thread: those of the accounts at work. They lie in the database in the same form. */
const MAX_SECRET_KEYS = 16

const certificates = new Map<string, Promise<openpgp.Key>>()
const secretKeys = new Map<string, Promise<openpgp.PrivateKey>>()

/** Reads armor that was written by us, or judged by `parseCertificate`; rejects on anything else. */
export function knownCertificate(armoredKey: string): Promise<openpgp.Key> {
  return known(certificates, armoredKey, {
    most: MAX_CERTIFICATES,
    read: () => openpgp.readKey({ armoredKey, config: OPENPGP_SETTINGS }),
  })
}

/** Reads one of our own secret keys, armored and without passphrase. */
export function knownSecretKey(armoredKey: string): Promise<openpgp.PrivateKey> {
  return known(secretKeys, armoredKey, {
    most: MAX_SECRET_KEYS,
    read: () => openpgp.readPrivateKey({ armoredKey, config: OPENPGP_SETTINGS }),
  })
}

/** The one used last stands last; what cannot be read is not kept. */
function known<Key>(
  kept: Map<string, Promise<Key>>,
  armoredKey: string,
  { most, read }: { readonly most: number; readonly read: () => Promise<Key> },
): Promise<Key> {
  const digest = createHash('sha256').update(armoredKey).digest('base64')
  const key = kept.get(digest) ?? read()
  kept.delete(digest)
  kept.set(digest, key)
  key.catch(() => kept.delete(digest))
  const [oldest] = kept.keys()
  if (kept.size > most && oldest !== undefined) kept.delete(oldest)
  return key
}
