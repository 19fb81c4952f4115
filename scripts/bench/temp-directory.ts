import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs with a directory of its own, removed at the end whatever happens. */
export async function withTempDirectory<Result>(use: (path: string) => Promise<Result>): Promise<Result> {
  // Short, since sockets lie below it.
  const path = await mkdtemp(join(tmpdir(), 'cmb-'))
  try {
    return await use(path)
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}
