import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { createAccountAdministration } from '../../src/bridge/account-administration.ts'
import { type BridgeContext, prepareBridgeDirectories } from '../../src/bridge/bridge-context.ts'
import type { KeyLookup } from '../../src/bridge/key-lookup.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { createAcknowledgeStage } from '../../src/bridge/stages/acknowledge.ts'
import { createPostStage } from '../../src/bridge/stages/post.ts'
import { createResolveStage } from '../../src/bridge/stages/resolve.ts'
import type { Stage, StageOutcome } from '../../src/bridge/worker.ts'
import { createCmClientEnvironment } from '../../src/cm/client/client-environment.ts'
import type { Network } from '../../src/cm/client/server-list.ts'
import { encodeDataBlockHeader } from '../../src/cm/data-block.ts'
import {
  type AcknowledgmentId,
  type AnnouncementId,
  type BlockKey,
  dataBlockKey,
  type KeyId,
  type MessageHash,
} from '../../src/cm/ids.ts'
import { createProofOfWorkSolver } from '../../src/cm/proof-of-work-solver.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { createWorkerPool } from '../../src/cm/workers/worker-pool.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import { type Account, accountByLogin } from '../../src/store/account-queries.ts'
import type { Store } from '../../src/store/open-store.ts'
import type { Lease } from '../../src/store/work-rows.ts'
import { announcementFor } from './account-stages.ts'
import {
  MemoryCertificates,
  realClock,
  type ScriptConnection,
  type ScriptedServer,
  startScriptedServer,
} from './cm-client-support.ts'
import { createTempDirectory, openTestStore } from './store.ts'

const AUTH_KEY = 'KEYKEYKEYKEYKEYKEYKEYKEYKEYKEYKE'
/** What every data block of these tests holds: it ends as a line does, so that a server that knows lines can read it. */
const PAYLOAD = 'ciphertext\r\n'

/** What a server does with the next block. */
export type StoreAnswer = 'DONE' | 'FAILED' | 'close'

/** A server that writes down what it is given. */
export interface RecordingServer extends ScriptedServer {
  readonly hostPort: string
  /** Commands, and the lines of blocks joined by `|`. */
  readonly heard: string[]
  /** For the next blocks; DONE when there is none. */
  readonly answers: StoreAnswer[]
}

/** `onStore` runs before the answer. */
export async function startRecordingServer(onStore?: () => Promise<void>): Promise<RecordingServer> {
  const heard: string[] = []
  const answers: StoreAnswer[] = []
  const server = await startScriptedServer(async (connection) => {
    await connection.greet()
    for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
      heard.push(line.startsWith('STORE') ? `${line}|${await readBlock(connection)}` : line)
      if (line === 'QUIT') return connection.send('GOODBYE\r\n')
      if (line.startsWith('STORE')) await onStore?.()
      const answer = line.startsWith('STORE') ? (answers.shift() ?? 'DONE') : 'DONE'
      if (answer === 'close') return connection.channel.destroy()
      await connection.send(`${answer}\r\n`)
    }
  })
  return { ...server, heard, answers, hostPort: `127.0.0.1:${server.port}` }
}

async function readBlock(connection: ScriptConnection): Promise<string> {
  const lines: string[] = []
  for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
    if (line === 'EndBlock') break
    lines.push(line)
    if (line.startsWith('Data: ')) {
      lines.push((await connection.line()) ?? '')
      break
    }
  }
  return lines.join('|')
}

/** Alice's post stage on a real store, at a time the test sets. */
export class Posting {
  readonly store: Store
  readonly context: BridgeContext
  readonly #time: { nowMs: number }
  readonly #stage: Stage
  readonly #endings: readonly (() => Promise<unknown>)[]

  private constructor(
    context: BridgeContext,
    time: { nowMs: number },
    endings: readonly (() => Promise<unknown>)[],
  ) {
    this.context = context
    this.store = context.store
    this.#time = time
    this.#stage = createPostStage(context)
    this.#endings = endings
  }

