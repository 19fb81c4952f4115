import { writeFile } from 'node:fs/promises'
import { type BlockTarget, type SplitCiphertext, splitCiphertext } from './block-file.ts'
import { MAX_IN_MEMORY_BYTES } from './byte-source.ts'
import { containerPrefix } from './container.ts'
import { encryptBytes, encryptFile, signDetachedBytes, signDetachedFile } from './crypto-files.ts'
import type { EncryptionPlan } from './encryption-plan.ts'
import { readZipEntries, type ZipSource } from './zip-read.ts'
import { type NewZipEntry, writeZip, zipInMemory } from './zip-write.ts'

/** The slow half of encoding, plain data in and out: a task of `cm/workers/`. */

/** Plain data for another thread; holds secrets, so it is never logged or stored. */
export interface MessagePlan {
  readonly zipPath: string
  readonly ciphertextPath: string
  /** In order; the acknowledgment files that need encryption come as `sealed`. */
  readonly entries: readonly NewZipEntry[]
  readonly sealed: readonly SealedEntry[]
  readonly signingKey: string
  readonly certificates: readonly string[]
  /** 32 bytes. */
  readonly sessionKey: Uint8Array
  readonly dateMs: number
  readonly target: BlockTarget
}

/** An entry encrypted to one recipient before it is put in (CM message 4.3). */
export interface SealedEntry {
  readonly name: string
  readonly content: Uint8Array
  readonly certificate: string
  readonly sessionKey: Uint8Array
}

/** What a worker sends back. */
export interface BuiltMessage extends Pick<SplitCiphertext, 'blocks' | 'messageHash' | 'announcementId'> {
  readonly ciphertextBytes: number
}

/**
 * ZIP, detached signature over it, ciphertext of both, blocks (CM message 1.1). Small ones meet in memory; of others the
 * ZIP file is left for the caller.
 */
export async function buildMessage(plan: MessagePlan): Promise<BuiltMessage> {
  const date = new Date(plan.dateMs)
  const sealed = await Promise.all(plan.sealed.map((entry) => seal(entry, date)))
  const entries = [...plan.entries, ...sealed]
  const zip = await zipInMemory(entries, MAX_IN_MEMORY_BYTES)
  if (zip === undefined) await encryptByFiles(plan, entries, date)
  else await encryptInMemory(plan, zip, date)
  const { bytes, ...split } = await splitCiphertext(plan.ciphertextPath, plan.target)
  return { ...split, ciphertextBytes: bytes }
}

async function encryptInMemory(plan: MessagePlan, zip: Uint8Array, date: Date): Promise<void> {
  await checkArchive({ bytes: zip, start: 0 })
  const prefix = containerPrefix(await signDetachedBytes(zip, plan.signingKey, date))
  const ciphertext = await encryptBytes(Buffer.concat([prefix, zip]), encryptionOf(plan, date))
  await writeFile(plan.ciphertextPath, ciphertext, { mode: 0o600 })
}

async function encryptByFiles(plan: MessagePlan, entries: readonly NewZipEntry[], date: Date): Promise<void> {
  await writeZip(plan.zipPath, entries)
  await checkArchive({ path: plan.zipPath, start: 0 })
  const prefix = containerPrefix(await signDetachedFile(plan.zipPath, plan.signingKey, date))
  await encryptFile({ prefix, path: plan.zipPath }, plan.ciphertextPath, encryptionOf(plan, date))
}

/** What we could not read ourselves is not sent. */
async function checkArchive(zip: ZipSource): Promise<void> {
  const listed = await readZipEntries(zip)
  if (listed.kind === 'unreadable') throw new Error(`our own archive is unreadable: ${listed.reason}`)
}

function encryptionOf({ certificates, sessionKey }: MessagePlan, date: Date): EncryptionPlan {
  return { certificates, sessionKey, date }
}

async function seal(entry: SealedEntry, date: Date): Promise<NewZipEntry> {
  const bytes = await encryptBytes(entry.content, {
    certificates: [entry.certificate],
    sessionKey: entry.sessionKey,
    date,
  })
  return { name: entry.name, bytes }
}
