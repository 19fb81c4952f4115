import type { CmNetwork, MaxAges } from '../../src/cm/block-verdict.ts'
import { splitDataBlock } from '../../src/cm/data-block.ts'
import { type BlockKey, type KeyId, parseBlockKey, parseKeyId } from '../../src/cm/ids.ts'
import type { Poster } from '../../src/cm/judge-signed.ts'
import { mergeBlocks } from '../../src/cm/merge.ts'
import { parseUtcTime } from '../../src/cm/utc-time.ts'
import { validateBlock } from '../../src/cm/validate-block.ts'
import { blockType } from '../../src/cm/block-text.ts'
import { vectorBytes, vectorJson } from '../support/vectors.ts'

/** Reads the reference's recorded `validate_merge` calls and runs ours on the same blocks. */

export type BlockReference =
  | { readonly file: string }
  | { readonly text: string }
  | { readonly hex: string }
  | { readonly prefix: string; readonly fill: string; readonly length: number }
  | { readonly sameAs: 'new' | 'old' }

export interface ValidateRow {
  readonly name: string
  readonly clock: string
  readonly key: string
  readonly entangled: boolean
  readonly postingUser: string | null
  readonly old: BlockReference | null
  readonly new: BlockReference
  readonly serverMaxAges?: Readonly<Record<string, number>>
  readonly storedParts?: readonly string[]
  readonly result:
    | { readonly stored: BlockReference | null; readonly message: string | null }
    | { readonly exception: object }
}

export function referenceBytes(reference: BlockReference): Buffer {
  if ('file' in reference) return vectorBytes(reference.file)
  if ('text' in reference) return Buffer.from(reference.text)
  if ('hex' in reference) return Buffer.from(reference.hex, 'hex')
  if ('sameAs' in reference) throw new Error('sameAs must be resolved by the caller')
  return Buffer.concat([Buffer.from(reference.prefix), Buffer.alloc(reference.length, reference.fill, 'hex')])
}

interface Parts {
  readonly text: string
  readonly payload: Uint8Array | undefined
}

function partsOf(bytes: Buffer): Parts {
  const data = splitDataBlock(bytes)
  if (data !== undefined && blockType(data.headerText) === 'data') {
    return { text: data.headerText, payload: data.payload }
  }
  return { text: bytes.toString('utf8'), payload: undefined }
}

interface NamedKeys {
  readonly keys: Readonly<Record<string, { readonly fingerprint: string }>>
}

/** The vectors' public keys by key id, as they were before ruth's was revoked. */
export function vectorKeys(): ReadonlyMap<KeyId, string> {
  const { keys } = vectorJson<NamedKeys>('keys/keys.json')
  return new Map(
    Object.entries(keys).map(([name, key]) => [
      parseKeyId(key.fingerprint) as KeyId,
      vectorBytes(`keys/${name}.pub.asc`).toString('utf8'),
    ]),
  )
}

function posterOf(user: string | null): Poster {
  if (user === null) return undefined
  return user === 'NONE' ? 'none' : parseKeyId(user)
}

function maxAgesOf(row: ValidateRow): Partial<MaxAges> | undefined {
  const ages = row.serverMaxAges
  if (ages === undefined) return undefined
  return Object.fromEntries(
    Object.entries(ages).map(([name, seconds]) => [AGE_NAMES[name] ?? name, seconds * 1000]),
  )
}

const AGE_NAMES: Readonly<Record<string, string>> = {
  max_age_key_server: 'key-announcement',
  max_age_data_server: 'data',
  max_age_message_server: 'message-announcement',
  max_age_ack_server: 'acknowledgment',
  max_age_claim_server: 'address-claim',
}

export interface OurVerdict {
  readonly accepted: boolean
  /** `stored`, `unchanged` or the reason. */
  readonly outcome: string
  /** What lies in the slot afterwards. */
  readonly text: string | undefined
}

export async function runRow(row: ValidateRow, keys: ReadonlyMap<KeyId, string>): Promise<OurVerdict> {
  const bytes = referenceBytes(row.new)
  const incoming = partsOf(bytes)
  const oldBytes = row.old === null ? undefined : referenceBytes(row.old)
  const old = oldBytes === undefined ? undefined : partsOf(oldBytes)
  const network: CmNetwork = row.entangled ? 'entangled' : 'server'
  const rules = { network, nowMs: parseUtcTime(row.clock) as number, maxAges: maxAgesOf(row) }
  if (oldBytes !== undefined && bytes.equals(oldBytes)) {
    return { accepted: false, outcome: 'unchanged', text: old?.text }
  }
  const verdict = await validateBlock({
    ...rules,
    key: parseBlockKey(row.key) as BlockKey,
    ...incoming,
    poster: posterOf(row.postingUser),
    publicKeyFor: async (keyId) => keys.get(keyId),
  })
  const slot = old !== undefined && blockType(old.text) === verdict.type ? old.text : undefined
  const decision = mergeBlocks(slot, verdict, rules)
  if (decision.kind === 'rejected') return { accepted: false, outcome: decision.reason, text: slot }
  return { accepted: true, outcome: decision.kind, text: decision.kind === 'stored' ? decision.text : slot }
}

/** What the reference recorded: an exception kills its store thread, so nothing is stored. */
export function recordedAcceptance(row: ValidateRow): boolean {
  return 'stored' in row.result && row.result.stored !== null
}
