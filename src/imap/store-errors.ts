/**
 * Errors of the store that `port.ts` names. Their classes are the store's, which this module does not import; so they
 * are told by name.
 */

/** No room on the disk: NO [LIMIT], the literal is read to its end (design 4). */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && error.name === 'DiskFullError'
}

/** The store cannot serve anybody: BYE, never an empty mailbox (design 4). */
export function isStoreGone(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === 'DamagedDatabaseError' || error.name === 'StoreClosedError')
  )
}
