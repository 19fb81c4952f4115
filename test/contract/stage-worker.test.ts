import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobQueue } from '../../src/bridge/job-queue.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { openBullmqQueue } from '../../src/bridge/queue-bullmq.ts'
import { type RedisServer, startRedisServer } from '../../src/bridge/redis-server.ts'
import { type Stage, StageWorker } from '../../src/bridge/worker.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { workReport } from '../../src/store/work-queries.ts'
import { eventually } from '../support/bridge-household.ts'
import { hasProgram } from '../support/programs.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { insertTestAccount, openTestStore } from '../support/store.ts'

/** The worker on a real database and a real Redis: every row that is runnable runs, whatever ran before (case O02). */

const ROW = 'om1'
const hasRedis = hasProgram('redis-server')
let home: string
let redis: RedisServer
let runs = 0

beforeAll(async () => {
  if (!hasRedis) return
  home = mkdtempSync(join(tmpdir(), 'cmb-'))
  redis = await startRedisServer({
    program: 'redis-server',
    directory: join(home, 'redis'),
    runDirectory: home,
    clock: systemClock,
    log: silentLog,
    onSetAside: () => undefined,
  })
})
afterAll(async () => {
  if (!hasRedis) return
  await redis.stop()
  rmSync(home, { recursive: true })
})

describe.skipIf(!hasRedis)('the worker', () => {
  let store: Store
  let accountId: AccountId
  let namespace: string
  let log: RecordingLog
  const open: { worker: StageWorker; queue: JobQueue }[] = []

  beforeEach(async () => {
    runs += 1
    namespace = `worker${runs}`
    log = new RecordingLog()
    store = await openTestStore(join(home, namespace), systemClock)
    accountId = await insertTestAccount(store)
  })
  afterEach(async () => {
    for (const { worker } of open.splice(0)) await worker.close()
    await store.close()
  })

  const schedule = (stage: string, delayMs = 0) =>
    store.write('scheduleWork', { row: ROW, accountId, stage, delayMs })
  const report = () => workReport(store.read, 10)[0]

  /** A process of its own, as far as rows and jobs can tell. */
  async function start(stages: Readonly<Record<string, Stage>>, incarnation = 'first') {
    const queue = await openBullmqQueue({ redis: { socketPath: redis.socketPath }, namespace, log })
    const options = { store, queue, stages, clock: systemClock, random: () => 0, log, incarnation }
    const worker = new StageWorker({ ...options, concurrency: 2 })
    open.push({ worker, queue })
    await worker.start()
    return { worker, queue }
  }

  /** Ends the row. */
  const end: Stage = async ({ lease }) => {
    await store.write('skipReport', { lease })
    return { kind: 'moved', due: [] }
  }

  it('runs a stage again that failed, and one that the row goes back to', async () => {
    const ran: string[] = []
    const moveTo = async (stage: string) => ({ kind: 'moved', due: [await schedule(stage)] }) as const
    await schedule('encode')
    await start({
      encode: async () => {
        ran.push('encode')
        return ran.length === 1 ? { kind: 'retry', reason: 'once', delayMs: 0 } : moveTo('post')
      },
      post: async (stage) => {
        ran.push('post')
        return ran.length < 4 ? moveTo('encode') : end(stage)
      },
    })
    await eventually('the row ends', () => report() === undefined)
    expect(ran).toEqual(['encode', 'encode', 'post', 'encode', 'post'])
  })

  it('goes on with a row that moved on at once, without the queue', async () => {
    const ran: string[] = []
    await schedule('encode')
    const { queue } = await start({
      encode: async () => {
        ran.push('encode')
        const due = [await schedule('post')]
        return { kind: 'moved', due }
      },
      post: async (stage) => {
        const pending = await queue.pendingIds()
        ran.push(`post, with ${pending.kind === 'ok' ? [...pending.ids].join() : 'no queue'}`)
        return end(stage)
      },
    })
    await eventually('the row ends', () => report() === undefined)
    // The job that began it is the only one there ever was.
    expect(ran).toEqual(['encode', `post, with ${ROW}-encode-1`])
  })

  it('keeps a row whose stage throws, logs the cause once and tries again later', async () => {
    await schedule('encode')
    await start({
      encode: async () => {
        throw new Error('a fault of ours')
      },
    })
    await eventually('it failed', () => report()?.failures === 1)
    expect(report()).toMatchObject({
      running: false,
      stage: 'encode',
      lastError: 'internal error, see the log',
    })
    expect(log.lines.filter(({ message }) => message === 'a stage failed')).toHaveLength(1)
  })

  it('takes up what a process left that ended in the middle', async () => {
    await schedule('encode')
    let isRunning: boolean = false
    const first = await start({
      encode: ({ signal }) => {
        isRunning = true
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('cut off'))),
        )
      },
    })
    await eventually('the stage runs', () => isRunning)
    await first.worker.close()
    expect(report()).toMatchObject({ running: true, failures: 0 })
    await start({ encode: end }, 'second')
    await eventually('the row ends', () => report() === undefined)
    expect(log.lines.filter(({ message }) => message === 'a stage failed')).toEqual([])
  })

  it('rebuilds a queue that lost everything from the rows', async () => {
    await schedule('encode', 300)
    const { worker, queue } = await start({ encode: end })
    await queue.obliterate()
    await worker.reconcile()
    await eventually('the row ends', () => report() === undefined)
  })

  it('keeps a row with a stage it does not know', async () => {
    await schedule('future')
    await start({})
    await eventually('it was looked at', () => report()?.failures === 1)
    expect(report()).toMatchObject({ stage: 'future', lastError: 'this release has no stage future' })
  })
})
