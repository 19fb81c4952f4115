import { createHash, randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { connectCmServer } from '../../src/cm/client/connect-cm-server.ts'
import { withServers } from '../../src/cm/client/with-servers.ts'
import { acknowledgmentId, type BlockKey } from '../../src/cm/ids.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { anyAddress } from '../../src/net/address-guard.ts'
import { clientEnvironment, MemoryCertificates } from '../support/cm-client-support.ts'
import { startTestCmServer, type TestCmServer } from '../support/cm-server-support.ts'

const USER = 'a1b2c3d4e5f60718293a4b5c6d7e8f9011223344'
const AUTH_KEY = new Secret('ACCOUNTKEY000003')

let directory: string
let servers: TestCmServer[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmb-both-'))
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()))
  servers = []
  await rm(directory, { recursive: true })
})

async function start(): Promise<TestCmServer> {
  const server = await startTestCmServer({ accounts: { ACCOUNTKEY000003: USER } })
  servers.push(server)
  return server
}

function dataBlock(payload: Buffer): { readonly key: BlockKey; readonly headerText: string } {
  const date = formatUtcTime(Date.now())
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat([Buffer.from(date), payload]))
  return {
    key: createHash('sha1').update(payload).digest('hex') as BlockKey,
    headerText: `Type: data\nDate: ${date}\nVersion: 1\nProofOfWork: ${proof}\nData: ${payload.length}\n`,
  }
}

describe('our client and our server', () => {
  it('carry a payload from file to file and an acknowledgment from text to text', async () => {
    const { port, errors } = await start()
    const target = { host: '127.0.0.1', port, judge: anyAddress }
    const payload = Buffer.alloc(300_000, 'payload')
    const { key, headerText } = dataBlock(payload)
    const sourcePath = join(directory, 'source')
    await writeFile(sourcePath, payload)
    const poster = await connectCmServer(target, clientEnvironment())
    const source = { path: sourcePath, bytes: payload.length }
    expect(await poster.storeData(key, headerText, source)).toEqual({ kind: 'done' })
    const secret = Buffer.alloc(20, 7)
    const date = formatUtcTime(Date.now())
    const proof = solveProofOfWork({ bits: 16, matches: 2 }, Buffer.concat([Buffer.from(date), secret]))
    const hash = secret.toString('hex')
    const acknowledgment = `Type: acknowledgment\nDate: ${date}\nVersion: 1\nProofOfWork: ${proof}\nHash: ${hash}\n`
    const acknowledgmentKey = acknowledgmentId(secret) as string as BlockKey
    expect(await poster.storeText(acknowledgmentKey, acknowledgment)).toEqual({ kind: 'done' })
    expect(await poster.getBlock(acknowledgmentKey)).toEqual({ kind: 'not-found' })
    expect(await poster.login(USER, AUTH_KEY)).toEqual({ kind: 'ok' })
    expect(await poster.getBlock(acknowledgmentKey)).toEqual({ kind: 'block', text: acknowledgment })
    const sinkPath = join(directory, 'sink')
    expect(await poster.getData(key, sinkPath)).toEqual({ kind: 'data', headerText, payloadBytes: 300_000 })
    expect(await readFile(sinkPath)).toEqual(payload)
    await poster.quit()
    expect(errors).toEqual([])
  })

  it('go on to the next server when the first one is gone', async () => {
    const [gone, there] = [await start(), await start()]
    await gone.close()
    servers = [there]
    const outcome = await withServers(
      {
        servers: [gone, there].map(({ port }) => ({ host: '127.0.0.1', port })),
        judge: anyAddress,
        environment: clientEnvironment({ certificateMemory: new MemoryCertificates() }),
        randomInt: (below) => randomInt(below),
        login: { userId: USER, authKey: AUTH_KEY },
      },
      async (session) => {
        const reply = await session.getBlock('0'.repeat(40) as BlockKey)
        return reply.kind === 'not-found'
          ? { kind: 'done', value: 'empty' }
          : { kind: 'next', reason: 'refused' }
      },
    )
    expect(outcome).toMatchObject({ kind: 'done', value: 'empty', hostPort: `127.0.0.1:${there.port}` })
  })
})
