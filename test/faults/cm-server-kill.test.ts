import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { WireClient } from '../support/cm-server-support.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const USER = 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'

let directory: string
let child: ChildProcess | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-kill-'))
  writeFileSync(join(directory, 'accounts.txt'), `${USER} ACCOUNTKEY000003\n`)
})

afterEach(() => {
  child?.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

/** Starts `cmbridge cm-server` and returns its port, read from its ready line. */
async function startCmServer(): Promise<number> {
  const flags = ['--data', join(directory, 'data'), '--auth', join(directory, 'accounts.txt')]
  const started = spawn(
    process.execPath,
    [MAIN, 'cm-server', ...flags, '--listen', '127.0.0.1:0', '--json'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  child = started
  let output = ''
  for await (const chunk of started.stdout) {
    output += String(chunk)
    const line = output.split('\n').find((text) => text.includes('"ready"'))
    if (line === undefined) continue
    const ready = JSON.parse(line) as { readonly cmServer: readonly [{ readonly port: number }] }
    return ready.cmServer[0].port
  }
  throw new Error(`the CM server ended: ${output}`)
}

function dataBlock(payload: string): { readonly key: string; readonly text: string } {
  const date = formatUtcTime(Date.now())
  const key = createHash('sha1').update(payload).digest('hex')
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.from(`${date}${payload}`))
  const header = `Type: data\r\nDate: ${date}\r\nVersion: 1\r\nProofOfWork: ${proof}\r\nData: ${payload.length}\r\n`
  return { key, text: `STORE SERVER ${key}\r\n${header}${payload}` }
}

async function post(port: number, payload: string): Promise<string> {
  const { key, text } = dataBlock(payload)
  const client = await WireClient.connectSecure(port)
  client.send(text)
  expect(await client.line()).toBe('DONE')
  return key
}

/** Stores without waiting, until the server is gone; the payloads it said DONE to, by key. */
async function storeUntilGone(port: number, name: string, onDone: () => void): Promise<Map<string, string>> {
  const client = await WireClient.connectSecure(port)
  const blocks = Array.from({ length: 500 }, (_, number) => `${name} ${number}`)
  const offered = blocks.map((payload) => ({ payload, ...dataBlock(payload) }))
  client.send(offered.map(({ text }) => text).join(''))
  const done = new Map<string, string>()
  for (const { key, payload } of offered) {
    if ((await client.line()) !== 'DONE') break
    done.set(key, payload)
    onDone()
  }
  return done
}

describe('cmbridge cm-server', () => {
  it('has every block it said DONE to after kill -9', async () => {
    const port = await startCmServer()
    const keys: string[] = []
    for (let number = 0; number < 5; number += 1) keys.push(await post(port, `block ${number}`))
    const ended = once(child!, 'exit')
    child?.kill('SIGKILL')
    await ended
    const client = await WireClient.connectSecure(await startCmServer())
    expect(await client.ask(`LOGIN ${USER} ACCOUNTKEY000003`)).toBe('DONE')
    for (const [number, key] of keys.entries()) {
      expect((await client.get(`GET SERVER ${key}`)).at(-1)).toBe(`block ${number}`)
    }
    client.destroy()
  })

  it('has every block of a crowd that it said DONE to when it was killed', async () => {
    const port = await startCmServer()
    const enough = Promise.withResolvers<void>()
    let count = 0
    const onDone = () => {
      count += 1
      if (count === 300) enough.resolve()
    }
    const storing = Array.from({ length: 5 }, (_, number) => storeUntilGone(port, `crowd ${number}`, onDone))
    await enough.promise
    const ended = once(child!, 'exit')
    child?.kill('SIGKILL')
    await ended
    const done = (await Promise.all(storing)).flatMap((map) => [...map])
    expect(done.length).toBeGreaterThanOrEqual(300)
    const client = await WireClient.connectSecure(await startCmServer())
    expect(await client.ask(`LOGIN ${USER} ACCOUNTKEY000003`)).toBe('DONE')
    for (const [key, payload] of done) expect((await client.get(`GET SERVER ${key}`)).at(-1)).toBe(payload)
    client.destroy()
  })
})
