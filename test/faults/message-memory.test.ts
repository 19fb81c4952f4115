import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const CHILD = fileURLToPath(new URL('../support/message-memory-child.ts', import.meta.url))
const MEBIBYTE = 1024 * 1024

async function peakBytes(attachmentBytes: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, `${attachmentBytes}`])
  return Number(stdout)
}

it('a 64 MiB attachment passes through encoding and decoding without being held in memory', async () => {
  const small = await peakBytes(MEBIBYTE)
  const large = await peakBytes(64 * MEBIBYTE)
  // Streams fill their buffers only with a large one; holding it once would cost 64 MiB more, OpenPGP's way 200.
  expect((large - small) / MEBIBYTE).toBeLessThan(64)
  expect(large / MEBIBYTE).toBeLessThan(300)
}, 120_000)
