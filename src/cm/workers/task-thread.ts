import { parentPort } from 'node:worker_threads'
import { TASKS, type TaskName } from './tasks.ts'

/** A thread of the worker pool: one task at a time. */

export interface TaskMessage {
  readonly name: TaskName
  readonly argument: unknown
}

export type TaskReply =
  | { readonly kind: 'done'; readonly result: unknown }
  /** The copy of an error loses its class and its `code`; the code is what callers go by (ENOSPC). */
  | { readonly kind: 'threw'; readonly error: unknown; readonly code: string | undefined }

const port = parentPort
if (port === null) throw new Error('task-thread.ts runs as a worker thread only')

/** The table gives each task its own argument type; across threads only the name is left, which `run` has checked. */
type AnyTask = (argument: unknown) => Promise<unknown>

async function runTask({ name, argument }: TaskMessage): Promise<TaskReply> {
  try {
    return { kind: 'done', result: await (TASKS[name] as AnyTask)(argument) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    return { kind: 'threw', error, code }
  }
}

port.on('message', (message: TaskMessage) => {
  void runTask(message).then((reply) => port.postMessage(reply))
})
