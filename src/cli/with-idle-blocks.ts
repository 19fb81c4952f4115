import type { Config } from '../bridge/config.ts'
import { CmBlockStore } from '../store/cm-blocks.ts'
import type { CliContext } from './context.ts'
import { lockInstallation } from './installation.ts'
import { maxAgesOf } from './max-ages.ts'

interface IdleBlocks {
  /** The CM server's own directory. */
  readonly directory: string
  readonly settings: Config['cmServer']
  /** What whoever finds the lock held is told. */
  readonly verb: string
}

/** Opens the blocks of a CM server that does not run, with its lock. Throws CliError when it runs. */
export async function withIdleBlocks<Result>(
  context: CliContext,
  { directory, settings, verb }: IdleBlocks,
  use: (blocks: CmBlockStore) => Promise<Result>,
): Promise<Result> {
  const { clock, randomBytes } = context
  const holder = { pid: process.pid, startedAtMs: clock.now(), verb, runDirectory: '' }
  const { lock } = lockInstallation(directory, holder)
  try {
    const options = { clock, randomBytes, maxAges: maxAgesOf(settings), onFailure: () => undefined }
    const blocks = await CmBlockStore.open(directory, options)
    try {
      return await use(blocks)
    } finally {
      await blocks.close()
    }
  } finally {
    lock.release()
  }
}
