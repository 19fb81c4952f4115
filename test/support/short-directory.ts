import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A private directory with a short path (unix sockets fit in it), removed when the test ends. */
export function shortDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cmb-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
