import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { type BridgeStatus, readStatus } from '../../src/bridge/read-status.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { startTestCmServer, type TestCmServer } from './cm-server-support.ts'
import { cmbridge } from './command-line.ts'
import { ANY_PORTS, type ReadyEvent, type Served, spawnServe } from './serve.ts'
import { ServerGate } from './server-gate.ts'

/** Somebody with an account at the bridge. */
export interface Person {
  readonly address: string
  readonly password: string
  /** 40 lower-case hex digits. */
  readonly keyId: string
}

/** Milliseconds the longest single thing of a test may take on a machine that does much else. */
export const PATIENCE_MS = 45_000
// A proof of work, three processes and a dozen steps: what waits in vain still says what for, before the test's end.
vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 4 * PATIENCE_MS })

const DOMAINS: Readonly<Record<string, string>> = { alice: 'example.org' }

interface HouseholdOptions {
  /** Local parts; alice is at example.org, the others at example.net. */
  readonly people: readonly string[]
  /** Local parts of people with an account at the CM server and none at the bridge. */
  readonly guests?: readonly string[]
  /** `section.name=value`. */
  readonly settings?: readonly string[]
  /** The CM server passes blocks on: back to itself. */
  readonly relays?: boolean
}

/**
 * A bridge in a process of its own with accounts, at our CM server in this process behind a gate: everything is the
 * real thing. `stop` it after the tests.
 */
export class Household {
  readonly cmServer: TestCmServer
  /** All connections of the bridge to the CM server go through here. */
  readonly gate: ServerGate
  readonly #directory: string
  readonly #settings: readonly string[]
  readonly #people = new Map<string, Person>()
  #served: Served | undefined

  private constructor(cmServer: TestCmServer, gate: ServerGate, settings: readonly string[]) {
    this.cmServer = cmServer
    this.gate = gate
    this.#directory = mkdtempSync(join(tmpdir(), 'cmb-'))
    this.#settings = settings
  }

  /** Resolves when every account is announced. */
  static async start(options: HouseholdOptions): Promise<Household> {
    const { people, guests = [], settings = [], relays = false } = options
    const keys = [...people, ...guests].map((name) => [authKeyOf(name), 'undefined'])
    let gate: ServerGate | undefined
    const relay = { allowedHostPorts: () => [`127.0.0.1:${gate?.port}`] }
    const accounts = Object.fromEntries(keys)
    const cmServer = await startTestCmServer({ accounts, ...(relays ? { relay } : {}) })
    gate = await ServerGate.start(cmServer.port)
    const household = new Household(cmServer, gate, settings)
    await household.restart()
    for (const name of people) await household.#addPerson(name)
    await household.until('everybody is announced', ({ people: known }) =>
      known.every(({ announcedMs }) => announcedMs !== null),
    )
    return household
  }

  get data(): string {
    return join(this.#directory, 'data')
  }

  get ready(): ReadyEvent {
    return this.#running.ready
  }

  /** What the bridge wrote to standard error since its last start. */
  get log(): string {
    return this.#running.log()
  }

  get #running(): Served {
    if (this.#served === undefined) throw new Error('the bridge does not run')
    return this.#served
  }

  person(name: string): Person {
    const person = this.#people.get(name)
    if (person === undefined) throw new Error(`nobody is called ${name} here`)
    return person
  }

  /** Sends a signal and, if it ends the bridge, waits for the end. */
  async signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const served = this.#running
    this.#served = undefined
    return served.end(signal)
  }

  /** Stops the process as a laptop's lid does; `wake` lets it go on. */
  sleep(): void {
    process.kill(this.ready.pid, 'SIGSTOP')
  }

  wake(): void {
    process.kill(this.ready.pid, 'SIGCONT')
  }

  /** Starts the bridge again (or for the first time) on its directory; it has other ports then. */
  async restart(): Promise<void> {
    const settings = ['poll.seconds=0.2', ...this.#settings].flatMap((value) => ['--set', value])
    this.#served = await spawnServe(['--data', this.data, ...ANY_PORTS, ...settings, 'serve'])
  }

  async stop(): Promise<void> {
    if (this.#served !== undefined) await this.signal('SIGKILL')
    this.gate.close()
    await this.cmServer.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** The status as `cmbridge status --json` shows it, read beside the bridge. */
  status(): BridgeStatus {
    const read = openStoreForReading(this.data)
    try {
      return readStatus(read)
    } finally {
      read.close()
    }
  }

  /** Rows of the bridge's database, read beside it. */
  rows<Row extends object>(sql: string): Row[] {
    const read = openStoreForReading(this.data)
    try {
      return read.all<Row>(sql)
    } finally {
      read.close()
    }
  }

  /** Waits until the status satisfies. */
  until(
    what: string,
    holds: (status: BridgeStatus) => boolean,
    timeoutMs: number = PATIENCE_MS,
  ): Promise<void> {
    return eventually(what, () => holds(this.status()), timeoutMs)
  }

  /** Waits until every accepted message is posted and every posted one acknowledged or failed, and nothing of it waits to be done. */
  async untilQuiet(): Promise<void> {
    await eventually('all mail is delivered and acknowledged', () => {
      const open = this.rows(`SELECT 1 FROM outbound_messages WHERE state NOT IN ('done', 'cancelled')`)
      const { work } = this.status()
      const stages = Object.keys(work).filter((stage) => !ENDLESS_STAGES.has(stage))
      return open.length === 0 && stages.every((stage) => stage === 'sentcopy')
    })
  }

  async #addPerson(name: string): Promise<void> {
    const address = `${name}@${DOMAINS[name] ?? 'example.net'}`
    const server = ['--server', `127.0.0.1:${this.gate.port}`, '--auth-key', authKeyOf(name)]
    const { stdout, stderr } = await cmbridge([
      ...['account', 'add', address, '--name', `${name} Example`, ...server],
      ...['--data', this.data, '--json'],
    ])
    if (stdout === '') throw new Error(`account add ${address} failed: ${stderr}`)
    const { keyId, appPassword } = JSON.parse(stdout) as { keyId: string; appPassword: string }
    this.#people.set(name, { address, keyId, password: appPassword })
  }
}

/** Rows that are always there: they wait for their next time. */
const ENDLESS_STAGES = new Set(['poll', 'pollold', 'announce', 'rotate', 'refresh'])

/** The authentication key of somebody at the CM server. */
export function authKeyOf(name: string): string {
  return name.toUpperCase().padEnd(32, '0')
}

/** Waits until `holds` gives true; looks 20 times a second. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs: number = PATIENCE_MS,
): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await holds())) throw new Error(`did not happen: ${what}`)
    },
    { timeout: timeoutMs, interval: 50 },
  )
}
