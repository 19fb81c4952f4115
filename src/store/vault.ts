import type { AccountId } from './ids.ts'

/**
 * The one module through which message bytes, index columns and secrets go on their way to and from the disk.
 * Today it only marks what it seals with a format octet; encryption under the account's data key (design 5) is to
 * replace the bodies of these functions and nothing else. Every sealed thing names its owner and its row, which will be
 * bound as associated data.
 */

/** What a sealed value belongs to. */
export interface SealContext {
  readonly accountId: AccountId
  /** 16 random bytes: the id of the row or file. */
  readonly rowId: Uint8Array
  readonly purpose: 'message' | 'index' | 'header' | 'secret-key' | 'auth-key' | 'bypass-secret'
}

/** The first octet of everything sealed: how the rest is to be read. */
const FORMAT_CLEAR = 0

/** Thrown for a value whose format this release does not know; it is never taken for clear text. */
export class UnknownSealError extends Error {
  override readonly name = 'UnknownSealError'
}

/** Seals a value that is held whole. */
export function seal(_context: SealContext, bytes: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(bytes.length + 1)
  sealed[0] = FORMAT_CLEAR
  sealed.set(bytes, 1)
  return sealed
}

/** Opens what `seal` made; throws UnknownSealError. */
export function open(context: SealContext, sealed: Uint8Array): Uint8Array {
  checkFormat(context, sealed[0])
  return sealed.subarray(1)
}

/** Seals a stream piece by piece: write out what `start`, `push` and `finish` return, in order. */
export class StreamSealer {
  readonly context: SealContext

  constructor(context: SealContext) {
    this.context = context
  }

  start(): Uint8Array {
    return new Uint8Array([FORMAT_CLEAR])
  }

  push(bytes: Uint8Array): Uint8Array {
    return bytes
  }

  finish(): Uint8Array {
    return new Uint8Array(0)
  }
}

/** Reads octets `[start, end)` of a sealed file. */
export type SealedReader = (start: number, end: number) => AsyncIterable<Uint8Array>

/** Opens octets `[start, end)` (in clear) of what a StreamSealer wrote, reading only what it needs. */
export async function* openStream(
  context: SealContext,
  read: SealedReader,
  range: { readonly start: number; readonly end: number },
): AsyncIterable<Uint8Array> {
  for await (const first of read(0, 1)) checkFormat(context, first[0])
  yield* read(range.start + 1, range.end + 1)
}

function checkFormat(context: SealContext, format: number | undefined): void {
  if (format === FORMAT_CLEAR) return
  throw new UnknownSealError(
    `sealed ${context.purpose} of format ${format}: written by a newer release, or damaged`,
  )
}
