import { parentPort } from 'node:worker_threads'
import { type SearchOutcome, type SearchTask, searchProofOfWork } from './proof-of-work-search.ts'

/** A thread of the proof-of-work solver: one search at a time, progress now and then. */

export type ThreadReply = SearchOutcome | { readonly kind: 'progress'; readonly hashes: number }

/** Milliseconds between reports of one thread. */
const REPORT_EVERY_MS = 200

const port = parentPort
if (port === null) throw new Error('proof-of-work-thread.ts runs as a worker thread only')

port.on('message', (task: SearchTask) => {
  let hashes = 0
  let reportedAt = performance.now()
  const outcome = searchProofOfWork(task, (more) => {
    hashes += more
    if (performance.now() - reportedAt < REPORT_EVERY_MS) return
    port.postMessage({ kind: 'progress', hashes } satisfies ThreadReply)
    hashes = 0
    reportedAt = performance.now()
  })
  port.postMessage(outcome satisfies ThreadReply)
})
