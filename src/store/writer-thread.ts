import { parentPort, workerData } from 'node:worker_threads'
import { openConnection } from './database-file.ts'
import type { OperationTable } from './operation.ts'
import { type CommittedGroup, type QueuedWrite, WriteGroupRunner } from './write-group.ts'

/**
 * The one thread that writes. Writes that arrived while the last group was being committed make the next group:
 * the longer a commit takes, the more share the next one (measurements 4).
 */

/** Most writes of one COMMIT, so that the first of a flood does not wait for the last. */
const MAX_GROUP_WRITES = 256

export interface WriterThreadData {
  readonly databasePath: string
  /** Module URL that exports `operations`. */
  readonly operationsUrl: string
}

export type WriterThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'committed'; readonly group: CommittedGroup }

export type WriterThreadRequest =
  | { readonly kind: 'write'; readonly write: QueuedWrite }
  | { readonly kind: 'close' }

const port = parentPort
if (port === null) throw new Error('writer-thread.ts is the writer thread and runs in a worker only')

const { databasePath, operationsUrl } = workerData as WriterThreadData
const { operations } = (await import(operationsUrl)) as { operations: OperationTable }
const database = openConnection(databasePath)
const runner = new WriteGroupRunner(database, operations)
let queue: QueuedWrite[] = []
let isScheduled = false
let isClosing = false

function post(message: WriterThreadMessage): void {
  port?.postMessage(message)
}

function runNextGroup(): void {
  isScheduled = false
  const group = queue.slice(0, MAX_GROUP_WRITES)
  queue = queue.slice(MAX_GROUP_WRITES)
  if (group.length > 0) post({ kind: 'committed', group: runner.run(group) })
  if (queue.length > 0) schedule()
  else if (isClosing) finish()
}

function schedule(): void {
  if (isScheduled) return
  isScheduled = true
  setImmediate(runNextGroup)
}

/** The reading connection is still open and cannot do it: without this, a copy of `bridge.db` alone would be older. */
function finish(): void {
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
  port?.close()
}

port.on('message', (request: WriterThreadRequest) => {
  if (request.kind === 'write') queue.push(request.write)
  else isClosing = true
  schedule()
})
post({ kind: 'ready' })
