import { open } from 'node:fs/promises'

/** Makes a file's bytes durable, or the renames and new names in a directory (fsync). */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
