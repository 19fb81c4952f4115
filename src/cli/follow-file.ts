import { type Stats, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type Clock, duration } from '../base/clock.ts'

/** Milliseconds between looks, of which a change takes two: who edits a file and tries it at once waits no longer. */
const LOOK_EVERY_MS = 2.5 * duration.second
/** Octets of a file that is followed: 10,000 lines and more. */
const MAX_FILE_BYTES = 1024 * 1024

interface FollowedFile {
  readonly path: string
  readonly clock: Clock
  /** The file's text, after each change; undefined when it is not there (any more). */
  readonly onChange: (text: string | undefined) => Promise<void>
  /** What `onChange` or reading threw, after the first time. */
  readonly onError: (error: unknown) => void
}

/**
 * Reads a small file now and again whenever it has changed. Rejects with what the first reading or `onChange` throws;
 * a later failure is reported once for each change and leaves what was there before. Returns what ends it.
 */
export async function followFile(options: FollowedFile): Promise<() => Promise<void>> {
  const { path, clock } = options
  let seen = stampOf(path)
  let lately = seen
  let cancel = (): void => undefined
  let isEnded = false
  await readAndTell(options)
  const look = async (): Promise<void> => {
    const now = stampOf(path)
    // Only what has come to rest: of a file that is being written half the people would be missing.
    if (now !== seen && now === lately) {
      seen = now
      await readAndTell(options).catch(options.onError)
    }
    lately = now
    if (!isEnded) wait()
  }
  let looking: Promise<void> = Promise.resolve()
  const wait = (): void => {
    cancel = clock.after(LOOK_EVERY_MS, () => {
      looking = look()
    })
  }
  wait()
  return async () => {
    isEnded = true
    cancel()
    await looking
  }
}

async function readAndTell({ path, onChange }: FollowedFile): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return onChange(undefined)
  if (found.size > MAX_FILE_BYTES) throw new Error(`${path} is longer than ${MAX_FILE_BYTES} octets`)
  await onChange(await readFile(path, 'utf8'))
}

/**
 * Another stamp is another content; an editor that replaces the file makes another inode. A path that cannot be looked at
 * has a stamp of its own: reading it, which follows, says why.
 */
function stampOf(path: string): string {
  let found: Stats | undefined
  try {
    found = statSync(path, { throwIfNoEntry: false })
  } catch {
    return 'unreadable'
  }
  return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
}
