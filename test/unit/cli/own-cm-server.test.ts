import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import { createAccountAdministration } from '../../../src/bridge/account-administration.ts'
import { parseConfig } from '../../../src/bridge/config.ts'
import { silentLog } from '../../../src/bridge/log.ts'
import { givenAuthKey } from '../../../src/bridge/own-cm-server.ts'
import { runningCmServer } from '../../../src/cli/own-cm-server.ts'
import type { KeyId } from '../../../src/cm/ids.ts'
import type { CmAccountEntry } from '../../../src/cm/server/port.ts'
import { createTempDirectory, createTestClock, openTestStore } from '../../support/store.ts'

/** Which servers are our own CM server, and whose accounts it is told of. */

const KEY_ID = 'ab'.repeat(20) as KeyId

function ownServer() {
  const parsed = parseConfig({
    tls: { names: ['home.example.org'] },
    cmServer: { enabled: true, listen: '0.0.0.0:8081' },
  })
  if (parsed.kind !== 'ok') throw new Error('wrong settings')
  const told: CmAccountEntry[] = []
  const accounts = {
    newAuthKey: () => 'MADE',
    assign: async (entries: readonly CmAccountEntry[]) => void told.push(...entries),
  }
  return { own: runningCmServer(parsed.config, 8081, accounts), told }
}

describe('our own CM server', () => {
  it.each([
    '127.0.0.1:8081',
    '127.0.1.1:8081',
    'localhost:8081',
    'HOME.example.org:8081',
    `${hostname()}:8081`,
  ])('is at %s', (hostPort) => {
    expect(ownServer().own.isAt(hostPort)).toBe(true)
  })

  it.each(['127.0.0.1:8082', 'cm.example.org:8081', 'example.org:8081'])('is not at %s', (hostPort) => {
    expect(ownServer().own.isAt(hostPort)).toBe(false)
  })
})

describe('the auth key of an account', () => {
  const request = { keyId: KEY_ID, formerServers: [], authKey: undefined }

  it('is made and told to our own server for an account there', async () => {
    const { own, told } = ownServer()
    const key = await givenAuthKey(own, { ...request, servers: ['localhost:8081'] })
    expect(key?.reveal()).toBe('MADE')
    expect(told).toEqual([{ userId: KEY_ID.toUpperCase(), authKey: 'MADE' }])
  })

  it.each([
    ['one was given', { servers: ['localhost:8081'], authKey: new Secret('GIVEN') }],
    ['none is wanted', { servers: ['localhost:8081'], authKey: null }],
    ['another server is in the list too', { servers: ['localhost:8081', 'cm.example.org:8081'] }],
    ['the account was there before', { servers: ['localhost:8081'], formerServers: ['127.0.0.1:8081'] }],
    ['no server is given', { servers: [] }],
  ])('is not made when %s', async (_when, given) => {
    const { own, told } = ownServer()
    const whole = { ...request, ...given }
    expect(await givenAuthKey(own, whole)).toBe(whole.authKey)
    expect(told).toEqual([])
  })
})

it('takes the key back when the change it was made for is refused', async () => {
  const { own, told } = ownServer()
  const directory = await createTempDirectory()
  const clock = createTestClock()
  const store = await openTestStore(directory.path, clock)
  const options = { store, clock, randomBytes, log: silentLog, ownCmServer: own }
  const accounts = createAccountAdministration(options)
  const authKey = new Secret('ABCDEFGH12345678')
  const account = 'alice@example.org'
  const added = await accounts.add({
    ...{ address: account, displayName: 'Alice', servers: ['one.example.org:8081'], authKey },
    secretKeyArmor: undefined,
  })
  expect(added.kind).toBe('ok')
  expect(await accounts.set({ account, servers: ['two.example.org:8081'], authKey })).toMatchObject({
    kind: 'ok',
  })
  // There is mail to come at the first one.
  expect(await accounts.set({ account, servers: ['localhost:8081'] })).toMatchObject({ kind: 'refused' })
  expect(told.map(({ userId, authKey: key }) => `${userId.slice(0, 8)} ${key}`)).toEqual([
    expect.stringMatching(/^[0-9A-F]{8} MADE$/),
    'disabled MADE',
  ])
  await store.close()
  await directory.remove()
})
