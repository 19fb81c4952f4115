import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('../support/message-memory-child.ts', import.meta.url))
const MEBIBYTE = 1024 * 1024
/** So large that the buffers of streams and the collector's moods do not count beside it. */
const LARGE_MIB = 192

async function peakBytes(attachmentBytes: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, `${attachmentBytes}`])
  return Number(stdout)
}

it('a large attachment passes through encoding and decoding without being held in memory', async () => {
  const small = await peakBytes(MEBIBYTE)
  const large = await peakBytes(LARGE_MIB * MEBIBYTE)
  // Streams fill their buffers only with a large one; holding it once would cost all of it, OpenPGP's way three times.
  expect((large - small) / MEBIBYTE).toBeLessThan(LARGE_MIB)
}, 120_000)
