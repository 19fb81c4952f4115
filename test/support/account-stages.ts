import { randomBytes } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { createAccountAdministration } from '../../src/bridge/account-administration.ts'
import type { AccountSettingsRequest } from '../../src/bridge/bridge.ts'
import {
  type BridgeContext,
  type CmContext,
  prepareBridgeDirectories,
} from '../../src/bridge/bridge-context.ts'
import { createCmKeyLookup } from '../../src/bridge/cm-key-lookup.ts'
import { parseConfig } from '../../src/bridge/config.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { lookupSettings } from '../../src/bridge/lookup/lookup-settings.ts'
import { createAnnounceStage } from '../../src/bridge/stages/announce.ts'
import { createFetchStage } from '../../src/bridge/stages/fetch.ts'
import { createPollStage } from '../../src/bridge/stages/poll.ts'
import type { Stage, StageOutcome } from '../../src/bridge/worker.ts'
import { createCmClientEnvironment } from '../../src/cm/client/client-environment.ts'
import { type BlockKey, dataBlockKey, type MessageHash, mailboxHash } from '../../src/cm/ids.ts'
import { announcementProofInput, encodeMessageAnnouncement } from '../../src/cm/message-announcement.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { createProofOfWorkSolver } from '../../src/cm/proof-of-work-solver.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { createWorkerPool } from '../../src/cm/workers/worker-pool.ts'
import { type Account, accountByLogin } from '../../src/store/account-queries.ts'
import { createCertificateMemory } from '../../src/store/certificate-memory.ts'
import type { Store } from '../../src/store/open-store.ts'
import { realClock } from './cm-client-support.ts'
import { startTestCmServer, type TestCmServer } from './cm-server-support.ts'
import { createTempDirectory, openTestStore } from './store.ts'

const AUTH_KEY = 'KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKE'

/** Milliseconds a server is waited for on a machine that does much else. */
const REPLY_MS = 15_000

/** The stages of one account on a real store, at real CM servers, at a time the test sets. */
export class AccountStages {
  readonly store: Store
  readonly #context: BridgeContext
  readonly #stages: Readonly<Record<string, Stage>>
  readonly #time: { nowMs: number }
  readonly #endings: (() => Promise<unknown>)[]

