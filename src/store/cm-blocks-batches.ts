import type { PendingUpload, UploadResult } from './cm-blocks-operations.ts'

/** Uploads of one write: its COMMIT is awaited by the first as long as by the last. */
const MAX_BATCH_UPLOADS = 512
/** Octets of text and payload in one write; both threads hold them at once. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
/** Writes on their way: one is being committed while the next is already with the thread. */
const MAX_WRITES_IN_FLIGHT = 2

interface Waiting {
  readonly upload: PendingUpload
  readonly resolve: (result: UploadResult) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers the uploads of all connections into few writes: what comes while a write is on its way goes with the next
 * one, so a slow disk makes larger commits, not longer queues.
 */
export class UploadBatches {
  readonly #write: (uploads: readonly PendingUpload[]) => Promise<readonly UploadResult[]>
  #waiting: Waiting[] = []
  #inFlight = 0
  #isScheduled = false

  /** `write` answers in the order of the uploads, after they are durable; when it rejects, none of them is stored. */
  constructor(write: (uploads: readonly PendingUpload[]) => Promise<readonly UploadResult[]>) {
    this.#write = write
  }

  /** Resolves when the upload is durable or was found not to be needed. */
  add(upload: PendingUpload): Promise<UploadResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ upload, resolve, reject })
      this.#schedule()
    })
  }

  /** Not at once: what else arrived in this turn of the event loop comes along. */
  #schedule(): void {
    if (this.#isScheduled || this.#inFlight >= MAX_WRITES_IN_FLIGHT || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#send(this.#takeBatch())
    })
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#inFlight += 1
    this.#schedule()
    try {
      const results = await this.#write(batch.map(({ upload }) => upload))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index]
        if (result === undefined) reject(new Error('the writer did not answer for an upload'))
        else resolve(result)
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#inFlight -= 1
      this.#schedule()
    }
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { upload } of this.#waiting) {
      bytes += sizeOf(upload)
      if (count > 0 && (count === MAX_BATCH_UPLOADS || bytes > MAX_BATCH_BYTES)) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}

function sizeOf({ records, payload }: PendingUpload): number {
  return records.reduce((sum, { text }) => sum + text.length, payload?.length ?? 0)
}
