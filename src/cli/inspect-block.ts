import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { blockType, MAX_SERVER_PAYLOAD_BYTES, splitOutboxBlock } from '../cm/block-text.ts'
import type { BlockRules, BlockVerdict, RecordVerdict } from '../cm/block-verdict.ts'
import { CERTIFICATE_REFUSALS, MAX_CERTIFICATE_BYTES } from '../cm/certificate.ts'
import { type BlockKey, type KeyId, parseBlockKey, parseKeyId } from '../cm/ids.ts'
import type { Poster } from '../cm/judge-signed.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import { type MergeDecision, mergeBlocks } from '../cm/merge.ts'
import { parseCertificate } from '../cm/openpgp/certificates.ts'
import { validateBlock } from '../cm/validate-block.ts'
import { misuse } from './cli-error.ts'
import { collectOption } from './collect-option.ts'
import type { CliContext } from './context.ts'
import { type BlockFile, ownBlockKey, splitBlockFile } from './inspect-block-file.ts'
import { finishInspect, type InspectResult, nowOption, readInput } from './inspect-result.ts'

interface InspectBlockFlags {
  readonly key?: string
  readonly user?: string
  readonly publicKey?: readonly string[]
  readonly entangled?: boolean
  readonly now?: string
  readonly stored?: string
  readonly out?: string
}

/** Octets of a block file: the largest payload and its headers. */
const MAX_BLOCK_FILE_BYTES = MAX_SERVER_PAYLOAD_BYTES + 128 * 1024

function posterOption(user: string | undefined): Poster {
  if (user === undefined) return undefined
  if (user.toUpperCase() === 'NONE') return 'none'
  const keyId = parseKeyId(user)
  if (keyId === undefined) throw misuse(`--user ${user}: give a key id of 40 hex digits, or NONE`)
  return keyId
}

function keyOption(key: string | undefined): BlockKey | undefined {
  if (key === undefined) return undefined
  const parsed = parseBlockKey(key)
  if (parsed === undefined) throw misuse(`--key ${key}: give 40 hex digits`)
  return parsed
}

/** Public keys by key id; a file may hold a key or a key announcement. */
async function readPublicKeys(files: readonly string[], nowMs: number): Promise<ReadonlyMap<KeyId, string>> {
  const keys = new Map<KeyId, string>()
  for (const file of files) {
    const bytes = await readInput(file, MAX_CERTIFICATE_BYTES)
    const announcement = parseKeyAnnouncement(bytes.toString('utf8'))
    const input = announcement.kind === 'ok' ? announcement.announcement.keyBlock : bytes
    const read = await parseCertificate(input, nowMs)
    if (read.kind === 'refused') throw misuse(`--public-key ${file}: ${CERTIFICATE_REFUSALS[read.reason]}`)
    keys.set(read.certificate.keyId, read.certificate.armored)
  }
  return keys
}

function describeRecord(record: RecordVerdict, nowMs: number): object {
  const { certificateRefusal } = record
  return {
    accepted: record.reason === undefined,
    reason: record.reason ?? null,
    ...(certificateRefusal !== undefined && { detail: CERTIFICATE_REFUSALS[certificateRefusal] }),
    identity: record.identity,
    date: record.date ?? null,
    ageSeconds: record.dateMs === undefined ? null : Math.floor((nowMs - record.dateMs) / 1000),
    proofOfWork: record.proofOfWork ?? null,
    ...(record.signature !== undefined && { signature: record.signature }),
    ...(record.keyId !== undefined && { keyId: record.keyId }),
  }
}

function isMultiRecord(verdict: BlockVerdict): boolean {
  return verdict.type === 'message-announcement' || verdict.type === 'address-claim'
}

interface Merged {
  readonly decision: MergeDecision
  /** What the slot holds afterwards; undefined when it stays empty. */
  readonly block: BlockFile | undefined
}

/** What storing the block would leave; a block of another type has a slot of its own (CM wire S2). */
function mergeInto(stored: BlockFile | undefined, incoming: BlockFile, given: Judged): Merged {
  const slot = stored !== undefined && blockType(stored.text) === given.verdict.type ? stored : undefined
  if (slot !== undefined && isSame(slot, incoming)) return { decision: { kind: 'unchanged' }, block: slot }
  const decision = mergeBlocks(slot?.text, given.verdict, given.rules)
  const block = decision.kind === 'stored' ? { text: decision.text, payload: incoming.payload } : slot
  return { decision, block }
}

interface Judged {
  readonly verdict: BlockVerdict
  readonly rules: BlockRules
}