  private constructor(parts: {
    readonly context: BridgeContext
    readonly time: { nowMs: number }
    readonly endings: (() => Promise<unknown>)[]
  }) {
    this.#context = parts.context
    this.store = parts.context.store
    this.#time = parts.time
    this.#endings = parts.endings
    this.#stages = {
      announce: createAnnounceStage(parts.context),
      poll: createPollStage(parts.context, 'own'),
      pollold: createPollStage(parts.context, 'old'),
      fetch: createFetchStage(parts.context),
    }
  }

  static async start(): Promise<AccountStages> {
    const time = { nowMs: Date.now() }
    const clock = realClock(() => time.nowMs)
    const directory = await createTempDirectory()
    const store = await openTestStore(directory.path, clock)
    const config = parseConfig({ lookup: { dns: false } })
    if (config.kind !== 'ok') throw new Error('no settings')
    const solver = createProofOfWorkSolver({ threads: 1 })
    const pool = createWorkerPool({ threads: 1, clock })
    const cm = createCmClientEnvironment(config.config.cm, {
      clock,
      certificateMemory: createCertificateMemory({ store, onChange: () => undefined }),
      isolationKey: randomBytes(32),
    })
    const timeouts = { replyMs: REPLY_MS, storeMs: REPLY_MS, wholeReplyMs: REPLY_MS }
    const base: CmContext = {
      store,
      clock,
      randomBytes,
      random: Math.random,
      log: silentLog,
      solver,
      pool,
      cm: { ...cm, timeouts },
      directories: await prepareBridgeDirectories(store.directory),
      freshCiphertexts: new Set(),
      pollMs: 60_000,
      isConnected: () => true,
      privateServers: [],
      postByProxy: [],
    }
    const context = { ...base, lookup: createCmKeyLookup(base, lookupSettings(config.config)) }
    const endings = [
      () => cm.sessions.close(),
      () => solver.close(),
      () => pool.close(),
      () => store.close(),
      () => directory.remove(),
    ]
    return new AccountStages({ context, time, endings })
  }

  get clock(): Clock {
    return this.#context.clock
  }

  get nowMs(): number {
    return this.#time.nowMs
  }

  /** Time goes on; nothing runs by itself. */
  advance(ms: number): void {
    this.#time.nowMs += ms
  }

  /** A server at this time with one account for anybody. */
  async startServer(): Promise<TestCmServer> {
    const server = await startTestCmServer({ clock: this.clock, accounts: { [AUTH_KEY]: 'undefined' } })
    let closing: Promise<void> | undefined
    const close = (): Promise<void> => {
      closing ??= server.close()
      return closing
    }
    this.#endings.unshift(close)
    return { ...server, close }
  }

  /** Alice, at these servers. */
  async addAlice(...servers: TestCmServer[]): Promise<void> {
    const outcome = await this.#administration().add({
      address: 'alice@example.org',
      displayName: 'Alice',
      servers: servers.map(hostPortOf),
      authKey: new Secret(AUTH_KEY),
      secretKeyArmor: undefined,
    })
    if (outcome.kind !== 'ok') throw new Error(outcome.reason)
  }

  get alice(): Account {
    const account = accountByLogin(this.store.read, 'alice')
    if (account === undefined) throw new Error('no alice')
    return account
  }

  /** Every server has the same key. */
  async set(request: Omit<AccountSettingsRequest, 'account'>): Promise<void> {
    const outcome = await this.#administration().set({ account: 'alice', ...request })
    if (outcome.kind !== 'ok') throw new Error(outcome.kind === 'refused' ? outcome.reason : outcome.kind)
  }

  get authKey(): Secret<string> {
    return new Secret(AUTH_KEY)
  }

  /** Runs one attempt of a row as the worker does; undefined when there is no such row. */
  async run(row: string, stage: string, failuresBefore?: number): Promise<StageOutcome | undefined> {
    const { id: accountId } = this.alice
    if (stage === 'announce' || stage === 'poll') {
      await this.store.write('ensureWork', { row, accountId, stage })
    }
    const waiting = this.store.read.get<{ attempt: number }>('SELECT attempt FROM work WHERE row = ?', row)
    if (waiting === undefined) return undefined
    const lease = { row, attempt: waiting.attempt, incarnation: 'test' }
    const claimed = await this.store.write('claimWork', { lease, stage })
    const runStage = this.#stages[stage]
    if (claimed === undefined || runStage === undefined) throw new Error(`${row} cannot ${stage}`)
    const failures = failuresBefore ?? claimed.failures
    const signal = new AbortController().signal
    const outcome = await runStage({ lease, accountId, failures, signal })
    if (outcome.kind === 'repeat') await this.store.write('repeatWork', { lease, delayMs: outcome.delayMs })
    if (outcome.kind === 'retry')
      await this.store.write('retryWork', { lease, error: outcome.reason, delayMs: 0 })
    return outcome
  }

  announce(failures?: number): Promise<StageOutcome | undefined> {
    return this.run(`announce${this.alice.id}`, 'announce', failures)
  }

  poll(failures?: number): Promise<StageOutcome | undefined> {
    return this.run(`poll${this.alice.id}`, 'poll', failures)
  }

  pollOld(): Promise<StageOutcome | undefined> {
    return this.run(`oldpoll${this.alice.id}`, 'pollold')
  }

  /** Announcements that were found, the oldest first. */
  get found(): { readonly mailbox: string; readonly server: string; readonly hasEnoughWork: boolean }[] {
    const rows = this.store.read.all<{ record: string; server: string; enough_work: number }>(
      'SELECT record, server, enough_work FROM inbound_announcements ORDER BY id',
    )
    return rows.map(({ record, server, enough_work }) => ({
      mailbox: /^Mailbox: (.*)$/m.exec(record)?.[1] ?? '',
      server,
      hasEnoughWork: enough_work === 1,
    }))
  }

  /** Subjects of what was told in Notices. */
  get told(): string[] {
    return this.store.read
      .all<{ kind: string }>('SELECT kind FROM notices ORDER BY told_ms')
      .map(({ kind }) => kind)
  }

  async close(): Promise<void> {
    for (const end of this.#endings) await end()
  }

  #administration() {
    return createAccountAdministration({ store: this.store, clock: this.clock, randomBytes, log: silentLog })
  }
}

export function hostPortOf({ port }: { readonly port: number }): string {
  return `127.0.0.1:${port}`
}

export interface TestAnnouncement {
  /** The block's key and the record. */
  readonly key: BlockKey
  readonly text: string
}

let payloads = 0

/** An announcement of one small data block for alice, with the work of `bits`. */
export function announcementFor(
  { keyId }: Pick<Account, 'keyId'>,
  given: {
    readonly mailbox: string
    readonly bits: number
    readonly nowMs: number
    readonly blocks?: readonly BlockKey[]
  },
): TestAnnouncement {
  payloads += 1
  const dataBlocks = given.blocks ?? [dataBlockKey(Buffer.from(`payload ${payloads}`))]
  const announcement = {
    date: formatUtcTime(Math.floor(given.nowMs / 1000) * 1000),
    recipient: keyId,
    mailboxPrefix: given.mailbox,
    dataBlocks,
    messageHash: dataBlockKey(Buffer.from(`message ${payloads}`)) as string as MessageHash,
  }
  const demand = { bits: given.bits, matches: 2 }
  const proofOfWork = solveProofOfWork(demand, announcementProofInput(announcement))
  return {
    key: mailboxHash(given.mailbox, keyId),
    text: encodeMessageAnnouncement({ ...announcement, proofOfWork }),
  }
}
