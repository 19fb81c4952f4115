import { mkdir, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Person } from './demo/people.ts'
import { type RunningBridge, runVerb, startBridge } from './demo/program.ts'
import { playCollision, playFirstMail, type Stage } from './demo/scenes.ts'
import { show, step } from './demo/screen.ts'

/**
 * Two people mail each other over Confidant Mail, a third one claims the address of one of them, and the bridge says so.
 * Everything here goes through the public surface: `cmbridge` by its command line, SMTP and IMAP by ordinary clients.
 * With ONCE=1 it ends when all went well; else it stays up until Ctrl-C.
 */

const DIRECTORY = fileURLToPath(new URL('../.demo/', import.meta.url))
/** Ports of their own, so that a bridge on the usual ones is not in the way. */
const CM_SERVER = '127.0.0.1:18081'
const HOME_SETTINGS = [
  'smtp.port=11025',
  'smtp.tlsPort=11465',
  'imap.port=11143',
  'imap.tlsPort=11993',
  'poll.seconds=1',
  // Everybody is on this machine, and example.org is nobody's.
  'lookup.dns=false',
  'cmServer.enabled=true',
  `cmServer.listen=${CM_SERVER}`,
  `cmServer.authFile=${DIRECTORY}auth.txt`,
]
const MALLORYS_SETTINGS = [
  'smtp.port=0',
  'smtp.tlsPort=0',
  'imap.port=0',
  'imap.tlsPort=0',
  'poll.seconds=1',
  'lookup.dns=false',
]

interface Role {
  readonly address: string
  readonly name: string
  readonly authKey: string
}

const ALICE: Role = {
  address: 'alice@example.org',
  name: 'Alice Example',
  authKey: 'ALICE00000000000000000000DEMO001',
}
const BOB: Role = {
  address: 'bob@example.net',
  name: 'Bob Example',
  authKey: 'BOB0000000000000000000000DEMO002',
}
/** Mallory says she is Bob: the same address, another key. */
const MALLORY: Role = {
  address: 'bob@example.net',
  name: 'Bob Example',
  authKey: 'MALLORY000000000000000000DEMO003',
}

/** Milliseconds: a key is announced within seconds; the proof of work may need more on a slow machine. */
const ANNOUNCE_TIME_MS = 120_000

const running: RunningBridge[] = []

async function start(directory: string, values: readonly string[]): Promise<RunningBridge> {
  const data = ['--data', directory]
  await runVerb(['init', ...data])
  const bridge = await startBridge([...data, ...values.flatMap((value) => ['--set', value])])
  running.push(bridge)
  return bridge
}

async function addAccount(role: Role, directory: string, bridge: RunningBridge): Promise<Person> {
  const { address, name, authKey } = role
  const flags = ['--name', name, '--server', CM_SERVER, '--auth-key', authKey, '--data', directory]
  const added = await runVerb<{ keyId: string; appPassword: string }>(['account', 'add', address, ...flags])
  await awaitAnnounced(address, directory)
  return { address, name, keyId: added.keyId, password: added.appPassword, ready: bridge.ready }
}

interface Status {
  readonly people: readonly { readonly address: string; readonly announcedMs: number | null }[]
  readonly failing: readonly { readonly stage: string; readonly lastError: string }[]
}

async function awaitAnnounced(address: string, directory: string): Promise<void> {
  const deadlineMs = Date.now() + ANNOUNCE_TIME_MS
  while (Date.now() < deadlineMs) {
    const status = await runVerb<Status>(['status', '--data', directory])
    if (status.people.some((one) => one.address === address && one.announcedMs !== null)) return
    const failed = status.failing.find(({ stage }) => stage === 'announce')
    if (failed !== undefined) throw new Error(`announcing ${address} failed: ${failed.lastError}`)
  }
  throw new Error(`${address} was not announced in time`)
}

async function play(): Promise<Stage> {
  await rm(DIRECTORY, { recursive: true, force: true })
  await mkdir(DIRECTORY, { recursive: true })
  const keys = [ALICE, BOB, MALLORY].map(({ authKey }) => `undefined ${authKey}\n`)
  await writeFile(`${DIRECTORY}auth.txt`, keys.join(''))

  step('A household starts its bridge: private Redis, a CM server of its own, SMTP and IMAP on localhost')
  const home = await start(`${DIRECTORY}home`, HOME_SETTINGS)
  show([...home.ready.smtp, ...home.ready.imap].map(({ host, port }) => `listens on ${host} port ${port}`))

  step('Alice and Bob get accounts; their keys are made, announced and claimed at the CM server')
  const alice = await addAccount(ALICE, `${DIRECTORY}home`, home)
  const bob = await addAccount(BOB, `${DIRECTORY}home`, home)
  show([alice, bob].map(({ address, keyId }) => `${address}  ${keyId}`))
  await playFirstMail({ alice, bob })

  step('Mallory, with a bridge and a key of her own, claims Bob’s address at the same server')
  const hers = await start(`${DIRECTORY}mallory`, MALLORYS_SETTINGS)
  const mallory = await addAccount(MALLORY, `${DIRECTORY}mallory`, hers)
  show([`${mallory.address}  ${mallory.keyId}`])
  await playCollision({ alice, bob, mallory })
  return { alice, bob, mallory }
}

function settingsBlock({ alice, bob }: Stage): string[] {
  const { authorityFile } = alice.ready
  return [
    'IMAP   127.0.0.1 port 11143, STARTTLS (11993 with SSL/TLS)',
    'SMTP   127.0.0.1 port 11025, STARTTLS (11465 with SSL/TLS)',
    `CA     ${authorityFile}`,
    ...[alice, bob].map(({ address, password }) => `user   ${address}   password ${password}`),
  ]
}

async function stopAll(): Promise<void> {
  await Promise.all(running.map((bridge) => bridge.stop()))
}

async function main(): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  const stage = await play()
  console.log('\nAll of it went as it should.')
  if (process.env.ONCE === '1') return
  console.log('\nPoint Thunderbird (or any mail program) at it:\n')
  show(settingsBlock(stage))
  console.log('\nIt stays up until Ctrl-C.')
  await interrupted
}

try {
  await main()
} catch (error) {
  console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  await stopAll()
}
