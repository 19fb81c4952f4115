import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { DEFAULT_MAX_AGES } from '../../src/cm/block-verdict.ts'
import { CmBlockStore } from '../../src/store/cm-blocks.ts'
import { realClock } from './cm-client-support.ts'

interface BlockStores {
  /** The clock of the stores; it starts anew with each test. */
  nowMs: number
  directory(): string
  /** Opens the test's directory; closed at its end. */
  open(): Promise<CmBlockStore>
  close(store: CmBlockStore): Promise<void>
}

/** Block stores on a directory that each test has for itself. */
export function blockStores(startMs: number): BlockStores {
  let directory = ''
  let open: CmBlockStore[] = []
  const stores: BlockStores = {
    nowMs: startMs,
    directory: () => directory,
    async open() {
      const clock = realClock(() => stores.nowMs)
      const onFailure = (error: Error) => {
        throw error
      }
      const store = await CmBlockStore.open(directory, {
        clock,
        randomBytes,
        maxAges: DEFAULT_MAX_AGES,
        onFailure,
      })
      open.push(store)
      return store
    },
    async close(store) {
      await store.close()
      open = open.filter((other) => other !== store)
    },
  }
  beforeEach(() => {
    stores.nowMs = startMs
    directory = mkdtempSync(join(tmpdir(), 'cmb-blocks-'))
  })
  afterEach(async () => {
    for (const store of open) await store.close()
    open = []
    rmSync(directory, { recursive: true })
  })
  return stores
}
