import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sleep } from '../../src/base/clock.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { openImap } from '../demo/people.ts'
import { type BridgePair, send, startBridgePair } from './bridge-pair.ts'
import { type Bench, progress, type Row, timed } from './table.ts'
import { withTempDirectory } from './temp-directory.ts'

const BATCHES = [20, 100]
/** Milliseconds between two looks into the database, and until a batch is given up. */
const LOOK_MS = 5
const BATCH_TIME_MS = 120_000
/** Submissions on their way at once, as a mail program with an outbox of its own sends them. */
const CONNECTIONS = 4
/** Of the times in /proc; the same on every Linux. */
const TICKS_PER_SECOND = 100
/** Seconds per message of the reference client on a machine like this: 20 s and 1.4 s for 20 small messages. */
const REFERENCE_SECONDS = { post: 1, fetch: 0.07 }

/** Small messages in a row: encode and post, then fetch, decode and acknowledge, each for itself. */
export const smallMessagesBench: Bench = {
  name: 'small-messages',
  run: () =>
    withTempDirectory(async (directory) => {
      progress('small messages, starting a bridge with two accounts')
      // Nobody is polled but when they log in, so that the two halves do not run at the same time.
      const pair = await startBridgePair(directory, { server: 'alone', settings: ['poll.seconds=3600'] })
      const database = new DatabaseSync(join(pair.data, 'bridge.db'), { readOnly: true })
      try {
        // The first one looks up Bob's key.
        await measure(pair, database, 1)
        const rows: Row[] = []
        for (const count of BATCHES) rows.push(...(await measure(pair, database, count)))
        return rows
      } finally {
        database.close()
        await pair.stop()
      }
    }),
}

async function measure(
  { data, alice, bob }: BridgePair,
  database: DatabaseSync,
  count: number,
): Promise<Row[]> {
  progress(`small messages, ${count} of them`)
  const { n: before } = numbers(
    database,
    `SELECT count(*) AS n FROM inbound_announcements WHERE state = 'delivered'`,
  )
  const processor = processorClock(data)
  const posting = await timed(async () => {
    const numbers = Array.from({ length: count }, (_, number) => number).values()
    const submit = async (): Promise<void> => {
      for (const number of numbers) await send(alice, bob, number)
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, submit))
    await untilNone(
      database,
      `SELECT count(*) AS n FROM outbound_messages WHERE state NOT IN ('posted', 'done')`,
    )
  })
  const postingProcessor = processor()
  const fetching = await timed(async () => {
    const client = await openImap(bob)
    await untilNone(
      database,
      `SELECT ${before + count} - count(*) AS n FROM inbound_announcements WHERE state = 'delivered'`,
    )
    await untilNone(
      database,
      `SELECT count(*) AS n FROM work WHERE stage IN ('fetch', 'decode', 'acknowledge')`,
    )
    await client.logout()
  })
  const fetchingProcessor = processor()
  return [
    row(`${count} × SMTP, encode, post`, posting.elapsedMs, count * REFERENCE_SECONDS.post),
    ...postingProcessor,
    row(`${count} × fetch, decode, acknowledge`, fetching.elapsedMs, count * REFERENCE_SECONDS.fetch),
    ...fetchingProcessor,
  ]
}

function row(what: string, elapsedMs: number, referenceSeconds: number): Row {
  const value = elapsedMs / 1000
  return { what, value, unit: 's', ratio: { of: referenceSeconds / value, to: 'as fast as the reference' } }
}

/** Gives, at each call, the processor time the bridge used since the last one. Linux only. */
function processorClock(data: string): () => Row[] {
  const path = '/proc/self/stat'
  if (!existsSync(path)) return () => []
  const { pid } = JSON.parse(readFileSync(join(data, 'lock.json'), 'utf8')) as { readonly pid: number }
  const read = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }
  let before = read()
  return () => {
    const now = read()
    const value = now - before
    before = now
    return [{ what: '  processor time of the bridge', value, unit: 's' }]
  }
}

async function untilNone(database: DatabaseSync, query: string): Promise<void> {
  const deadlineMs = performance.now() + BATCH_TIME_MS
  while (numbers(database, query).n > 0) {
    if (performance.now() > deadlineMs) throw new Error(`still some left: ${query}`)
    await sleep(systemClock, LOOK_MS)
  }
}

function numbers(database: DatabaseSync, query: string): { readonly n: number } {
  return { n: Number(database.prepare(query).get()?.n) }
}
