import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Job, type JobQueue, jobId, QUEUE_ANSWER_MS } from '../../src/bridge/job-queue.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { openBullmqQueue, RedisUnusableError } from '../../src/bridge/queue-bullmq.ts'
import { type RedisServer, startRedisServer } from '../../src/bridge/redis-server.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { hasProgram } from '../support/programs.ts'
import { RecordingLog } from '../support/recording-log.ts'

/** The job queue against a real Redis: cases O02, O03, O04 and a Redis that goes away. */

const hasRedis = hasProgram('redis-server')
let home: string
let redis: RedisServer
let namespaces = 0

beforeAll(async () => {
  if (!hasRedis) return
  home = mkdtempSync(join(tmpdir(), 'cmb-'))
  redis = await startRedis(home)
})
afterAll(async () => {
  if (!hasRedis) return
  await redis.stop()
  rmSync(home, { recursive: true })
})

function startRedis(directory: string, log = silentLog): Promise<RedisServer> {
  return startRedisServer({
    program: 'redis-server',
    directory: join(directory, 'redis'),
    runDirectory: directory,
    clock: systemClock,
    log,
    onSetAside: () => undefined,
  })
}

async function openQueue(log = new RecordingLog(), namespace = `test${++namespaces}`): Promise<JobQueue> {
  const queue = await openBullmqQueue({ redis: { socketPath: redis.socketPath }, namespace, log })
  onTestFinished(() => queue.close(1000))
  return queue
}

/** Runs the worker and lets a test wait for jobs; `during` is what a job does. */
function collect(queue: JobQueue, during: (job: Job) => Promise<void> = async () => undefined) {
  const ran: string[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  queue.process(
    async (job) => {
      ran.push(jobId(job))
      for (const { count, resolve } of waiting) if (ran.length >= count) resolve()
      await during(job)
    },
    { concurrency: 4 },
  )
  const times = (count: number): Promise<void> =>
    new Promise((resolve) => {
      if (ran.length >= count) resolve()
      else waiting.push({ count, resolve })
    })
  return { ran, times }
}

async function pending(queue: JobQueue): Promise<ReadonlySet<string>> {
  const outcome = await queue.pendingIds()
  if (outcome.kind !== 'ok') throw new Error(outcome.reason)
  return outcome.ids
}

const job = (row: string, attempt = 0, stage = 'encode') => ({ row, stage, attempt, delayMs: 0 })

describe.skipIf(!hasRedis)('the job queue', () => {
  it('runs a job with the ids it was given', async () => {
    const queue = await openQueue()
    const { ran, times } = collect(queue)
    expect(await queue.add(job('om12', 7, 'post'))).toEqual({ kind: 'added' })
    await times(1)
    expect(ran).toEqual(['om12-post-7'])
  })

  it.each(['resolve', 'encode', 'post', 'await', 'poll', 'fetch', 'decode'])(
    'takes an id of the stage %s (O03)',
    async (stage) => {
      const queue = await openQueue()
      await queue.add(job('om1', 0, stage))
      expect(await pending(queue)).toEqual(new Set([`om1-${stage}-0`]))
    },
  )

  it('lists what waits, runs and is delayed', async () => {
    const queue = await openQueue()
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const { times } = collect(queue, () => ended)
    await queue.add(job('om1'))
    await times(1)
    await queue.add({ ...job('om2'), delayMs: 60_000 })
    expect(await pending(queue)).toEqual(new Set(['om1-encode-0', 'om2-encode-0']))
    end()
  })

  it('takes the same job twice for one', async () => {
    const queue = await openQueue()
    await queue.add(job('om1'))
    await queue.add(job('om1'))
    const { ran, times } = collect(queue)
    await queue.add(job('om2'))
    await times(2)
    expect(new Set(ran)).toEqual(new Set(['om1-encode-0', 'om2-encode-0']))
    expect(ran).toHaveLength(2)
  })

  it('runs a job again under the same id after it failed, and after it ended (O02)', async () => {
    const log = new RecordingLog()
    const queue = await openQueue(log)
    let isBroken: boolean = true
    const { ran, times } = collect(queue, async () => {
      if (isBroken) throw new Error('the first run fails')
    })
    const failed = log.next('a job failed')
    await queue.add(job('om1'))
    expect(await failed).toMatchObject({ level: 'error', fields: { job: 'om1-encode-0' } })
    isBroken = false
    for (let count = 2; count <= 3; count += 1) {
      await drained(queue)
      await queue.add(job('om1'))
      await times(count)
    }
    expect(ran).toEqual(['om1-encode-0', 'om1-encode-0', 'om1-encode-0'])
  })

  it('throws for a job that could never be queued', async () => {
    const queue = await openQueue()
    await expect(queue.add(job('12'))).rejects.toThrow('not a job: row 12')
  })

  it('forgets everything, running jobs too, when it is obliterated', async () => {
    const namespace = 'obliterated'
    const first = await openQueue(new RecordingLog(), namespace)
    const { times } = collect(first, () => new Promise(() => undefined))
    await first.add(job('om1'))
    await times(1)
    await first.add({ ...job('om2'), delayMs: 60_000 })
    await first.close(0)
    const second = await openQueue(new RecordingLog(), namespace)
    expect(await pending(second)).toEqual(new Set(['om1-encode-0', 'om2-encode-0']))
    await second.obliterate()
    expect(await pending(second)).toEqual(new Set())
    const again = collect(second)
    await second.add(job('om1'))
    await again.times(1)
  })

  it('lets running jobs end when it is closed', async () => {
    const queue = await openQueue()
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    let hasEnded = false
    const { times } = collect(queue, async () => {
      await ended
      hasEnded = true
    })
    await queue.add(job('om1'))
    await times(1)
    const closed = queue.close(10_000)
    end()
    await closed
    expect(hasEnded).toBe(true)
  })

  it('keeps two data directories on one Redis apart', async () => {
    const [mine, theirs] = [await openQueue(), await openQueue()]
    await mine.add(job('om1'))
    expect(await pending(theirs)).toEqual(new Set())
  })

  it('holds the lock of a running job for minutes, so that a sleeping laptop loses nothing (O04)', async () => {
    const queue = await openQueue(new RecordingLog(), 'locks')
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const { times } = collect(queue, () => ended)
    await queue.add(job('om1'))
    await times(1)
    const client = new Redis(redis.socketPath)
    expect(await client.pttl('cmbridge-locks:stages:om1-encode-0:lock')).toBeGreaterThan(5 * 60_000)
    client.disconnect()
    end()
  })
})

/** Resolves when nothing is queued any more. */
async function drained(queue: JobQueue): Promise<void> {
  while ((await pending(queue)).size > 0);
}

describe.skipIf(!hasRedis)('a Redis that is not as it should be', () => {
  it('is refused when it evicts', async () => {
    const client = new Redis(redis.socketPath)
    onTestFinished(async () => {
      await client.config('SET', 'maxmemory-policy', 'noeviction')
      client.disconnect()
    })
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const refused = await openQueue().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(RedisUnusableError)
    expect((refused as Error).message).toContain('maxmemory-policy allkeys-lru')
    expect((refused as Error).message).toContain('noeviction')
  })

  it('is named without its password when it does not answer', async () => {
    const opened = openBullmqQueue({
      redis: { url: 'redis://me:secret@127.0.0.1:1' },
      namespace: 'nowhere',
      log: silentLog,
    })
    await expect(opened).rejects.toThrow('Redis does not answer at redis://127.0.0.1:1')
  }, 15_000)

  it('makes nobody wait when it hangs, and is used again when it is back', async () => {
    const own = mkdtempSync(join(tmpdir(), 'cmb-'))
    const server = await startRedis(own)
    onTestFinished(async () => {
      await server.stop()
      rmSync(own, { recursive: true })
    })
    const queue = await openBullmqQueue({
      redis: { socketPath: server.socketPath },
      namespace: 'hanging',
      log: silentLog,
    })
    onTestFinished(() => queue.close(1000))
    const client = new Redis(server.socketPath)
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1])
    client.disconnect()

    process.kill(pid, 'SIGSTOP')
    const before = performance.now()
    expect(await queue.add(job('om1'))).toMatchObject({ kind: 'unavailable' })
    expect(performance.now() - before).toBeLessThan(QUEUE_ANSWER_MS + 1000)
    process.kill(pid, 'SIGCONT')
    while ((await queue.add(job('om2'))).kind !== 'added');
  })

  it('loses and doubles nothing when it is killed while jobs are added and run', async () => {
    const own = mkdtempSync(join(tmpdir(), 'cmb-'))
    const log = new RecordingLog()
    const server = await startRedis(own, log)
    onTestFinished(async () => {
      await server.stop()
      rmSync(own, { recursive: true })
    })
    const queue = await openBullmqQueue({
      redis: { socketPath: server.socketPath },
      namespace: 'killed',
      log: silentLog,
    })
    onTestFinished(() => queue.close(1000))
    const client = new Redis(server.socketPath)
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1])
    client.disconnect()

    const rows = new Set(Array.from({ length: 200 }, (_, index) => `om${index}`))
    const done = new Set<string>()
    const { promise: allDone, resolve } = Promise.withResolvers<void>()
    queue.process(
      async ({ row }) => {
        done.add(row)
        if (done.size === 100) process.kill(pid, 'SIGKILL')
        if (done.size === rows.size) resolve()
      },
      { concurrency: 4 },
    )
    // What the reconciler does: add what is not done until everything is.
    const again = log.next('runs again')
    for (const row of rows) await queue.add(job(row))
    await again
    for (const row of rows) {
      while (!done.has(row) && (await queue.add(job(row))).kind !== 'added');
    }
    await allDone
    expect(done).toEqual(rows)
  })
})

