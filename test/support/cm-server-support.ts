import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls'
import type { Clock } from '../../src/base/clock.ts'
import { DEFAULT_MAX_AGES } from '../../src/cm/block-verdict.ts'
import type { BlockKey } from '../../src/cm/ids.ts'
import { judgeWith } from '../../src/cm/server/block-judge.ts'
import type { CmServerContext, StoredNotice } from '../../src/cm/server/context.ts'
import { type BlockType, type CmBlocks, RECORD_SEPARATORS } from '../../src/cm/server/port.ts'
import { type RelayOptions, startRelay } from '../../src/cm/server/relay/start-relay.ts'
import { type CmServerListenOptions, startCmServer } from '../../src/cm/server/start-cm-server.ts'
import { Turns } from '../../src/cm/server/turns.ts'
import { createWorkerPool } from '../../src/cm/workers/worker-pool.ts'
import { CmBlockStore } from '../../src/store/cm-blocks.ts'
import { realClock, testServerTls } from './cm-client-support.ts'

export interface TestCmServer {
  readonly port: number
  /** Where `blocks.db` and `payloads` lie. */
  readonly directory: string
  readonly store: CmBlockStore
  readonly stored: readonly StoredNotice[]
  readonly errors: readonly unknown[]
  close(): Promise<void>
}

export interface TestCmServerOptions {
  /** Milliseconds; the machine's time when absent. */
  readonly nowMs?: number
  readonly clock?: Clock
  /** Owned by the caller, so that a server can start again on it; a temporary one when absent. */
  readonly directory?: string
  /** Auth key → user id. */
  readonly accounts?: Readonly<Record<string, string>>
  readonly listen?: Partial<CmServerListenOptions>
  readonly context?: (context: CmServerContext) => CmServerContext
  /** It passes blocks on: to itself, and to what is given here. */
  readonly relay?: Partial<RelayOptions>
}

/** Our CM server on a loopback port with a real store in a temporary directory and real worker threads. */
export async function startTestCmServer(options: TestCmServerOptions = {}): Promise<TestCmServer> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'cmb-cm-server-'))
  const { nowMs } = options
  const clock = options.clock ?? realClock(nowMs === undefined ? Date.now : () => nowMs)
  const errors: unknown[] = []
  const store = await CmBlockStore.open(directory, {
    clock,
    randomBytes,
    maxAges: DEFAULT_MAX_AGES,
    onFailure: (error) => errors.push(error),
  })
  const entries = Object.entries(options.accounts ?? {}).map(([authKey, userId]) => ({ authKey, userId }))
  await store.accounts.importFile(entries)
  const pool = createWorkerPool({ threads: 1, clock })
  const stored: StoredNotice[] = []
  const tls = await testServerTls()
  const log = { debug: () => undefined, error: ({ cause }: { cause?: unknown }) => errors.push(cause) }
  const judge = judgeWith(pool)
  let port = 0
  const relay =
    options.relay &&
    startRelay({
      queue: store.relay,
      blocks: store,
      judge,
      clock,
      randomInt: (below) => randomInt(below),
      log: { ...log, info: () => undefined, warn: () => undefined },
      client: {},
      allowedHostPorts: () => [`127.0.0.1:${port}`],
      ...options.relay,
    })
  const context: CmServerContext = {
    blocks: store,
    accounts: store.accounts,
    judge,
    relay,
    largeTexts: new Turns(2),
    clock,
    tls: () => tls,
    maxAges: DEFAULT_MAX_AGES,
    log,
    onStored: (notice) => stored.push(notice),
  }
  const listener = await startCmServer(options.context?.(context) ?? context, {
    listen: [{ host: '127.0.0.1', port: 0 }],
    ...options.listen,
  })
  port = listener.addresses[0]!.port
  return {
    port,
    directory,
    store,
    stored,
    errors,
    async close() {
      await listener.closeAll()
      await relay?.close()
      await pool.close()
      await store.close()
      if (options.directory === undefined) rmSync(directory, { recursive: true })
    },
  }
}

