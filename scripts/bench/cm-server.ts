import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  acknowledgmentCommand,
  announcementCommand,
  dataCommand,
  LARGE_PAYLOAD_BYTES,
  recipientOf,
  type StoreCommand,
} from './cm-blocks.ts'
import { BenchConnection } from './cm-connection.ts'
import { type Bench, progress, type Row, timed } from './table.ts'
import { withTempDirectory } from './temp-directory.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Pairs of (1,500-byte data block, announcement) a second of the reference server on one core, over TLS. */
const REFERENCE_PAIRS_PER_SECOND = 850
const REFERENCE = '850 pairs/s of the reference'

/** Connections, and pairs stored over all of them. */
const LEVELS = [
  { connections: 1, pairs: 1000 },
  { connections: 10, pairs: 6000 },
  { connections: 1000, pairs: 12_000 },
] as const
/** Connections opened side by side. */
const OPENED_AT_ONCE = 25
/** Blocks sent before the first is answered, by a client that does not wait. */
const PIPELINED = 32
/** Mailboxes the announcements of small messages go to. */
const MAILBOXES = 1000
const FULL_MAILBOX_RECORDS = 5000
const MERGED_RECORDS = 1000
const LARGE_BLOCKS = 8
/** Milliseconds of one tick in /proc. */
const CLOCK_TICK_MS = 10
const USER = 'a'.repeat(40)
const AUTH_KEY = 'BENCHKEY00000001'

/** Our CM server in a process of its own, over TLS; every DONE is durable. */
export const cmServerBench: Bench = {
  name: 'cm-server',
  run: () =>
    withTempDirectory(async (directory) => {
      progress('CM server, starting')
      const server = await startServer(directory)
      try {
        const rows: Row[] = [memoryRow('memory of the idle server', server.pid)]
        for (const level of LEVELS) rows.push(...(await measureLevel(server, level)))
        rows.push(await measurePipelined(server))
        rows.push(...(await measureMailbox(server)))
        rows.push(...(await measureLarge(server)))
        return rows
      } finally {
        await server.stop()
      }
    }),
}

