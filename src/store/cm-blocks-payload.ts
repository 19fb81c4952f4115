import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockUpload, PayloadSink, StoreOutcome } from '../cm/server/port.ts'
import type { PendingUpload } from './cm-blocks-operations.ts'
import { syncPath } from './sync-path.ts'

/** What a finished payload is handed to. */
export type CommitPayload = (upload: PendingUpload) => Promise<StoreOutcome>

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
  async commit(upload: BlockUpload): Promise<StoreOutcome> {
    let outcome: StoreOutcome | undefined
    try {
      await this.#file.sync()
      await this.#close()
      await syncPath(join(this.path, '..'))
      outcome = await this.#commit({ ...upload, payloadFile: this.#name, payloadBytes: this.#bytes })
      return outcome
    } finally {
      if (outcome?.kind !== 'stored') await this.discard()
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
