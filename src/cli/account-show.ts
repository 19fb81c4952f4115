import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { acceptedProofOfWork, polledMailboxes } from '../bridge/own-announcement.ts'
import {
  type Account,
  type AppPassword,
  type AuthKeyPlace,
  accountByLogin,
  listAppPasswords,
  loadAuthKey,
} from '../store/account-queries.ts'
import { directoryLayout } from '../store/database-file.ts'
import { type AccountTimes, pollTimes } from '../store/inbound-queries.ts'
import { openStoreForReading } from '../store/open-store.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { type WorkReport, workReport } from '../store/work-queries.ts'
import { CliError } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult, settingsOf } from './context.ts'

/** `cmbridge account show` */
export function registerAccountShow(account: Command, context: CliContext): void {
  account
    .command('show <account>')
    .description('show what an account tells its network, when it last did, and what waits')
    .action(async (name: string, _flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<CommonFlags>()
      settingsOf(context, flags)
      await showAccount(context, flags, name)
    })
}

/** Rows of work looked at; more are not counted. */
const MAX_WORK_ROWS = 10_000

/** Prints an account; throws CliError when there is none of the name. Never prints a secret. */
export async function showAccount(context: CliContext, flags: CommonFlags, name: string): Promise<void> {
  const shown = await withAccount(context, flags, name, (read, account) => ({
    account,
    hasAuthKey: {
      own: hasKey(read, account, 'own'),
      old: hasKey(read, account, 'old'),
      publish: hasKey(read, account, 'publish'),
    },
    times: pollTimes(read, account.id),
    oldTimes: pollTimes(read, account.id, 'old'),
    passwords: listAppPasswords(read, account.id),
    work: workReport(read, MAX_WORK_ROWS).filter(({ accountId }) => accountId === account.id),
  }))
  const { id: _internal, ...account } = shown.account
  const nowMs = context.clock.now()
  printResult(context, flags, {
    json: { ...shown, account, oldTimes: undefined, polledOldMs: shown.oldTimes.succeededMs },
    lines: [
      `account    ${account.address}   ${account.displayName}`.trimEnd(),
      `key        ${account.keyId}`,
      ...serverLines(shown, nowMs),
      ...demandLines(shown.account, nowMs),
      `tokens     ${account.network.usesBypassTokens ? 'people you wrote to may answer without work' : 'off'}`,
      `sync       records of other clients are ${account.network.appliesFolderSync ? 'applied' : 'only hidden'}`,
      `rotation   ${account.network.rotateDays === 0 ? 'when you say so' : `every ${account.network.rotateDays} days`}`,
      `announced  ${timeOf(shown.times.announcedMs)}`,
      `polled     ${timeOf(shown.times.succeededMs)}`,
      `passwords  ${shown.passwords.map(({ name: one }) => one).join(', ') || 'none'}`,
      ...workLines(shown.work),
    ],
  })
}

/** Reads an account beside a running bridge or without one. Throws CliError. */
export async function withAccount<Result>(
  context: CliContext,
  flags: CommonFlags,
  name: string,
  use: (read: ReadConnection, account: Account) => Result | Promise<Result>,
): Promise<Result> {
  const directory = dataDirectory(context, flags)
  if (!existsSync(directoryLayout(directory).databasePath)) throw noSuchAccount(name)
  const read = openStoreForReading(directory)
  try {
    const account = accountByLogin(read, name)
    if (account === undefined) throw noSuchAccount(name)
    return await use(read, account)
  } finally {
    read.close()
  }
}

export function noSuchAccount(name: string): CliError {
  return new CliError(`no account ${name} here; "cmbridge account list" shows those there are`)
}

interface Shown {
  readonly account: Account
  readonly hasAuthKey: Readonly<Record<AuthKeyPlace, boolean>>
  readonly oldTimes: AccountTimes
  readonly passwords: readonly AppPassword[]
  readonly work: readonly WorkReport[]
}

function hasKey(read: ReadConnection, { id }: Account, place: AuthKeyPlace): boolean {
  return loadAuthKey(read, id, place) !== undefined
}

function serverLines({ account, hasAuthKey, oldTimes }: Shown, nowMs: number): string[] {
  const { old, publishServers } = account.network
  const lines = [`servers    ${listOf(account.servers, hasAuthKey.own)}`]
  if (old !== undefined && old.untilMs > nowMs) {
    const polled = `until ${timeOf(old.untilMs)}, polled ${timeOf(oldTimes.succeededMs)}`
    lines.push(`old        ${listOf(old.servers, hasAuthKey.old)}, ${polled}`)
  }
  if (publishServers.length > 0) lines.push(`published  ${listOf(publishServers, hasAuthKey.publish)}`)
  return lines
}

function listOf(servers: readonly string[], hasKeyForThem: boolean): string {
  return `${servers.join(', ') || 'none'}${hasKeyForThem ? '' : ' (without an authentication key)'}`
}

function demandLines({ network }: Account, nowMs: number): string[] {
  const { mailboxCount, costBits, previous } = network
  const lines = [`mailboxes  ${mailboxCount}`, `cost       ${costBits} bits of work`]
  if (previous === undefined || previous.untilMs <= nowMs) return lines
  const polled = polledMailboxes(network, nowMs).length
  const accepted = acceptedProofOfWork(network, nowMs).bits
  return [
    ...lines,
    `until      ${timeOf(previous.untilMs)} ${polled} mailboxes are looked at and ${accepted} bits are enough`,
  ]
}

function workLines(work: readonly WorkReport[]): string[] {
  const counts = new Map<string, number>()
  for (const { stage } of work) counts.set(stage, (counts.get(stage) ?? 0) + 1)
  for (const endless of ['poll', 'pollold', 'announce', 'rotate']) counts.delete(endless)
  return [
    ...[...counts].map(([stage, count]) => `waits      ${count} to ${stage}`),
    ...work
      .filter(({ failures }) => failures > 0)
      .map(
        ({ row, stage, failures, lastError }) =>
          `failing    ${row} ${stage}, ${failures} times: ${lastError}`,
      ),
  ]
}

function timeOf(ms: number | null): string {
  return ms === null ? 'never' : new Date(ms).toISOString()
}
