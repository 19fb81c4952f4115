import { type ChildProcess, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dataBlock, loggedIn, postTo, RELAY_ACCOUNTS, upload } from '../support/cm-relay-support.ts'
import type { WireClient } from '../support/cm-server-support.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let directory: string
let children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-replicates-'))
  const accounts = Object.entries(RELAY_ACCOUNTS).map(([authKey, user]) => `${user} ${authKey}\n`)
  writeFileSync(join(directory, 'accounts.txt'), accounts.join(''))
  writeFileSync(join(directory, 'key.txt'), 'REPLICATIONKEY01\n', { mode: 0o600 })
})

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  rmSync(directory, { recursive: true, force: true })
})

/** Starts `cmbridge cm-server`; returns where it listens, read from its ready line. */
async function startCmServer(name: string, ...flags: readonly string[]): Promise<{ readonly port: number }> {
  const own = ['--data', join(directory, name), '--auth', join(directory, 'accounts.txt')]
  const child = spawn(
    process.execPath,
    [MAIN, 'cm-server', ...own, '--listen', '127.0.0.1:0', '--json', ...flags],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  children.push(child)
  let output = ''
  for await (const chunk of child.stdout) {
    output += String(chunk)
    const line = output.split('\n').find((text) => text.includes('"ready"'))
    if (line === undefined) continue
    const ready = JSON.parse(line) as { readonly cmServer: readonly [{ readonly port: number }] }
    return ready.cmServer[0]
  }
  throw new Error(`the CM server ended: ${output}`)
}

async function eventually(client: WireClient, key: string): Promise<string | undefined> {
  let lines: readonly string[] = []
  await expect
    .poll(
      async () => {
        lines = await client.get(`GET SERVER ${key}`)
        return lines[0]
      },
      { timeout: 20_000, interval: 100 },
    )
    .toBe('Type: data')
  return lines.at(-1)
}

describe('cmbridge cm-server', () => {
  it('hands everything on to another one, and passes on to itself', { timeout: 60_000 }, async () => {
    const two = await startCmServer('two')
    const { fingerprint } = new X509Certificate(readFileSync(join(directory, 'two', 'cm-server.pem')))
    const key = ['--replication-key', join(directory, 'key.txt'), '--replication-certificate', fingerprint]
    const one = await startCmServer('one', '--replicate-to', `127.0.0.1:${two.port}`, ...key)
    const block = dataBlock('handed on', Date.now())
    const embargoed = dataBlock('passed on to itself', Date.now())
    const poster = await loggedIn(one)
    expect(await upload(poster, `STORE SERVER ${block.key}`, block)).toBe('DONE')
    const proxied = postTo(embargoed, `server=127.0.0.1:${one.port}`)
    expect(await upload(poster, `STORE PROXY ${embargoed.key}`, proxied)).toBe('DONE')
    const byName = dataBlock('passed on to itself by name', Date.now())
    const named = postTo(byName, `server=localhost:${one.port}`)
    expect(await upload(poster, `STORE PROXY ${byName.key}`, named)).toBe('DONE')
    poster.destroy()
    const [atOne, atTwo] = [await loggedIn(one), await loggedIn(two)]
    expect(await eventually(atTwo, block.key)).toBe('handed on')
    expect(await eventually(atOne, embargoed.key)).toBe('passed on to itself')
    expect(await eventually(atOne, byName.key)).toBe('passed on to itself by name')
    atOne.destroy()
    // What it passed on to itself is stored there, and so it is handed on.
    expect(await eventually(atTwo, embargoed.key)).toBe('passed on to itself')
    atTwo.destroy()
  })
})
