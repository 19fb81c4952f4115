import { afterEach, describe, expect, it } from 'vitest'
import type { CmSession, StoreCommand } from '../../../../src/cm/client/cm-session.ts'
import { type CmClientEnvironment, connectCmServer } from '../../../../src/cm/client/connect-cm-server.ts'
import { UploadThrottle } from '../../../../src/cm/client/upload-throttle.ts'
import type { BlockKey } from '../../../../src/cm/ids.ts'
import { anyAddress } from '../../../../src/net/address-guard.ts'
import { clientEnvironment, realClock } from '../../../support/cm-client-support.ts'
import { type RecordingServer, startRecordingServer } from '../../../support/posting.ts'

const KEY = '00112233445566778899aabbccddeeff00112233' as BlockKey
const PAYLOAD = Buffer.from(`${'x'.repeat(8190)}\r\n`)
const DATA_HEADER = `Type: data\nData: ${PAYLOAD.length}\n`

let server: RecordingServer | undefined
let session: CmSession | undefined

afterEach(async () => {
  session?.close()
  await server?.close()
})

async function connect(over: Partial<CmClientEnvironment> = {}): Promise<CmSession> {
  server = await startRecordingServer()
  const target = { host: '127.0.0.1', port: server.port, judge: anyAddress }
  session = await connectCmServer(target, clientEnvironment(over))
  return session
}

describe('a payload', () => {
  it('is held down to the rate of the process; texts are not', async () => {
    let passed = 0
    const clock = realClock()
    const throttle = new UploadThrottle({ ...clock, after: (_, run) => clock.after(0, run) }, 1)
    const pass = throttle.pass.bind(throttle)
    throttle.pass = (bytes) => {
      passed += bytes
      return pass(bytes)
    }
    const limited = await connect({ throttle })
    expect(await limited.storeText(KEY, 'A: b\n')).toEqual({ kind: 'done' })
    expect(passed).toBe(0)
    expect(await limited.storeData(KEY, DATA_HEADER, PAYLOAD)).toEqual({ kind: 'done' })
    expect(passed).toBe(PAYLOAD.length)
    // 204 octets a step, and all of it arrived.
    expect(server?.heard[1]).toContain('x'.repeat(8190))
  })

  it('that takes longer than the slowest line is given up', async () => {
    let nowMs = 0
    const clock = { ...realClock(), now: () => (nowMs += 60_000) }
    const slow = await connect({ clock })
    const stored = slow.storeData(KEY, DATA_HEADER, PAYLOAD)
    await expect(stored).rejects.toMatchObject({ name: 'CmProtocolError', code: 'timeout' })
  })
})

describe('where a block goes', () => {
  const text = 'Type: acknowledgment\n'
  it.each<[string, string, StoreCommand]>([
    ['in a block for a server', `Post-To: server=cm.example:8081\n${text}`, { kind: 'server' }],
    ['in any case', `post-to: server=cm.example:8081\n${text}`, { kind: 'server' }],
    ['as an embargo', `Embargo: 2026-01-01T00:00:00Z\n${text}`, { kind: 'server' }],
    ['further down', `${text}Post-To: entangled\n`, { kind: 'server' }],
    ['to a replica', `Post-To: server=cm.example:8081\n${text}`, { kind: 'replicate', userId: 'none' }],
    ['as Entangled, to a server that passes it on', `Post-To: entangled\n${text}`, { kind: 'proxy' }],
    ['with embargo:', `Post-To: embargo:server=cm.example:8081\n${text}`, { kind: 'proxy' }],
    ['nowhere, to a server that passes it on', text, { kind: 'proxy' }],
  ])('never leaves %s', async (_, block, how) => {
    const open = await connect()
    expect(() => open.storeText(KEY, block, how)).toThrow(/where it goes/)
    const header = `${block}Data: ${PAYLOAD.length}\n`
    expect(() => open.storeData(KEY, header, PAYLOAD, how)).toThrow(/where it goes/)
    // The session is as good as before.
    expect(await open.storeText(KEY, text)).toEqual({ kind: 'done' })
    expect(server?.heard).toHaveLength(1)
  })
})