function isSame(a: BlockFile, b: BlockFile): boolean {
  return a.text === b.text && Buffer.compare(a.payload ?? Buffer.alloc(0), b.payload ?? Buffer.alloc(0)) === 0
}

/** The verdict with a merge: a block that changes nothing because it is there already is not taken again. */
function mergedReason(verdict: BlockVerdict, merged: Merged | undefined): string | undefined {
  if (merged?.decision.kind === 'rejected') return merged.decision.reason
  const isStoredAlready = merged?.decision.kind === 'unchanged' && !isMultiRecord(verdict)
  return isStoredAlready ? 'unchanged' : verdict.reason
}

/** `cmbridge inspect block FILE …`: the verdict of the functions the server and the client use (CM wire 2 to 4). */
export async function inspectBlock(
  file: string,
  flags: InspectBlockFlags,
  context: Pick<CliContext, 'clock'>,
): Promise<InspectResult> {
  const nowMs = nowOption(flags.now, context)
  const network = flags.entangled === true ? 'entangled' : 'server'
  const rules: BlockRules = { network, nowMs, isThorough: true }
  const publicKeys = await readPublicKeys(flags.publicKey ?? [], nowMs)
  const poster = posterOption(flags.user)
  const outbox = splitOutboxBlock((await readInput(file, MAX_BLOCK_FILE_BYTES)).toString('latin1'))
  const block = splitBlockFile(Buffer.from(outbox.body, 'latin1'))
  const key = keyOption(flags.key) ?? (await ownBlockKey(block, nowMs))
  const publicKeyFor = async (keyId: KeyId) => publicKeys.get(keyId)
  const verdict = await validateBlock({ ...rules, ...block, key, poster, publicKeyFor })
  const merged = await mergeOption(flags, block, { verdict, rules })
  if (flags.out !== undefined && merged?.block !== undefined) await writeBlock(flags.out, merged.block)
  const reason = mergedReason(verdict, merged)
  const records = verdict.records.map((record) => describeRecord(record, nowMs))
  const json = {
    type: verdict.type ?? null,
    key,
    ...(records[0] ?? { date: null, ageSeconds: null, proofOfWork: null }),
    accepted: reason === undefined,
    reason: reason ?? null,
    ...(isMultiRecord(verdict) && { records }),
    postTo: outbox.postTo,
    embargo: outbox.embargo ?? null,
    ...(merged !== undefined && { merge: merged.decision.kind, merged: merged.block?.text ?? null }),
  }
  return { exitCode: reason === undefined ? 0 : 1, json }
}

/** The merge that `--stored` or `--out` asks for; without a stored block the slot is empty. */
async function mergeOption(
  flags: Pick<InspectBlockFlags, 'stored' | 'out'>,
  block: BlockFile,
  judged: Judged,
): Promise<Merged | undefined> {
  if (flags.stored === undefined && flags.out === undefined) return undefined
  const stored = flags.stored === undefined ? undefined : await readInput(flags.stored, MAX_BLOCK_FILE_BYTES)
  return mergeInto(stored && splitBlockFile(stored), block, judged)
}

async function writeBlock(path: string, block: BlockFile): Promise<void> {
  await writeFile(path, Buffer.concat([Buffer.from(block.text), block.payload ?? Buffer.alloc(0)]))
}

/** Adds the verb to the `inspect` group. */
export function registerInspectBlock(inspect: Command, context: CliContext): void {
  inspect
    .command('block <file> [keys...]')
    .description('whether a block would be taken, and why not')
    .option('--key <hex>', 'the key it is stored under; its own one otherwise')
    .option('--user <keyid>', 'who posts it: a key id, or NONE for nobody; no login rule otherwise')
    .option(
      '--public-key <file>',
      'a key or key announcement to check claims with; may be repeated, or followed by more files',
      collectOption,
    )
    .option('--entangled', "by Entangled's limits")
    .option('--now <date>', 'judge it as of this time')
    .option('--stored <file>', 'merge it into this block')
    .option('--out <file>', 'write what is stored then')
    .action(async (file: string, moreKeys: string[], flags: InspectBlockFlags) => {
      if (moreKeys.length > 0 && flags.publicKey === undefined) throw misuse('give one block file')
      const publicKey = [...(flags.publicKey ?? []), ...moreKeys]
      const result = await inspectBlock(file, { ...flags, publicKey }, context)
      finishInspect(context, { ...result, reason: reasonOf(result) })
    })
}

function reasonOf(result: InspectResult): string | null {
  const { json } = result
  return typeof json === 'object' && json !== null && 'reason' in json ? String(json.reason) : null
}