interface BenchServer {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

async function startServer(directory: string): Promise<BenchServer> {
  const authFile = join(directory, 'auth.txt')
  await writeFile(authFile, `${USER} ${AUTH_KEY}\n`)
  const flags = ['--data', join(directory, 'cm'), '--auth', authFile, '--listen', '127.0.0.1:0', '--json']
  const child = spawn(process.execPath, [MAIN, 'cm-server', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for await (const chunk of child.stdout) {
    const port = /"port":(\d+)/.exec(String(chunk))?.[1]
    if (port === undefined || child.pid === undefined) continue
    return {
      port: Number(port),
      pid: child.pid,
      async stop() {
        child.kill('SIGTERM')
        await exited
      },
    }
  }
  throw new Error('the CM server has ended')
}

/** Runs with that many connections, closed at the end. */
async function withConnections<Result>(
  { port }: BenchServer,
  count: number,
  use: (connections: readonly BenchConnection[]) => Promise<Result>,
): Promise<Result> {
  const connections: BenchConnection[] = []
  try {
    while (connections.length < count) {
      const wave = Math.min(OPENED_AT_ONCE, count - connections.length)
      connections.push(...(await Promise.all(Array.from({ length: wave }, () => BenchConnection.open(port)))))
    }
    return await use(connections)
  } finally {
    for (const connection of connections) connection.close()
  }
}

/** Stores the commands over the connections, each of which sends `ahead` before it waits; the rate a second. */
async function storeAll(
  connections: readonly BenchConnection[],
  commands: readonly StoreCommand[],
  ahead = 1,
): Promise<number> {
  const { elapsedMs } = await timed(() =>
    Promise.all(
      connections.map(async (connection, place) => {
        const own = commands.filter((_, index) => index % connections.length === place)
        let sent = 0
        for (let answered = 0; answered < own.length; answered += 1) {
          for (; sent < Math.min(own.length, answered + ahead); sent += 1) {
            await connection.send(own[sent]?.bytes ?? '')
          }
          const reply = await connection.line()
          if (reply !== 'DONE') throw new Error(`the CM server answers ${reply}`)
        }
      }),
    ),
  )
  return (commands.length * 1000) / elapsedMs
}

/** Pairs in the order in which they are sent; each connection gets both parts of its own. */
function pairs(name: string, count: number, connections: number): StoreCommand[] {
  const data = Array.from({ length: count }, (_, index) => dataCommand(`${name} ${index}`))
  const commands: StoreCommand[] = []
  for (let start = 0; start < count; start += connections) {
    const round = data.slice(start, start + connections)
    const announced = round.map(({ key }, index) =>
      announcementCommand(key, recipientOf(String((start + index) % MAILBOXES))),
    )
    commands.push(...round, ...announced)
  }
  return commands
}

async function measureLevel(
  server: BenchServer,
  { connections, pairs: count }: (typeof LEVELS)[number],
): Promise<Row[]> {
  const name = `${connections} connection${connections === 1 ? '' : 's'}`
  progress(`CM server, ${count} pairs over ${name}`)
  const both = pairs(`pair ${connections}`, count, connections)
  const data = Array.from({ length: count / 2 }, (_, index) => dataCommand(`data ${connections} ${index}`))
  const announcements = data.map(({ key }, index) =>
    announcementCommand(key, recipientOf(String(index % MAILBOXES))),
  )
  const acknowledgments = Array.from({ length: Math.min(count / 4, 1000) }, (_, index) =>
    acknowledgmentCommand(`${connections} ${index}`),
  )
  return withConnections(server, connections, async (open) => {
    const startedMs = processorMs(server.pid)
    const rate = (await storeAll(open, both)) / 2
    const usedMs = processorMs(server.pid) - startedMs
    const rows: Row[] = [
      {
        what: `pairs, ${name}`,
        value: rate,
        unit: 'pairs/s',
        ratio: { of: rate / REFERENCE_PAIRS_PER_SECOND, to: REFERENCE },
      },
      { what: `processor time of a pair, ${name}`, value: (usedMs * 1000) / count, unit: 'µs' },
    ]
    for (const [what, commands] of Object.entries({ data, announcements, acknowledgments })) {
      rows.push({ what: `${what}, ${name}`, value: await storeAll(open, commands), unit: 'blocks/s' })
    }
    rows.push(memoryRow(`memory of the server, ${name}`, server.pid))
    return rows
  })
}

async function measurePipelined(server: BenchServer): Promise<Row> {
  progress('CM server, pairs over one connection that does not wait')
  const commands = pairs('pipelined', 6000, 1)
  const rate = await withConnections(server, 1, (open) => storeAll(open, commands, PIPELINED))
  return {
    what: `pairs, 1 connection, ${PIPELINED} blocks ahead`,
    value: rate / 2,
    unit: 'pairs/s',
    ratio: { of: rate / 2 / REFERENCE_PAIRS_PER_SECOND, to: REFERENCE },
  }
}

async function measureMailbox(server: BenchServer): Promise<Row[]> {
  progress(`CM server, a mailbox of ${FULL_MAILBOX_RECORDS} records`)
  const recipient = USER as ReturnType<typeof recipientOf>
  const records = Array.from({ length: FULL_MAILBOX_RECORDS + MERGED_RECORDS }, (_, index) =>
    announcementCommand(dataKey(index), recipient),
  )
  return withConnections(server, 10, async (open) => {
    await storeAll(open, records.slice(0, FULL_MAILBOX_RECORDS))
    const merged = await storeAll(open, records.slice(FULL_MAILBOX_RECORDS))
    const [reader] = open
    if (reader === undefined) throw new Error('no connection is open')
    await reader.ask(`LOGIN ${USER} ${AUTH_KEY}`)
    const { elapsedMs } = await timed(() => reader.skipBlock(`GET SERVER ${records[0]?.key}`))
    return [
      {
        what: `announcements into ${FULL_MAILBOX_RECORDS} records, 10 connections`,
        value: merged,
        unit: 'blocks/s',
      },
      { what: `GET of ${FULL_MAILBOX_RECORDS + MERGED_RECORDS} records`, value: elapsedMs, unit: 'ms' },
    ]
  })
}

/** The key of a data block that is announced and not there. */
function dataKey(index: number): StoreCommand['key'] {
  return recipientOf(`data block ${index}`) as string as StoreCommand['key']
}

async function measureLarge(server: BenchServer): Promise<Row[]> {
  progress(`CM server, ${LARGE_BLOCKS} blocks of 8 MiB up and down`)
  const blocks = Array.from({ length: LARGE_BLOCKS }, (_, index) =>
    dataCommand(`large ${index}`, LARGE_PAYLOAD_BYTES),
  )
  return withConnections(server, 2, async (open) => {
    const up = await storeAll(open, blocks)
    const { elapsedMs } = await timed(() =>
      Promise.all(
        open.map(async (connection, place) => {
          await connection.ask(`LOGIN ${USER} ${AUTH_KEY}`)
          for (const { key } of blocks.filter((_, index) => index % open.length === place)) {
            await connection.skipPayload(`GET SERVER ${key}`)
          }
        }),
      ),
    )
    return [
      { what: '8 MiB blocks up, 2 connections', value: up, unit: 'blocks/s' },
      {
        what: '8 MiB blocks down, 2 connections',
        value: (LARGE_BLOCKS * 1000) / elapsedMs,
        unit: 'blocks/s',
      },
    ]
  })
}

/** Processor time the process has used, all threads; says more than the clock where other programs run too. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
  return (Number(fields[13]) + Number(fields[14])) * CLOCK_TICK_MS
}

function memoryRow(what: string, pid: number): Row {
  const kibibytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  return { what, value: kibibytes / 1024, unit: 'MiB' }
}
