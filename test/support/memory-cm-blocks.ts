import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockKey } from '../../src/cm/ids.ts'
import type {
  BlockType,
  CmAccountEntry,
  CmAccounts,
  CmBlocks,
  CmLoginOutcome,
  MergeDecision,
  PayloadSink,
  StoredBlock,
} from '../../src/cm/server/port.ts'

const TYPES_BY_PREFERENCE: readonly BlockType[] = [
  'key-announcement',
  'address-claim',
  'message-announcement',
  'acknowledgment',
  'data',
]

/** Blocks in memory: the second implementation the contract suite runs against. */
export class MemoryCmBlocks implements CmBlocks {
  readonly #blocks = new Map<string, StoredBlock>()
  readonly #payloads = new Map<BlockKey, Uint8Array>()

  async get(type: BlockType, key: BlockKey): Promise<StoredBlock | undefined> {
    return this.#blocks.get(`${type} ${key}`)
  }

  async getAny(key: BlockKey): Promise<StoredBlock | undefined> {
    const type = TYPES_BY_PREFERENCE.find((candidate) => this.#blocks.has(`${candidate} ${key}`))
    return type && this.#blocks.get(`${type} ${key}`)
  }

  async *readPayload(key: BlockKey): AsyncGenerator<Uint8Array> {
    const payload = this.#payloads.get(key)
    if (payload !== undefined) yield payload
  }

  async update(
    type: BlockType,
    key: BlockKey,
    merge: (stored: string | undefined) => MergeDecision,
  ): Promise<MergeDecision> {
    const decision = merge(this.#blocks.get(`${type} ${key}`)?.text)
    if (decision.kind === 'stored') {
      this.#blocks.set(`${type} ${key}`, { type, text: decision.text, payloadBytes: 0 })
    }
    return decision
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
      commit: async (key, _text, accept) => {
        const decision = accept(this.#blocks.get(`data ${key}`)?.text)
        if (decision.kind === 'stored') {
          const payload = await readFile(path)
          this.#payloads.set(key, payload)
          this.#blocks.set(`data ${key}`, { type: 'data', text: decision.text, payloadBytes: payload.length })
        }
        await discard()
        return decision
      },
    }
  }
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

  async login(userId: string, authKey: string): Promise<CmLoginOutcome> {
    const stored = this.#userByKey.get(authKey)
    if (stored === undefined || stored === 'disabled') return { kind: 'refused' }
    if (stored === 'undefined') {
      if (/^(undefined|disabled|administrator|replication)$/i.test(userId)) return { kind: 'refused' }
      this.#userByKey.set(authKey, userId)
      return { kind: 'ok', userId }
    }
    return stored.toLowerCase() === userId.toLowerCase()
      ? { kind: 'ok', userId: stored }
      : { kind: 'refused' }
  }
}
