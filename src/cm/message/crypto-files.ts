import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { signDetached, verifyDetached } from '../openpgp/detached-signatures.ts'
import {
  decryptUnauthenticatedStream,
  decryptWhole,
  encryptStream,
  encryptWhole,
} from '../openpgp/encryption.ts'
import type { DetachedVerdict } from '../signature-verdict.ts'
import { type ByteSource, READ_CHUNK_BYTES } from './byte-source.ts'
import type { ByteStream } from './byte-stream.ts'
import type { EncryptionPlan } from './encryption-plan.ts'

/**
 * OpenPGP from file to file, bounded in memory whatever the size (measurements 1). Keys are armored text. Slow: run
 * these in `cm/workers/`.
 */

/** A file, or its part from `start` (octets) to its end. */
interface FileRange {
  readonly path: string
  readonly start?: number
}

function webStream(range: FileRange): ByteStream {
  const file = createReadStream(range.path, { start: range.start ?? 0, highWaterMark: READ_CHUNK_BYTES })
  return Readable.toWeb(file) as ByteStream
}

/** Binary detached signature over a whole file, SHA-512, type 0x00 (CM message 1.1, 5.2). */
export function signDetachedFile(path: string, secretKey: string, date: Date): Promise<Uint8Array> {
  return signDetached(webStream({ path }), secretKey, date)
}

/** The same over octets in memory. */
export function signDetachedBytes(bytes: Uint8Array, secretKey: string, date: Date): Promise<Uint8Array> {
  return signDetached(bytes, secretKey, date)
}

/** A signature to be judged; plain data for a worker task. */
export type DetachedSignatureFile = ByteSource & {
  /** Octets of the source that are not signed. */
  readonly start?: number
  readonly signature: Uint8Array
  /** Armored; any number, the signature says which of them signed. */
  readonly certificates: readonly string[]
  readonly nowMs: number
}

/** Judges a detached signature over a file, or over octets in memory, by the given clock (CM message 5.5). */
export function verifyDetachedFile(given: DetachedSignatureFile): Promise<DetachedVerdict> {
  const content = () => ('path' in given ? webStream(given) : given.bytes.subarray(given.start ?? 0))
  return verifyDetached(content, given.signature, given)
}

/**
 * Encrypts `prefix` followed by the file's content into a new file. Rejects when a certificate cannot be encrypted to;
 * nothing is left then.
 */
export async function encryptFile(
  input: { readonly prefix: Uint8Array; readonly path: string },
  outputPath: string,
  plan: EncryptionPlan,
): Promise<void> {
  const content = Readable.from(prefixed(input), { objectMode: false })
  const encrypted = await encryptStream(Readable.toWeb(content) as ByteStream, plan)
  await spool(encrypted, outputPath)
}

async function* prefixed(input: {
  readonly prefix: Uint8Array
  readonly path: string
}): AsyncGenerator<Uint8Array> {
  yield input.prefix
  yield* createReadStream(input.path, { highWaterMark: READ_CHUNK_BYTES })
}

export type DecryptFault = 'not-openpgp' | 'not-for-us' | 'undecryptable' | 'too-large'

export type DecryptOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'failed'; readonly reason: DecryptFault }

/**
 * Decrypts a file into a new file, which exists only when the whole message was authentic. This is the only place
 * where unauthenticated bytes are taken: they go to the file, and the file goes when the end is not clean.
 */
export async function decryptFile(
  inputPath: string,
  outputPath: string,
  options: { readonly secretKeys: readonly string[]; readonly maxBytes: number },
): Promise<DecryptOutcome> {
  const { maxBytes } = options
  // A missing or unreadable input is our fault, and must not pass for the sender's.
  await stat(inputPath)
  const decrypted = await decryptUnauthenticatedStream(
    webStream({ path: inputPath }),
    options.secretKeys,
    maxBytes,
  )
  if (decrypted.kind === 'failed') return decrypted
  try {
    await spool(decrypted.content, outputPath, maxBytes)
  } catch (error) {
    if (error instanceof TooLargeError) return { kind: 'failed', reason: 'too-large' }
    if (error instanceof Error && 'syscall' in error) throw error
    return { kind: 'failed', reason: 'undecryptable' }
  }
  return { kind: 'ok' }
}

class TooLargeError extends Error {
  override readonly name = 'TooLargeError'
}

/** Writes a stream to a new private file; the file is removed when anything fails. */
async function spool(content: ByteStream, path: string, maxBytes = Number.POSITIVE_INFINITY): Promise<void> {
  try {
    await pipeline(bounded(content, maxBytes), createWriteStream(path, { mode: 0o600, flush: true }))
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** By reader: openpgp.js's streams are locked against plain iteration (measurements 1). */
async function* bounded(content: ByteStream, maxBytes: number): AsyncGenerator<Uint8Array> {
  const reader = content.getReader()
  let bytes = 0
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    bytes += chunk.value.length
    if (bytes > maxBytes) {
      await reader.cancel()
      throw new TooLargeError(`more than ${maxBytes} bytes`)
    }
    yield chunk.value
  }
}

/** A small message, as an acknowledgment file is (CM message 4.3). */
export function encryptBytes(content: Uint8Array, plan: EncryptionPlan): Promise<Uint8Array> {
  return encryptWhole(new Uint8Array(content), plan)
}

/** The content of a small message, or undefined when it cannot be decrypted, is not authentic or is too long. */
export async function decryptBytes(
  ciphertext: Uint8Array,
  options: { readonly secretKeys: readonly string[]; readonly maxBytes: number },
): Promise<Uint8Array | undefined> {
  const content = await decryptWhole(ciphertext, options)
  // A copy of its own: octets that are part of a larger buffer take all of it along to another thread.
  return content === undefined || content.length > options.maxBytes ? undefined : new Uint8Array(content)
}