/** A client that knows nothing of the protocol but lines and octets. Reads fail after fifteen seconds. */
export class WireClient {
  /** What TLS came out as. */
  tls: TLSSocket | undefined
  #socket: Socket
  #buffer = Buffer.alloc(0)
  #ended = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#listen()
  }

  static async connect(port: number): Promise<WireClient> {
    const socket = connectSocket({ host: '127.0.0.1', port })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new WireClient(socket)
  }

  /** Connects, reads the greeting and starts TLS. */
  static async connectSecure(port: number): Promise<WireClient> {
    const client = await WireClient.connect(port)
    await client.line()
    client.send('STARTTLS\r\n')
    await client.line()
    await client.startTls()
    await client.line()
    return client
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Sends lines and returns the first line of the answer. */
  async ask(...lines: readonly string[]): Promise<string> {
    this.send(`${lines.join('\r\n')}\r\n`)
    return this.line()
  }

  /** The next line without CRLF, latin1; `(closed)` when the server has hung up. */
  async line(): Promise<string> {
    const end = await this.#until(() => this.#buffer.indexOf('\r\n'))
    if (end < 0) return '(closed)'
    return this.#take(end + 2)
      .subarray(0, -2)
      .toString('latin1')
  }

  /** Everything up to and without the octets of `end`; or all there is when the server hung up before. */
  async upTo(end: string): Promise<string> {
    const position = await this.#until(() => this.#buffer.indexOf(end, 0, 'latin1'))
    if (position < 0) return this.#take(this.#buffer.length).toString('latin1')
    return this.#take(position + end.length)
      .subarray(0, position)
      .toString('latin1')
  }

  /** Exactly `count` octets. */
  async octets(count: number): Promise<Buffer> {
    await this.#until(() => (this.#buffer.length >= count ? count : -1))
    return this.#take(count)
  }

  /** A GET's whole answer: lines up to EndBlock, or to the payload's last octet as latin1. */
  async get(command: string): Promise<string[]> {
    const lines = [await this.ask(command)]
    if (/^(NOT FOUND|FAILED|INVALID COMMAND)$/.test(lines[0] ?? '')) return lines
    for (;;) {
      const last = lines.at(-1) ?? ''
      const payloadBytes = /^data: ([0-9]+)$/i.exec(last)?.[1]
      if (payloadBytes !== undefined) {
        return [...lines, (await this.octets(Number(payloadBytes))).toString('latin1')]
      }
      if (last === 'EndBlock' || last === '(closed)') return lines
      lines.push(await this.line())
    }
  }

  /** Resolves when the server has hung up; returns what it still said. */
  async closed(): Promise<string> {
    await this.#until(() => -1)
    return this.#take(this.#buffer.length).toString('latin1')
  }

  /** `version`: speaks this one alone. */
  async startTls(version?: SecureVersion): Promise<void> {
    this.#socket.removeAllListeners()
    const only = version === undefined ? {} : { minVersion: version, maxVersion: version }
    const secured = connectTls({ socket: this.#socket, rejectUnauthorized: false, ...only })
    this.tls = secured
    this.#socket = secured
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve)
      secured.once('error', reject)
      secured.once('close', () => reject(new Error('closed in the handshake')))
    })
    this.#listen()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Takes nothing more of what the server says. */
  pause(): void {
    this.#socket.pause()
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      this.#wake()
    })
    this.#socket.on('error', () => undefined)
    for (const event of ['end', 'close']) {
      this.#socket.on(event, () => {
        this.#ended = true
        this.#wake()
      })
    }
  }

  async #until(found: () => number): Promise<number> {
    const deadline = AbortSignal.timeout(15_000)
    for (;;) {
      const position = found()
      if (position >= 0 || this.#ended) return position
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve
        deadline.addEventListener('abort', () => reject(new Error('the server says nothing')), { once: true })
      })
    }
  }

  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(count)
    return taken
  }
}

/** The records of a slot, joined as in a GET; undefined when nothing lies there. */
export async function storedText(
  store: CmBlocks,
  type: BlockType,
  key: BlockKey,
): Promise<string | undefined> {
  const found = await store.find(key, { type })
  if (found === undefined) return undefined
  const records: string[] = []
  for await (const record of found.records()) records.push(record)
  return records.join(RECORD_SEPARATORS[type])
}