  static async start(options: {
    readonly ownServers: readonly string[]
    readonly postByProxy?: readonly Network[]
    readonly privateServers?: readonly string[]
  }): Promise<Posting> {
    const time = { nowMs: Date.now() }
    const clock = realClock(() => time.nowMs)
    const directory = await createTempDirectory()
    const store = await openTestStore(directory.path, clock)
    const solver = createProofOfWorkSolver({ threads: 1 })
    const pool = createWorkerPool({ threads: 1, clock })
    const cm = createCmClientEnvironment(
      {
        ...{ torProxy: '', i2pProxy: '', socksProxy: '', exitNode: false, preferred: 'direct' },
        ...{ timeoutSeconds: 5, uploadKilobytesPerSecond: 0 },
      },
      { clock, certificateMemory: new MemoryCertificates(), isolationKey: randomBytes(32) },
    )
    const unused = { byAddress: () => Promise.reject(), byKeyId: () => Promise.reject() }
    const context: BridgeContext = {
      ...{ store, clock, randomBytes, solver, pool, cm, random: () => 0.5, log: silentLog, lookup: unused },
      directories: await prepareBridgeDirectories(store.directory),
      freshCiphertexts: new Set(),
      pollMs: 60_000,
      isConnected: () => true,
      privateServers: options.privateServers ?? [],
      postByProxy: options.postByProxy ?? [],
    }
    const outcome = await createAccountAdministration({ store, clock, randomBytes, log: silentLog }).add({
      address: 'alice@example.org',
      displayName: 'Alice',
      servers: [...options.ownServers],
      authKey: new Secret(AUTH_KEY),
      secretKeyArmor: undefined,
    })
    if (outcome.kind !== 'ok') throw new Error(outcome.reason)
    const ends = [() => cm.sessions.close(), () => solver.close(), () => pool.close(), () => store.close()]
    return new Posting(context, time, [...ends, () => directory.remove()])
  }

