import { type ByteSource, withSource } from './byte-source.ts'
import type { ZipSource } from './zip-read.ts'

/**
 * The decrypted message: two octets of signature length, the detached signature, then the ZIP to the end
 * (CM message 1.1, 1.2). The length is written signed by the reference; we read it unsigned and bound it.
 */

/** Octets of a detached signature we read; RSA-4096 makes 566. */
export const MAX_SIGNATURE_BYTES = 16_384
const LENGTH_BYTES = 2

export type ContainerFault = 'container-empty' | 'signature-length'

export type ContainerOutcome =
  | {
      readonly kind: 'ok'
      /** Empty when the message is not signed. */
      readonly signature: Uint8Array
      readonly zip: ZipSource
    }
  | { readonly kind: 'unreadable'; readonly reason: ContainerFault }

/** Splits a container; of a file it reads only the first octets. */
export function readContainer(source: ByteSource): Promise<ContainerOutcome> {
  return withSource(source, async (read) => {
    const head = await read(0, LENGTH_BYTES + MAX_SIGNATURE_BYTES)
    if (head.length < LENGTH_BYTES) return { kind: 'unreadable', reason: 'container-empty' }
    const length = head.readUInt16BE(0)
    const start = LENGTH_BYTES + length
    if (length > MAX_SIGNATURE_BYTES || start > head.length) {
      return { kind: 'unreadable', reason: 'signature-length' }
    }
    const signature = new Uint8Array(head.subarray(LENGTH_BYTES, start))
    return { kind: 'ok', signature, zip: { ...source, start } }
  })
}

/** What stands before the ZIP: length and signature. Throws a RangeError outside 1 to `MAX_SIGNATURE_BYTES` octets. */
export function containerPrefix(signature: Uint8Array): Buffer {
  if (signature.length === 0 || signature.length > MAX_SIGNATURE_BYTES) {
    throw new RangeError(`a signature of ${signature.length} bytes cannot be written`)
  }
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt16BE(signature.length)
  return Buffer.concat([length, signature])
}
