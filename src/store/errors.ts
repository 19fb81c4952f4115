import { basename } from 'node:path'

/** SQLite's primary result codes that we tell apart (sqlite.org/rescode.html). */
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_NOTADB = 26
const PRIMARY_CODE_MASK = 0xff

/** No room on the disk: SMTP answers `452 4.3.1`, APPEND `NO [LIMIT]` (design 4). Nothing of the write remains. */
export class DiskFullError extends Error {
  override readonly name = 'DiskFullError'
}

/** The database cannot be read. Never shown as an empty mailbox; the message names the file and the cure. */
export class DamagedDatabaseError extends Error {
  override readonly name = 'DamagedDatabaseError'

  constructor(path: string, detail: string, options?: ErrorOptions) {
    super(
      `${path} is damaged (${detail}). Nothing was changed. Stop the program, keep a copy of the whole directory, and put back ${basename(path)} from a backup.`,
      options,
    )
  }
}

/** The database was written by a newer release; refused, data untouched. */
export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError'

  constructor(path: string, found: number, known: number) {
    super(
      `${path} has schema version ${found}, this release knows ${known}. Nothing was changed. Install the newer release again, or put back a backup made by this one.`,
    )
  }
}

/** The store was closed, or its writer thread died; what was not answered is not known to be durable. */
export class StoreClosedError extends Error {
  override readonly name = 'StoreClosedError'
}

/** An operation threw in the writer thread; it undid itself alone. The message and stack are those of the writer. */
export class WriteFailedError extends Error {
  override readonly name = 'WriteFailedError'
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  return error.errcode & PRIMARY_CODE_MASK
}

/** True for "no space left": of SQLite, of the file system (also over quota), or already translated. */
export function isDiskFull(error: unknown): boolean {
  if (error instanceof DiskFullError || sqliteCode(error) === SQLITE_FULL) return true
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

/** True when SQLite says that the file is damaged or is no database. */
export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB
}

/** Runs file system work and turns "no space left" into DiskFullError; other errors pass. */
export async function withDiskFull<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isDiskFull(error) || error instanceof DiskFullError) throw error
    throw new DiskFullError('no space left on the disk', { cause: error })
  }
}