/** A process that works on one job until it is told to end. */
const WORKER_SCRIPT = `
import { silentLog } from '${fileURLToPath(new URL('../../src/bridge/log.ts', import.meta.url))}'
import { openBullmqQueue } from '${fileURLToPath(new URL('../../src/bridge/queue-bullmq.ts', import.meta.url))}'
const [socketPath] = process.argv.slice(-1)
const queue = await openBullmqQueue({ redis: { socketPath }, namespace: 'sleepy', log: silentLog })
let runs = 0
queue.process(async () => {
  console.log('run ' + ++runs)
  await new Promise((resolve) => process.stdin.once('data', resolve))
  console.log('end')
}, { concurrency: 2 })
`

describe.skipIf(!hasRedis)('a laptop that sleeps while a job runs (O04)', () => {
  it('runs the job once', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cmb-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const script = join(directory, 'worker.ts')
    writeFileSync(script, WORKER_SCRIPT)
    const child = spawn(process.execPath, [script, redis.socketPath], { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const lines: string[] = []
    const output = createInterface({ input: child.stdout })
    output.on('line', (line) => lines.push(line))

    const queue = await openQueue(new RecordingLog(), 'sleepy')
    const started = once(output, 'line')
    await queue.add(job('om1'))
    await started
    for (let round = 0; round < 2; round += 1) {
      child.kill('SIGSTOP')
      // Somebody else looks for work while this worker sleeps.
      expect(await pending(queue)).toEqual(new Set(['om1-encode-0']))
      child.kill('SIGCONT')
    }
    const ended = once(output, 'line')
    child.stdin.write('go\n')
    await ended
    await drained(queue)
    expect(lines).toEqual(['run 1', 'end'])
  })
})
