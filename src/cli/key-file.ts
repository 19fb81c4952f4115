import { readFileSync, statSync } from 'node:fs'
import { isLockedSecretKey } from '../cm/openpgp/secret-keys.ts'
import { MAX_PASTED_BYTES, readPastedKeys } from '../cm/pasted-keys.ts'
import { misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'

/**
 * The keys of a file, however they were saved (case K11), in the form GnuPG writes. `flag` is what names the file for
 * the user. Throws CliError with the line that is wrong.
 */
export function readKeyFile(flag: string, path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile()) throw misuse(`${flag} ${path}: no such file`)
  if (found.size > MAX_PASTED_BYTES) throw misuse(`${flag} ${path}: too large for a key`)
  const read = readPastedKeys(readFileSync(path))
  if (read.kind === 'refused') throw misuse(`${flag} ${path}: ${read.sentence}`)
  return read.keys.map(({ armored }) => armored).join('')
}

/** Octets of a file with a passphrase. */
const MAX_PASSPHRASE_FILE_BYTES = 4096

/** The first line of a file as it stands: blanks belong to a passphrase. Throws CliError. */
export function readPassphraseFile(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile()) throw misuse(`--passphrase-file ${path}: no such file`)
  if (found.size > MAX_PASSPHRASE_FILE_BYTES) throw misuse(`--passphrase-file ${path}: too large`)
  const [line = ''] = readFileSync(path, 'utf8').split(/\r?\n/)
  if (line === '') throw misuse(`--passphrase-file ${path}: its first line is empty`)
  return line
}

/** The passphrase from its file, or asked for when the keys need one and a person sits there; else null. */
export async function passphraseOf(
  context: CliContext,
  flags: { readonly passphraseFile?: string },
  keys: string | undefined,
): Promise<string | null> {
  if (flags.passphraseFile !== undefined) return readPassphraseFile(flags.passphraseFile)
  if (keys === undefined || context.askSecret === undefined || !(await isAnyLocked(keys))) return null
  return await context.askSecret('passphrase of the key: ')
}

async function isAnyLocked(keys: string): Promise<boolean> {
  const read = readPastedKeys(keys)
  if (read.kind === 'refused') return false
  const locked = await Promise.all(read.keys.map(({ armored }) => isLockedSecretKey(armored)))
  return locked.includes(true)
}
