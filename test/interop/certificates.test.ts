import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { createCertificateMemory } from '../../src/store/certificate-memory.ts'
import { cmbridge } from '../support/command-line.ts'
import { hasProgram } from '../support/programs.ts'
import { ANY_PORTS, startServe } from '../support/serve.ts'
import { shortDirectory } from '../support/short-directory.ts'
import { openTestStore } from '../support/store.ts'

/** `cmbridge cert`: the owner's word on a server certificate that has changed (design 9). */

const SERVER = 'cm.example.org:8081'
const OLD = { sha256: 'aa'.repeat(32), description: 'subject CN=old\nissuer CN=old', firstSeenMs: 1000 }
const NEW = { sha256: 'bb'.repeat(32), description: 'subject CN=\u001b[2Jnew', firstSeenMs: 2000 }

let data: string
beforeEach(() => {
  data = join(shortDirectory(), 'data')
})

const on = (...args: string[]) => cmbridge(['--data', data, 'cert', ...args])

async function list(): Promise<unknown> {
  const { exitCode, stdout } = await on('list', '--json')
  expect(exitCode).toBe(0)
  return JSON.parse(stdout)
}

/** What a connection to a server leaves that had the old certificate and shows the new one. */
async function showChange(): Promise<void> {
  const store = await openTestStore(data)
  const memory = createCertificateMemory({ store })
  await memory.remember(SERVER, OLD)
  await memory.reportChange(SERVER, NEW)
  await store.close()
}

it('cert list shows what waits, cert accept makes it the record, once', async () => {
  await showChange()
  expect(await list()).toEqual([{ hostPort: SERVER, remembered: OLD, changed: NEW }])
  const { stdout } = await on('list')
  expect(stdout).toContain(`changed     SHA-256 ${NEW.sha256}`)
  expect(stdout).toContain(`cmbridge cert accept ${SERVER}`)
  expect(stdout).not.toContain('\u001b')
  const accepted = await on('accept', SERVER.toUpperCase(), '--json')
  expect(accepted).toMatchObject({ exitCode: 0, stderr: '' })
  expect(JSON.parse(accepted.stdout)).toEqual({ server: SERVER, certificate: NEW })
  expect(await list()).toEqual([{ hostPort: SERVER, remembered: NEW, changed: null }])
  expect(await on('accept', SERVER)).toMatchObject({
    exitCode: 1,
    stderr: `cmbridge: ${SERVER} shows the certificate that is remembered: there is nothing to accept\n`,
  })
  expect(await on('accept', 'other.example.org:8081')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('"cmbridge cert list" shows the servers there are'),
  })
})

it('cert writes nothing where no bridge was set up, and wants HOST:PORT', async () => {
  expect(await list()).toEqual([])
  expect(await on('accept', SERVER)).toMatchObject({
    exitCode: 1,
    stderr: `cmbridge: ${data} is not set up yet: run "cmbridge init"\n`,
  })
  expect(existsSync(data)).toBe(false)
  expect(await on('accept', 'nonsense')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('"nonsense" is no server: give HOST:PORT'),
  })
})

describe.skipIf(!hasProgram('redis-server'))('beside a running bridge', () => {
  it('cert accept works through it', async () => {
    await showChange()
    const serve = await startServe(['--data', data, ...ANY_PORTS, 'serve'])
    expect(await on('accept', SERVER)).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await list()).toEqual([{ hostPort: SERVER, remembered: NEW, changed: null }])
    expect(await on('accept', SERVER)).toMatchObject({ exitCode: 1, stdout: '' })
    expect(await serve.end('SIGTERM')).toBe(0)
  })
})
