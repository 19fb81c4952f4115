import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockKey } from '../cm/ids.ts'
import type { MergeDecision, PayloadSink } from '../cm/server/port.ts'

/** What a finished payload is handed to. */
export type CommitPayload = (arrived: {
  readonly key: BlockKey
  readonly text: string
  readonly payloadFile: string
  readonly payloadBytes: number
  readonly accept: (stored: string | undefined) => MergeDecision
}) => Promise<MergeDecision>

/** A payload file that is arriving. Without a row naming it, it is swept at the next start. */
export class PayloadFile implements PayloadSink {
  readonly path: string
  readonly #name: string
  readonly #file: FileHandle
  readonly #commit: CommitPayload
  #bytes = 0
  #closed = false as boolean

  private constructor(place: { name: string; path: string }, file: FileHandle, commit: CommitPayload) {
    this.#name = place.name
    this.path = place.path
    this.#file = file
    this.#commit = commit
  }

  static async create(directory: string, name: string, commit: CommitPayload): Promise<PayloadFile> {
    const path = join(directory, name)
    return new PayloadFile({ name, path }, await open(path, 'wx', 0o600), commit)
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.writeFile(bytes)
    this.#bytes += bytes.length
  }

  /** The file and its name are durable before the row that names them (design 4). */
  async commit(
    key: BlockKey,
    text: string,
    accept: (stored: string | undefined) => MergeDecision,
  ): Promise<MergeDecision> {
    let decision: MergeDecision | undefined
    try {
      await this.#file.sync()
      await this.#close()
      await syncDirectory(join(this.path, '..'))
      decision = await this.#commit({
        key,
        text,
        payloadFile: this.#name,
        payloadBytes: this.#bytes,
        accept,
      })
      return decision
    } finally {
      if (decision?.kind !== 'stored') await this.discard()
    }
  }

  async discard(): Promise<void> {
    await this.#close()
    await rm(this.path, { force: true })
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
