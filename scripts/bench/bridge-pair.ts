import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../src/base/clock.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { type Person, submit } from '../demo/people.ts'
import { type RunningBridge, runVerb, startBridge } from '../demo/program.ts'

/** Milliseconds until the keys are announced, and between two looks. */
const ANNOUNCE_TIME_MS = 60_000
const ANNOUNCE_LOOK_MS = 200

/** No port that is taken, and no question to the DNS of the world. */
const SETTINGS = [
  ...['smtp.port=0', 'smtp.tlsPort=0', 'imap.port=0', 'imap.tlsPort=0'],
  ...['lookup.dns=false'],
]

/** A bridge with two accounts that are announced at a CM server. */
export interface BridgePair {
  readonly data: string
  readonly alice: Person
  readonly bob: Person
  stop(): Promise<void>
}

/**
 * Starts one below `directory`; `settings` are `section.name=value`. The server is inside the bridge, which then hears of
 * new mail at once, or a process of its own.
 */
export async function startBridgePair(
  directory: string,
  options: { readonly server: 'inside' | 'alone'; readonly settings?: readonly string[] },
): Promise<BridgePair> {
  const data = join(directory, 'data')
  const authFile = join(directory, 'auth.txt')
  await writeFile(authFile, ['alice', 'bob'].map((name) => `undefined ${authKeyOf(name)}\n`).join(''))
  const alone = options.server === 'alone' ? await startServer(directory, authFile) : undefined
  const inside = ['cmServer.enabled=true', 'cmServer.listen=127.0.0.1:0', `cmServer.authFile=${authFile}`]
  let bridge: RunningBridge | undefined
  const stop = async (): Promise<void> => {
    await bridge?.stop()
    await alone?.stop()
  }
  try {
    await mkdir(data, { mode: 0o700 })
    const settings = [...SETTINGS, ...(alone === undefined ? inside : []), ...(options.settings ?? [])]
    const flags = settings.flatMap((setting) => ['--set', setting])
    bridge = await startBridge(['--data', data, ...flags])
    const hostPort = serverOf(alone ?? bridge)
    const alice = await addPerson('alice', { data, hostPort, bridge })
    const bob = await addPerson('bob', { data, hostPort, bridge })
    await awaitAnnounced(data)
    return { data, alice, bob, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startServer(directory: string, authFile: string): Promise<RunningBridge> {
  const data = join(directory, 'server')
  await mkdir(data, { mode: 0o700 })
  return startBridge(['--data', data, '--listen', '127.0.0.1:0', '--auth', authFile], 'cm-server')
}

function serverOf({ ready }: RunningBridge): string {
  const [server] = ready.cmServer
  if (server === undefined) throw new Error('the CM server does not listen')
  return `${server.host}:${server.port}`
}

async function addPerson(
  name: string,
  at: { readonly data: string; readonly hostPort: string; readonly bridge: RunningBridge },
): Promise<Person> {
  const address = `${name}@example.org`
  const flags = ['--server', at.hostPort, '--auth-key', authKeyOf(name), '--data', at.data]
  const added = await runVerb<{ keyId: string; appPassword: string }>(['account', 'add', address, ...flags])
  return { name, address, keyId: added.keyId, password: added.appPassword, ready: at.bridge.ready }
}

async function awaitAnnounced(data: string): Promise<void> {
  interface Status {
    readonly people: readonly { readonly announcedMs: number | null }[]
  }
  const deadlineMs = Date.now() + ANNOUNCE_TIME_MS
  while (Date.now() < deadlineMs) {
    const { people } = await runVerb<Status>(['status', '--data', data])
    if (people.every(({ announcedMs }) => announcedMs !== null)) return
    await sleep(systemClock, ANNOUNCE_LOOK_MS)
  }
  throw new Error('the accounts were not announced in time')
}

/** Submits a small message by SMTP. */
export async function send(from: Person, to: Person, number: number): Promise<void> {
  await submit(from, {
    from: `${from.name} <${from.address}>`,
    to: `${to.name} <${to.address}>`,
    subject: `Message ${number}`,
    text: 'Hello.\n',
  })
}

function authKeyOf(name: string): string {
  return name.toUpperCase().padEnd(32, '0')
}
