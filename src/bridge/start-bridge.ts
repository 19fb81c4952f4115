import { randomUUID } from 'node:crypto'
import { createCmClientEnvironment } from '../cm/client/client-environment.ts'
import { createProofOfWorkSolver } from '../cm/proof-of-work-solver.ts'
import { rememberVerdicts } from '../cm/workers/remember-verdicts.ts'
import { createWorkerPool } from '../cm/workers/worker-pool.ts'
import { createAccountMail } from '../store/account-mail.ts'
import { announceRow, oldPollRow, pollRow } from '../store/account-network-operations.ts'
import { accountByLogin, isMailboxOf, listAccounts } from '../store/account-queries.ts'
import { createCertificateMemory } from '../store/certificate-memory.ts'
import type { AccountId } from '../store/ids.ts'
import type { DueWork } from '../store/work-rows.ts'
import { createAccountAdministration } from './account-administration.ts'
import { createAuthenticator } from './authenticator.ts'
import type { Bridge, BridgeOptions } from './bridge.ts'
import { type BridgeContext, type CmContext, prepareBridgeDirectories } from './bridge-context.ts'
import { tellCertificateChange } from './certificate-notices.ts'
import { createCmKeyLookup } from './cm-key-lookup.ts'
import { ConnectedAccounts } from './connected-accounts.ts'
import { createContactAdministration } from './contact-administration.ts'
import { startContactRefresh } from './contact-refresh.ts'
import { startHousekeeping } from './housekeeping.ts'
import { createKeyAdministration } from './key-administration.ts'
import { lookupSettings } from './lookup/lookup-settings.ts'
import { rememberLookups } from './lookup/remember-lookups.ts'
import { createSentPolicy } from './sent-policy.ts'
import { createAcknowledgeStage } from './stages/acknowledge.ts'
import { createAnnounceStage } from './stages/announce.ts'
import { createDecodeStage } from './stages/decode.ts'
import { createEncodeStage } from './stages/encode.ts'
import { createFetchStage } from './stages/fetch.ts'
import { createPollStage } from './stages/poll.ts'
import { createPostStage } from './stages/post.ts'
import { createDelayReportStage, createReportStage } from './stages/report.ts'
import { createResolveStage } from './stages/resolve.ts'
import { createRotateStage } from './stages/rotate.ts'
import { createSentCopyStage } from './stages/sent-copy.ts'
import { createSubmission } from './submission.ts'
import { StageWorker } from './worker.ts'

/** Threads that search proofs of work: one core stays for the mail programs. */
const PROOF_OF_WORK_THREADS = 1
/** One for a long message, one for the short ones behind it. */
const CRYPTO_THREADS = 2

/** Makes this run's credentials at a proxy its own. */
const ISOLATION_KEY_BYTES = 32

/** Passes of polling a login counts for: a client that only asks for STATUS comes again within that time. */
const LOGIN_COUNTS_PASSES = 10

/** Puts the parts together and starts them: what waits in rows goes on, accounts are announced and polled. */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { store, config, clock, log, randomBytes } = options
  const solver = createProofOfWorkSolver({ threads: PROOF_OF_WORK_THREADS })
  const pool = rememberVerdicts(createWorkerPool({ threads: CRYPTO_THREADS, clock }))
  const connected = new ConnectedAccounts({
    clock,
    loginCountsMs: LOGIN_COUNTS_PASSES * config.poll.seconds * 1000,
    hasOpenMailbox: (accountId) =>
      store.tracker.watchedMailboxes().some((id) => isMailboxOf(store.read, id, accountId)),
  })
  const base: CmContext = {
    store,
    clock,
    randomBytes,
    random: () => Buffer.from(randomBytes(4)).readUInt32BE() / 2 ** 32,
    log,
    solver,
    pool,
    cm: createCmClientEnvironment(config.cm, {
      clock,
      certificateMemory: createCertificateMemory({
        store,
        onChange: (change) => tellCertificateChange(base, change),
      }),
      isolationKey: randomBytes(ISOLATION_KEY_BYTES),
    }),
    directories: await prepareBridgeDirectories(store.directory),
    freshCiphertexts: new Set(),
    pollMs: config.poll.seconds * 1000,
    isConnected: (accountId) => connected.has(accountId),
    privateServers: config.cm.privateServers,
    postByProxy: config.cm.postByProxy,
  }
  const lookup = rememberLookups(createCmKeyLookup(base, lookupSettings(config)), clock)
  const context: BridgeContext = { ...base, lookup }
  const worker = createWorker(context, options)
  const enqueue = (due: readonly DueWork[]): void => {
    worker.enqueue(due).catch((cause: unknown) => log.error({ cause }, 'queueing failed'))
  }
  await scheduleAccounts(context)
  await worker.start()
  const endHousekeeping = startHousekeeping(context, enqueue)
  const endContactRefresh = startContactRefresh(context)
  return {
    ...createFrontEnds({ options, context, connected, enqueue }),
    reconcile: () => worker.reconcile(),
    async close() {
      await endContactRefresh()
      await endHousekeeping()
      await worker.close()
      await base.cm.sessions.close()
      await solver.close()
      await pool.close()
    },
  }
}

