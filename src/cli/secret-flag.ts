import { readFileSync, statSync } from 'node:fs'
import { misuse } from './cli-error.ts'

/** Octets of a file with one authentication key. */
const MAX_SECRET_FILE_BYTES = 4096
/** Takes a key away; no server's key is that short (CM wire 7.3). */
const NONE = 'none'

/**
 * A secret from the command line or, so that no list of processes shows it, from a file's first line. Undefined: not
 * given; null: `none`. `flag` is how the first is called, e.g. `--auth-key`. Throws CliError.
 */
export function secretFlag(
  flag: string,
  value: string | undefined,
  file: string | undefined,
): string | null | undefined {
  if (value !== undefined && file !== undefined) throw misuse(`give ${flag} or ${flag}-file, not both`)
  if (file === undefined) return value === NONE ? null : value
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile()) throw misuse(`${flag}-file ${file}: no such file`)
  if (found.size > MAX_SECRET_FILE_BYTES)
    throw misuse(`${flag}-file ${file}: too large for an authentication key`)
  const [line = ''] = readFileSync(file, 'utf8').split('\n')
  if (line.trim() === '') throw misuse(`${flag}-file ${file}: its first line is empty`)
  return line.trim()
}