  async close(): Promise<void> {
    for (const end of this.#endings) await end()
  }

  get nowMs(): number {
    return this.#time.nowMs
  }

  advance(ms: number): void {
    this.#time.nowMs += ms
  }

  get alice(): Account {
    const account = accountByLogin(this.store.read, 'alice')
    if (account === undefined) throw new Error('no alice')
    return account
  }

  /** A message that is encoded: one data block for each target, and an announcement for the recipient there. */
  async encoded(targets: readonly string[], releaseMs: number | null = null): Promise<number> {
    const { store, context } = this
    const accepted = await this.submitted(targets.length, releaseMs)
    const row = `om${accepted}`
    const recipients = store.read.all<{ id: number }>(
      'SELECT id FROM outbound_recipients WHERE outbound_id = ? ORDER BY id',
      accepted,
    )
    const keyIdOf = (index: number) => `${index}`.repeat(40) as KeyId
    const resolve = await this.#claim(row, 'resolve')
    await store.write('finishResolve', {
      ...{ lease: resolve, outboundId: accepted, encodeNow: true, retryDelayMs: 0 },
      resolutions: recipients.map(({ id }, index) => ({
        ...{ recipientId: id, kind: 'resolved', keyId: keyIdOf(index) },
      })) as never,
    })
    const file = `${accepted}.pgp`
    await writeFile(join(context.directories.outbound, file), PAYLOAD)
    const date = formatUtcTime(Math.floor(this.nowMs / 1000) * 1000)
    const header = encodeDataBlockHeader({ date, proofOfWork: 'bd,00,11', payloadBytes: PAYLOAD.length })
    const lease = await this.#claim(row, 'encode')
    await store.write('finishEncode', {
      ...{ lease, outboundId: accepted, failures: [] },
      copies: [
        {
          file,
          messageHash: '1'.repeat(40) as MessageHash,
          announcementId: '2'.repeat(40) as AnnouncementId,
          recipients: recipients.map(({ id }) => ({
            recipientId: id,
            acknowledgmentId: `${id}`.padStart(40, '0') as AcknowledgmentId,
          })),
          blocks: targets.flatMap((target, index) => [
            {
              type: 'data' as const,
              key: dataBlockKey(Buffer.from(PAYLOAD)),
              target,
              text: header,
              payload: { start: 0, bytes: PAYLOAD.length },
              recipientId: null,
            },
            {
              type: 'message-announcement' as const,
              ...announcementFor(
                { keyId: keyIdOf(index) },
                { mailbox: '0', bits: 8, nowMs: this.nowMs, blocks: [dataBlockKey(Buffer.from(PAYLOAD))] },
              ),
              target,
              payload: null,
              recipientId: recipients[index]?.id ?? null,
            },
          ]),
        },
      ],
    })
    return accepted
  }

  /** One look for the keys of a message. */
  resolve(outboundId: number, lookup: KeyLookup): Promise<StageOutcome> {
    return this.#run(`om${outboundId}`, {
      stageName: 'resolve',
      stage: createResolveStage({ ...this.context, lookup }),
      failures: 0,
    })
  }

  /** One pass of the stage, as the worker runs it. */
  post(outboundId: number, failures = 0): Promise<StageOutcome> {
    return this.#run(`om${outboundId}`, { stageName: 'post', stage: this.#stage, failures })
  }

  /** One pass for an acknowledgment; `clock` counts the time of the pass. */
  acknowledge(row: string, clock: Clock = this.context.clock): Promise<StageOutcome> {
    return this.#run(row, {
      stageName: 'acknowledge',
      stage: createAcknowledgeStage({ ...this.context, clock }),
      failures: 0,
    })
  }

  /** A message that came and was read: its acknowledgment is to be posted; returns the row. */
  async acknowledgment(target: string): Promise<string> {
    const { store } = this
    const accountId = this.alice.id
    const [id] = ['1'.repeat(40)]
    const [due] = await store.write('recordPoll', {
      ...{
        place: 'own' as const,
        servers: [],
        accountId,
        acknowledged: [],
        isFull: true,
        startedMs: this.nowMs,
      },
      announcements: [
        {
          announcementId: id as AnnouncementId,
          messageHash: id as MessageHash,
          ...{ record: '', dataBlocks: [], hasEnoughWork: true, server: '' },
        },
      ],
    })
    const lease = await this.#claim(due?.row ?? '', due?.stage ?? '')
    const outcome = await store.write('finishInbound', {
      ...{
        lease,
        accountId,
        inboundId: 1,
        reason: '',
        fingerprint: null,
        contacts: [],
        pin: null,
        notices: [],
      },
      end: {
        kind: 'deliver',
        mailboxName: 'INBOX',
        message: await this.#draft(),
        flags: [],
        acknowledgment: { key: '3'.repeat(40) as BlockKey, text: 'Type: acknowledgment\n', target },
        messageUniqueId: null,
        messageId: null,
      },
    })
    return outcome.kind === 'lease-lost' ? '' : (outcome.due[0]?.row ?? '')
  }

  async #run(
    row: string,
    { stageName, stage, failures }: { stageName: string; stage: Stage; failures: number },
  ): Promise<StageOutcome> {
    const lease = await this.#claim(row, stageName)
    const { signal } = new AbortController()
    const outcome = await stage({ lease, accountId: this.alice.id, failures, signal })
    if (outcome.kind === 'retry') {
      await this.store.write('retryWork', { lease, error: outcome.reason, delayMs: outcome.delayMs ?? 0 })
    }
    return outcome
  }

  state(outboundId: number): unknown {
    return this.store.read.get<{ state: string }>(
      'SELECT state FROM outbound_messages WHERE id = ?',
      outboundId,
    )?.state
  }

  recipients(outboundId: number) {
    return this.store.read
      .all<{ state: string; posted_ms: number | null; status_code: string | null }>(
        'SELECT state, posted_ms, status_code FROM outbound_recipients WHERE outbound_id = ? ORDER BY id',
        outboundId,
      )
      .map((row) => ({ ...row }))
  }

  async #draft() {
    const sink = await this.store.beginSpool(this.alice.id)
    await sink.write(Buffer.from('From: alice@example.org\r\nSubject: x\r\n\r\nHello.\r\n'))
    const spooled = await sink.finish()
    return this.store.draftMessage(spooled, await indexMessage(spooled.read()))
  }

  async #claim(row: string, stage: string): Promise<Lease> {
    const waiting = this.store.read.get<{ attempt: number }>('SELECT attempt FROM work WHERE row = ?', row)
    const lease = { row, attempt: waiting?.attempt ?? 0, incarnation: 'test' }
    if ((await this.store.write('claimWork', { lease, stage })) === undefined) {
      throw new Error(`${row} is not there to ${stage}`)
    }
    return lease
  }

  /** A message that was accepted for bob0@example.net and so on. */
  async submitted(recipientCount: number, releaseMs: number | null = null): Promise<number> {
    const { store } = this
    const accountId = this.alice.id
    const outcome = await store.write('acceptSubmission', {
      ...{ accountId, login: 'first', messageId: null, messageUniqueId: '1'.repeat(40) },
      ...{
        recipientsDigest: 'x',
        contentDigest: 'x',
        reportable: true,
        returnContent: null,
        envelopeId: null,
      },
      ...{ contacts: [], draftUids: [], sentUid: null, releaseMs, beginsMs: 0 },
      message: await this.#draft(),
      recipients: Array.from({ length: recipientCount }, (_, index) => ({
        ...{ field: 'to' as const, address: `bob${index}@example.net`, keyId: null },
        ...{ pinned: false, notify: [], originalRecipient: null },
      })),
    })
    return outcome.outboundId
  }
}
