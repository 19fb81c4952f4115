import { type BlockTarget, type SplitCiphertext, splitCiphertext } from './block-file.ts'
import { containerPrefix } from './container.ts'
import { encryptBytes, encryptFile, signDetachedFile } from './crypto-files.ts'
import { readZipEntries } from './zip-read.ts'
import { type NewZipEntry, writeZip } from './zip-write.ts'

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

/** ZIP, detached signature over it, ciphertext of both, blocks (CM message 1.1). The ZIP file is left for the caller. */
export async function buildMessage(plan: MessagePlan): Promise<BuiltMessage> {
  const date = new Date(plan.dateMs)
  const sealed = await Promise.all(plan.sealed.map((entry) => seal(entry, date)))
  await writeZip(plan.zipPath, [...plan.entries, ...sealed])
  const listed = await readZipEntries({ path: plan.zipPath, start: 0 })
  if (listed.kind === 'unreadable') throw new Error(`our own archive is unreadable: ${listed.reason}`)
  const signature = await signDetachedFile(plan.zipPath, plan.signingKey, date)
  await encryptFile({ prefix: containerPrefix(signature), path: plan.zipPath }, plan.ciphertextPath, {
    certificates: plan.certificates,
    sessionKey: plan.sessionKey,
    date,
  })
  const { bytes, ...split } = await splitCiphertext(plan.ciphertextPath, plan.target)
  return { ...split, ciphertextBytes: bytes }
}

async function seal(entry: SealedEntry, date: Date): Promise<NewZipEntry> {
  const bytes = await encryptBytes(entry.content, {
    certificates: [entry.certificate],
    sessionKey: entry.sessionKey,
    date,
  })
  return { name: entry.name, bytes }
}
