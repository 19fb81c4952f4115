import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../bridge/config.ts'
import type { JobQueue } from '../bridge/job-queue.ts'
import type { Log } from '../bridge/log.ts'
import { openBullmqQueue, type RedisAddress, RedisUnusableError } from '../bridge/queue-bullmq.ts'
import { RedisServerError, startRedisServer } from '../bridge/redis-server.ts'
import { CliError } from './cli-error.ts'

export interface OpenQueueOptions {
  readonly config: Config
  readonly dataDirectory: string
  readonly runDirectory: string
  readonly instanceId: string
  readonly clock: Clock
  readonly log: Log
  /** The private Redis lost its jobs while it ran; not called for what happens at the start. */
  readonly onJobsLost: () => void
}

/**
 * The job queue on the private Redis, or on the shared one of `redis.url`. What is left over in a private one belongs to
 * a process that is gone and is forgotten; the rows bring it back (design 3). Throws CliError.
 */
export async function openQueue(options: OpenQueueOptions, stack: AsyncDisposableStack): Promise<JobQueue> {
  const { config, log, instanceId } = options
  const isShared = config.redis.url !== ''
  try {
    const redis = isShared ? { url: config.redis.url } : await startPrivateRedis(options, stack)
    const queue = await openBullmqQueue({ redis, namespace: instanceId, log })
    stack.defer(() => queue.close(0))
    if (!isShared) await queue.obliterate()
    return queue
  } catch (error) {
    if (error instanceof RedisServerError || error instanceof RedisUnusableError)
      throw new CliError(error.message)
    throw error
  }
}

async function startPrivateRedis(
  options: OpenQueueOptions,
  stack: AsyncDisposableStack,
): Promise<RedisAddress> {
  let isStarted: boolean = false
  const server = await startRedisServer({
    program: options.config.redis.program,
    directory: join(options.dataDirectory, 'redis'),
    runDirectory: options.runDirectory,
    clock: options.clock,
    log: options.log,
    onSetAside: () => {
      if (isStarted) options.onJobsLost()
    },
  })
  isStarted = true
  stack.defer(() => server.stop())
  return { socketPath: server.socketPath }
}