interface FrontEndParts {
  readonly options: BridgeOptions
  readonly context: BridgeContext
  readonly connected: ConnectedAccounts
  readonly enqueue: (due: readonly DueWork[]) => void
}

/** What the servers and verbs call. */
function createFrontEnds(parts: FrontEndParts): Omit<Bridge, 'reconcile' | 'close'> {
  const { options, context, connected, enqueue } = parts
  const { store, clock, randomBytes, log, config } = options
  const authenticator = createAuthenticator({ store, clock })
  const { messageBytes: maxMessageBytes } = config.limits
  const wake = (row: string): void => {
    store
      .write('wakeWork', { row })
      .then((due) => enqueue(due === undefined ? [] : [due]))
      .catch((cause: unknown) => log.error({ cause }, 'waking a row failed'))
  }
  const { lookup } = context
  return {
    submission: createSubmission({
      store,
      authenticator,
      lookup,
      clock,
      randomBytes,
      maxMessageBytes,
      enqueue,
    }),
    authenticator: {
      async login(attempt) {
        const outcome = await authenticator.authenticate(attempt)
        if (outcome.kind !== 'ok') return outcome
        const { account, login } = outcome
        const accountId = account.id
        connected.add(accountId)
        wake(pollRow(accountId))
        const policy = createSentPolicy({ store, clock, accountId, login })
        const accountName = account.address
        return {
          kind: 'ok',
          account: createAccountMail({ store, accountId, accountName, maxMessageBytes, policy }),
        }
      },
    },
    contacts: createContactAdministration(context),
    accounts: createAccountAdministration({
      store,
      clock,
      randomBytes,
      log,
      ownCmServer: options.ownCmServer,
      onAdded: async (accountId) => enqueue(await scheduleAccount(context, accountId)),
      onDue: enqueue,
    }),
    keys: createKeyAdministration({ store, clock, randomBytes, onDue: enqueue }),
    async pollNow(login) {
      const account = accountByLogin(store.read, login)
      if (account === undefined) return
      wake(pollRow(account.id))
      // Our CM server may be the one the account left.
      wake(oldPollRow(account.id))
    },
  }
}

function createWorker(context: BridgeContext, { queue, config }: BridgeOptions): StageWorker {
  return new StageWorker({
    store: context.store,
    queue,
    clock: context.clock,
    random: context.random,
    log: context.log,
    incarnation: randomUUID(),
    concurrency: config.limits.jobs,
    stages: {
      resolve: createResolveStage(context),
      encode: createEncodeStage(context),
      post: createPostStage(context),
      sentcopy: createSentCopyStage(context),
      report: createReportStage(context),
      delayreport: createDelayReportStage(context),
      poll: createPollStage(context, 'own'),
      pollold: createPollStage(context, 'old'),
      fetch: createFetchStage(context),
      decode: createDecodeStage(context),
      acknowledge: createAcknowledgeStage(context),
      announce: createAnnounceStage(context),
      rotate: createRotateStage(context),
    },
  })
}

/** Every account has its rows that never end; after a crash between adding an account and this they are made here. */
async function scheduleAccounts(context: BridgeContext): Promise<void> {
  for (const { id } of listAccounts(context.store.read)) await scheduleAccount(context, id)
}

async function scheduleAccount(context: BridgeContext, accountId: AccountId): Promise<DueWork[]> {
  const rows = [
    { row: pollRow(accountId), stage: 'poll' },
    { row: announceRow(accountId), stage: 'announce' },
    { row: `rotate${accountId}`, stage: 'rotate' },
  ]
  const due: DueWork[] = []
  for (const { row, stage } of rows) {
    due.push(await context.store.write('ensureWork', { row, accountId, stage }))
  }
  return due
}
