import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockKey } from '../../src/cm/ids.ts'
import {
  BLOCK_TYPES,
  type BlockRecord,
  type BlockType,
  type BlockUpload,
  type CmAccountEntry,
  type CmAccounts,
  type CmBlocks,
  type CmLoginOutcome,
  type FindOptions,
  type FoundBlock,
  type LoginOptions,
  MAX_SLOT_RECORDS,
  MAX_SLOT_TEXT_BYTES,
  type PayloadSink,
  RECORD_SEPARATORS,
  replaces,
  type StoreOutcome,
} from '../../src/cm/server/port.ts'

/** Blocks in memory: the second implementation the contract suite runs against. */
export class MemoryCmBlocks implements CmBlocks {
  readonly #slots = new Map<string, Map<string, BlockRecord>>()
  readonly #payloads = new Map<BlockKey, Uint8Array>()
  readonly #oldestMs: (type: BlockType) => number

  /** Records dated before `oldestMs` have expired. */
  constructor(oldestMs: (type: BlockType) => number = () => 0) {
    this.#oldestMs = oldestMs
  }

  async find(
    key: BlockKey,
    { type, sinceMs = 0, mayRead }: FindOptions = {},
  ): Promise<FoundBlock | undefined> {
    for (const candidate of type === undefined ? BLOCK_TYPES : [type]) {
      const since = candidate === 'message-announcement' ? sinceMs : 0
      const texts = this.#live(candidate, key, since).map(({ text }) => text)
      const [any] = texts
      if (any === undefined) continue
      if (mayRead?.(candidate, () => any) === false) return undefined
      const payload = candidate === 'data' ? this.#payloads.get(key) : undefined
      return {
        type: candidate,
        payloadBytes: payload?.length ?? 0,
        records: () => inPieces(texts),
        payload: () => inPieces(payload === undefined ? [] : [payload]),
      }
    }
    return undefined
  }

  async store({ type, key, records, payload }: BlockUpload): Promise<StoreOutcome> {
    const name = `${type} ${key}`
    const slot = new Map(this.#slots.get(name))
    const added = new Map<string, string>()
    for (const record of records) {
      if (!replaces(record, slot.get(record.identity)?.dateMs)) continue
      slot.set(record.identity, record)
      added.set(record.identity, record.text)
    }
    if (added.size === 0) return { kind: 'unchanged' }
    if (RECORD_SEPARATORS[type] !== '' && isTooMuch(slot)) return { kind: 'full' }
    this.#slots.set(name, slot)
    if (payload !== undefined) this.#payloads.set(key, payload)
    return { kind: 'stored', added: [...added.values()] }
  }

  async beginPayload(): Promise<PayloadSink> {
    const directory = await mkdtemp(join(tmpdir(), 'cmb-payload-'))
    const path = join(directory, 'payload')
    const file = await open(path, 'wx')
    const discard = async () => {
      await file.close()
      await rm(directory, { recursive: true, force: true })
    }
    return {
      path,
      write: (bytes) => file.writeFile(bytes),
      discard,
      commit: async (upload) => {
        const outcome = await this.store({ ...upload, payload: await readFile(path) })
        await discard()
        return outcome
      },
    }
  }

  #live(type: BlockType, key: BlockKey, sinceMs: number): BlockRecord[] {
    const fromMs = Math.max(sinceMs, this.#oldestMs(type))
    return [...(this.#slots.get(`${type} ${key}`)?.values() ?? [])]
      .filter(({ dateMs }) => dateMs >= fromMs)
      .sort((a, b) => a.dateMs - b.dateMs || (a.identity < b.identity ? -1 : 1))
  }
}

function isTooMuch(slot: ReadonlyMap<string, BlockRecord>): boolean {
  const bytes = [...slot.values()].reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
  return slot.size > MAX_SLOT_RECORDS || bytes > MAX_SLOT_TEXT_BYTES
}

async function* inPieces<Piece>(pieces: readonly Piece[]): AsyncGenerator<Piece> {
  yield* pieces
}

/** Accounts in memory, keys in clear. */
export class MemoryCmAccounts implements CmAccounts {
  readonly #userByKey: Map<string, string>

  constructor(entries: Record<string, string>) {
    this.#userByKey = new Map(Object.entries(entries))
  }

  async assign(entries: readonly CmAccountEntry[]): Promise<void> {
    for (const { userId, authKey } of entries) this.#userByKey.set(authKey, userId)
  }

  newAuthKey(): string {
    return randomBytes(20).toString('hex').toUpperCase()
  }

  async login(userId: string, authKey: string, _options?: LoginOptions): Promise<CmLoginOutcome> {
    const stored = this.#userByKey.get(authKey)
    if (stored === undefined || stored === 'disabled') return { kind: 'refused' }
    if (stored === 'undefined') {
      if (/^(undefined|disabled|administrator|replication)$/i.test(userId)) return { kind: 'refused' }
      this.#userByKey.set(authKey, userId)
      return { kind: 'ok', userId, isValid: () => this.#userByKey.get(authKey) === userId }
    }
    return stored.toLowerCase() === userId.toLowerCase()
      ? { kind: 'ok', userId: stored, isValid: () => this.#userByKey.get(authKey) === stored }
      : { kind: 'refused' }
  }
}
