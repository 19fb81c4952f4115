import { afterEach, expect } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { type KeyId, parseKeyId } from '../../src/cm/ids.ts'
import {
  startTestCmServer,
  type TestCmServer,
  type TestCmServerOptions,
  WireClient,
} from './cm-server-support.ts'

/** The server's time in tests with these people, and a minute before it. */
export const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
export const DATE_MS = NOW_MS - duration.minute

export const ALICE = parseKeyId('a1b2c3d4e5f60718293a4b5c6d7e8f9011223344') as KeyId
export const BOB = parseKeyId('b1b2c3d4e5f60718293a4b5c6d7e8f9011223355') as KeyId
export const ACCOUNTS = {
  ALICEKEY00000001: ALICE.toUpperCase(),
  BOBKEY0000000001: BOB.toUpperCase(),
  ADMINKEY00000001: 'administrator',
  REPLICATIONKEY01: 'replication',
}

let server: TestCmServer | undefined
const clients: WireClient[] = []

/** A server with these people; it and its clients end with the test. */
export async function startPeopleServer(options: TestCmServerOptions = {}): Promise<TestCmServer> {
  server = await startTestCmServer({ nowMs: NOW_MS, accounts: ACCOUNTS, ...options })
  return server
}

/** For the top of a test file. */
export function endPeopleServerAfterEach(): void {
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await server?.close()
    server = undefined
  })
}

/** A connection after its greeting, without TLS. */
export async function plainClient({ port }: TestCmServer): Promise<WireClient> {
  const client = await WireClient.connect(port)
  clients.push(client)
  await client.line()
  return client
}

export async function secureClient({ port }: TestCmServer): Promise<WireClient> {
  const client = await WireClient.connectSecure(port)
  clients.push(client)
  return client
}

export async function loggedIn(on: TestCmServer, login: string): Promise<WireClient> {
  const client = await secureClient(on)
  expect(await client.ask(`LOGIN ${login}`)).toBe('DONE')
  return client
}

export const asAlice = (on: TestCmServer): Promise<WireClient> => loggedIn(on, `${ALICE} ALICEKEY00000001`)
export const asBob = (on: TestCmServer): Promise<WireClient> => loggedIn(on, `${BOB} BOBKEY0000000001`)

/** Sends octets and reads one line. */
export async function send(client: WireClient, bytes: Uint8Array): Promise<string> {
  client.send(bytes)
  return client.line()
}
