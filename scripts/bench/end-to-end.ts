import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../src/base/clock.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { awaitMessage, openImap, type Person, submit } from '../demo/people.ts'
import { type RunningBridge, runVerb, startBridge } from '../demo/program.ts'
import { type Bench, progress, type Row, timed } from './table.ts'
import { withTempDirectory } from './temp-directory.ts'

const MESSAGES = 20
/** Milliseconds until the keys are announced, and between two looks. */
const ANNOUNCE_TIME_MS = 60_000
const ANNOUNCE_LOOK_MS = 200

const SETTINGS = [
  ...['smtp.port=0', 'smtp.tlsPort=0', 'imap.port=0', 'imap.tlsPort=0'],
  ...['cmServer.enabled=true', 'cmServer.listen=127.0.0.1:0'],
]

/** From SMTP to INBOX of another person, through the whole bridge and a CM server inside it. */
export const endToEndBench: Bench = {
  name: 'end-to-end',
  run: () =>
    withTempDirectory(async (directory) => {
      progress('end to end, starting a bridge with two accounts')
      const bridge = await start(directory)
      try {
        return await measure(directory, bridge)
      } finally {
        await bridge.stop()
      }
    }),
}

async function start(directory: string): Promise<RunningBridge> {
  const data = join(directory, 'data')
  await mkdir(data, { mode: 0o700 })
  const authFile = join(directory, 'auth.txt')
  await writeFile(authFile, ['alice', 'bob'].map((name) => `undefined ${authKeyOf(name)}\n`).join(''))
  const settings = [...SETTINGS, `cmServer.authFile=${authFile}`]
  return startBridge(['--data', data, ...settings.flatMap((setting) => ['--set', setting])])
}

async function measure(directory: string, bridge: RunningBridge): Promise<Row[]> {
  const data = join(directory, 'data')
  const alice = await addPerson('alice', data, bridge)
  const bob = await addPerson('bob', data, bridge)
  await awaitAnnounced(data)
  const inbox = await openImap(bob)
  const arrived = (count: number) => awaitMessage(inbox, 'INBOX', ({ seq }) => seq >= count)
  try {
    // The first one looks up Bob's key.
    progress('end to end, one message')
    const first = await timed(async () => {
      await send(alice, bob, 0)
      await arrived(1)
    })
    progress(`end to end, ${MESSAGES} messages`)
    const accepted = await timed(async () => {
      for (let number = 1; number <= MESSAGES; number += 1) await send(alice, bob, number)
    })
    const rest = await timed(() => arrived(MESSAGES + 1))
    const totalMs = accepted.elapsedMs + rest.elapsedMs
    return [
      { what: 'first message', value: first.elapsedMs, unit: 'ms' },
      { what: `${MESSAGES} messages`, value: totalMs / 1000, unit: 's' },
      {
        what: 'of that until all are accepted by SMTP',
        value: accepted.elapsedMs / 1000,
        unit: 's',
        ratio: { of: accepted.elapsedMs / totalMs, to: 'the whole' },
      },
      {
        what: 'per message',
        value: totalMs / MESSAGES,
        unit: 'ms',
        ratio: { of: totalMs / MESSAGES / first.elapsedMs, to: 'the first' },
      },
    ]
  } finally {
    await inbox.logout()
  }
}

async function addPerson(name: string, data: string, { ready }: RunningBridge): Promise<Person> {
  const server = ready.cmServer[0]
  if (server === undefined) throw new Error('the CM server does not listen')
  const address = `${name}@example.org`
  const flags = ['--server', `${server.host}:${server.port}`, '--auth-key', authKeyOf(name), '--data', data]
  const added = await runVerb<{ keyId: string; appPassword: string }>(['account', 'add', address, ...flags])
  return { name, address, keyId: added.keyId, password: added.appPassword, ready }
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

async function send(from: Person, to: Person, number: number): Promise<void> {
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
