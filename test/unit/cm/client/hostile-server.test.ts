import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CmProtocolError } from '../../../../src/cm/client/cm-protocol-error.ts'
import type { CmSession } from '../../../../src/cm/client/cm-session.ts'
import { connectCmServer } from '../../../../src/cm/client/connect-cm-server.ts'
import type { BlockKey } from '../../../../src/cm/ids.ts'
import { anyAddress } from '../../../../src/net/address-guard.ts'
import {
  clientEnvironment,
  type ScriptConnection,
  type ScriptedServer,
  startScriptedServer,
  testServerTls,
} from '../../../support/cm-client-support.ts'

const KEY = '0123456789abcdef0123456789abcdef01234567' as BlockKey
const PAYLOAD = Buffer.from('first block of ciphertext')
const PAYLOAD_KEY = createHash('sha1').update(PAYLOAD).digest('hex') as BlockKey
const DATA_HEADER = 'Type: data\r\nDate: 2026-11-22T20:05:00Z\r\nVersion: 1\r\n'
/** Bytes of process growth that a hostile reply may cost, far below what it sends. */
const MEMORY_ALLOWANCE_BYTES = 64 * 1024 * 1024

let server: ScriptedServer | undefined
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmb-client-'))
})

afterEach(async () => {
  await server?.close()
  server = undefined
  await rm(directory, { recursive: true })
})

async function connectTo(
  script: (connection: ScriptConnection) => Promise<void>,
  timeouts = {},
): Promise<CmSession> {
  server = await startScriptedServer(script)
  const environment = clientEnvironment({
    timeouts: { replyMs: 2000, storeMs: 2000, wholeReplyMs: 2000, ...timeouts },
  })
  return connectCmServer({ host: '127.0.0.1', port: server.port, judge: anyAddress }, environment)
}

/** A session with a server that is honest until the first command and answers that with `reply`. */
function connectToAnswer(reply: string | Uint8Array, timeouts = {}): Promise<CmSession> {
  return connectTo(async (connection) => {
    await connection.greet()
    await connection.line()
    await connection.send(reply)
    await connection.rest()
  }, timeouts)
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const outcome = await work.catch((error: unknown) => error)
  return outcome instanceof CmProtocolError ? outcome.code : `no CmProtocolError: ${String(outcome)}`
}

describe('a server that is wrong from the start', () => {
  it('is silent', async () => {
    const code = await codeOf(connectTo(async (c) => void (await c.rest()), { replyMs: 50 }))
    expect(code).toBe('timeout')
  })

  it('greets with BUSY', async () => {
    const script = async (c: ScriptConnection) => c.send('CONFIDANT MAIL SERVER PROTOCOL 1 BUSY\r\n')
    expect(await codeOf(connectTo(script))).toBe('busy')
  })

  it('greets with an endless line', async () => {
    const script = async (c: ScriptConnection) => {
      for (;;) await c.send('x'.repeat(64 * 1024))
    }
    expect(await codeOf(connectTo(script))).toBe('line-too-long')
  })

  it('never stops talking', async () => {
    const script = async (c: ScriptConnection) => {
      for (;;) await c.send('220 mail.example ESMTP\r\n')
    }
    expect(await codeOf(connectTo(script))).toBe('unexpected-reply')
  })

  it('does not offer TLS', async () => {
    const script = async (c: ScriptConnection) => {
      await c.send('CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n')
      await c.line()
      await c.send('INVALID COMMAND\r\n')
      await c.rest()
    }
    expect(await codeOf(connectTo(script, { replyMs: 50 }))).toBe('timeout')
  })

  it('answers the handshake with garbage', async () => {
    const script = async (c: ScriptConnection) => {
      await c.send('CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n')
      await c.line()
      await c.send('PROCEED\r\n')
      await c.send('this is no TLS record at all, not even close\r\n')
      await c.rest()
    }
    expect(await codeOf(connectTo(script))).toBe('tls')
  })

  it('injects plaintext behind PROCEED', async () => {
    const script = async (c: ScriptConnection) => {
      await c.send('CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n')
      await c.line()
      await c.send('PROCEED\r\nENCRYPTED\r\n')
      await c.rest()
    }
    expect(await codeOf(connectTo(script))).toBe('tls')
  })

  it('hangs up', async () => {
    expect(await codeOf(connectTo(async () => undefined))).toBe('closed')
  })

  it('is not there', async () => {
    server = await startScriptedServer(async () => undefined)
    const { port } = server
    await server.close()
    const target = { host: '127.0.0.1', port, judge: anyAddress }
    expect(await codeOf(connectCmServer(target, clientEnvironment()))).toBe('unreachable')
  })
})

describe('a greeting', () => {
  it.each([
    'rest of a proxy replyCONFIDANT MAIL SERVER PROTOCOL 1 READY',
    'confidant mail server protocol 27 ready',
    'hello\r\nCONFIDANT MAIL SERVER PROTOCOL 1 READY',
  ])('%j is tolerated', async (greeting) => {
    const session = await connectTo(async (c) => {
      await c.send(`${greeting}\r\n`)
      await c.line()
      await c.send('hold on\r\nPROCEED\r\n')
      await c.channel.startTls(await testServerTls())
      await c.send('ENCRYPTED\r\n')
      await c.line()
      await c.send('NOT FOUND\r\n')
      await c.rest()
    })
    expect(await session.getBlock(KEY)).toEqual({ kind: 'not-found' })
    session.close()
  })
})

describe('a reply to GET of a text block', () => {
  it.each([
    ['NOT FOUND\r\n', { kind: 'not-found' }],
    ['not found\r\n', { kind: 'not-found' }],
    ['EndBlock\r\n', { kind: 'not-yet' }],
    ['FAILED\r\n', { kind: 'refused', reply: 'FAILED' }],
    ['INVALID COMMAND\r\n', { kind: 'refused', reply: 'INVALID COMMAND' }],
    ['A: b\r\n\r\nPadding: x\r\nNOT FOUND\r\nendblock\r\n', { kind: 'block', text: 'A: b\n\nNOT FOUND\n' }],
    ['A: \xc3\xbc\r\nData: 0\r\nEndBlock\r\n', { kind: 'block', text: 'A: ü\nData: 0\n' }],
    ['A: \xff\r\nB: x\ry\r\nEndBlock\r\n', { kind: 'block', text: 'A: \ufffd\nB: xy\n' }],
  ])('%j is understood', async (reply, expected) => {
    const session = await connectToAnswer(reply)
    expect(await session.getBlock(KEY)).toEqual(expected)
    session.close()
  })

  it.each([
    ['A: b\nEndBlock\r\n', 'malformed-reply'],
    ['Type: data\r\nData: 3\r\nabc', 'wrong-type'],
    [`${'x'.repeat(16_385)}\r\nEndBlock\r\n`, 'line-too-long'],
    ['A: b\r\n', 'timeout'],
  ])('%j ends the session', async (reply, code) => {
    const session = await connectToAnswer(reply, { replyMs: 500 })
    expect(await codeOf(session.getBlock(KEY))).toBe(code)
    expect(await codeOf(session.getBlock(KEY))).toBe(code)
  })

  it('with lines without end costs bounded memory', async () => {
    const session = await connectTo(
      async (connection) => {
        await connection.greet()
        await connection.line()
        const lines = 'X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(2000)
        for (;;) await connection.send(lines)
      },
      { wholeReplyMs: 20_000, replyMs: 20_000 },
    )
    const before = process.memoryUsage().rss
    expect(await codeOf(session.getBlock(KEY))).toBe('reply-too-large')
    expect(process.memoryUsage().rss - before).toBeLessThan(2 * MEMORY_ALLOWANCE_BYTES)
  })

  it('that drips is cut off', async () => {
    const session = await connectTo(
      async (connection) => {
        await connection.greet()
        await connection.line()
        for (;;) {
          await connection.send('X: y\r\n')
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      },
      { wholeReplyMs: 300 },
    )
    expect(await codeOf(session.getBlock(KEY))).toBe('timeout')
  })

  it('with a second reply behind it does not answer the next question', async () => {
    const session = await connectToAnswer('A: b\r\nEndBlock\r\nA: injected\r\nEndBlock\r\n')
    expect(await session.getBlock(KEY)).toMatchObject({ kind: 'block' })
    expect(await codeOf(session.getBlock(KEY))).toBe('unsolicited-bytes')
  })
})

describe('a reply to GET of a data block', () => {
  it('goes to the file, checked', async () => {
    const session = await connectToAnswer(`${DATA_HEADER}Data: ${PAYLOAD.length}\r\n${PAYLOAD}`)
    const sinkPath = join(directory, 'payload')
    const outcome = await session.getData(PAYLOAD_KEY, sinkPath)
    expect(outcome).toEqual({
      kind: 'data',
      payloadBytes: 25,
      headerText: 'Type: data\nDate: 2026-11-22T20:05:00Z\nVersion: 1\nData: 25\n',
    })
    expect(await readFile(sinkPath)).toEqual(PAYLOAD)
    session.close()
  })

  it('is held when it is small enough for that, checked all the same', async () => {
    const file = async (): Promise<string> => join(directory, 'held')
    const reply = `${DATA_HEADER}Data: ${PAYLOAD.length}\r\n`
    const held = await connectToAnswer(`${reply}${PAYLOAD}`)
    expect(await held.getData(PAYLOAD_KEY, { heldBytes: 25, file })).toMatchObject({
      payloadBytes: 25,
      payload: new Uint8Array(PAYLOAD),
    })
    held.close()
    const other = await connectToAnswer(`${reply}first block of ciphertexT`)
    expect(await codeOf(other.getData(PAYLOAD_KEY, { heldBytes: 25, file }))).toBe('wrong-hash')
    expect(existsSync(await file())).toBe(false)
    const larger = await connectToAnswer(`${reply}${PAYLOAD}`)
    expect(await larger.getData(PAYLOAD_KEY, { heldBytes: 24, file })).not.toHaveProperty('payload')
    expect(await readFile(await file())).toEqual(PAYLOAD)
    larger.close()
  })

  it.each([
    ['another payload', `${DATA_HEADER}Data: 25\r\nfirst block of ciphertexT`, 'wrong-hash'],
    ['too short a length', `${DATA_HEADER}Data: 24\r\n${PAYLOAD}`, 'wrong-hash'],
    ['too long a length', `${DATA_HEADER}Data: 26\r\n${PAYLOAD}`, 'timeout'],
    ['a length nobody has', `${DATA_HEADER}Data: 8388609\r\n`, 'reply-too-large'],
    ['a length beyond numbers', `${DATA_HEADER}Data: ${'9'.repeat(400)}\r\n`, 'reply-too-large'],
    ['a text block', 'Type: acknowledgment\r\nEndBlock\r\n', 'wrong-type'],
    ['another type', 'Type: acknowledgment\r\nData: 3\r\nabc', 'wrong-type'],
    ['a header without end', 'X: yyyyyyyyyyyyy\r\n'.repeat(10_000), 'reply-too-large'],
    ['nothing', '', 'timeout'],
  ])('with %s ends the session and leaves no file', async (_, reply, code) => {
    const session = await connectToAnswer(reply, { replyMs: 300 })
    const sinkPath = join(directory, 'payload')
    expect(await codeOf(session.getData(PAYLOAD_KEY, sinkPath))).toBe(code)
    expect(existsSync(sinkPath)).toBe(false)
  })

  it('cut off in the middle ends the session and leaves no file', async () => {
    const session = await connectTo(async (connection) => {
      await connection.greet()
      await connection.line()
      await connection.send(`${DATA_HEADER}Data: 25\r\nfirst`)
    })
    const sinkPath = join(directory, 'payload')
    expect(await codeOf(session.getData(PAYLOAD_KEY, sinkPath))).toBe('closed')
    expect(existsSync(sinkPath)).toBe(false)
  })

  it('that is not there makes no file', async () => {
    const session = await connectToAnswer('NOT FOUND\r\n')
    const sinkPath = join(directory, 'payload')
    expect(await session.getData(PAYLOAD_KEY, sinkPath)).toEqual({ kind: 'not-found' })
    expect(existsSync(sinkPath)).toBe(false)
    session.close()
  })
})

describe('storing', () => {
  it.each([
    ['DONE\r\n', { kind: 'done' }],
    ['FAILED\r\n', { kind: 'refused', reply: 'FAILED' }],
  ])('%j is understood', async (reply, expected) => {
    const lines: string[] = []
    const session = await connectTo(async (connection) => {
      await connection.greet()
      for (let line = await connection.line(); line !== 'EndBlock'; line = await connection.line()) {
        lines.push(line ?? '')
      }
      await connection.send(reply)
      await connection.rest()
    })
    expect(await session.storeText(KEY, 'A: ü\n\nB: c\n')).toEqual(expected)
    expect(lines).toEqual([`STORE SERVER ${KEY}`, 'A: \xc3\xbc', '', 'B: c'])
    session.close()
  })

  it('refuses text that would break the framing, before anything is sent', async () => {
    const session = await connectToAnswer('DONE\r\n')
    for (const bad of ['A: b\nEndBlock\n', 'Data: 5\n', 'padding: x\n', `A: ${'x'.repeat(16_384)}\n`]) {
      expect(() => session.storeText(KEY, bad)).toThrow('text block')
    }
    expect(() => session.storeData(KEY, 'Type: data\nData: 4\n', Buffer.from('abc'))).toThrow('header')
    session.close()
  })

  it('gives up on a server that never takes the payload', async () => {
    const tested = Promise.withResolvers<void>()
    const session = await connectTo(
      async (connection) => {
        await connection.greet()
        await connection.line()
        await tested.promise
      },
      { replyMs: 200, storeMs: 200 },
    )
    const payload = Buffer.alloc(8 * 1024 * 1024)
    expect(await codeOf(session.storeData(KEY, `Type: data\nData: ${payload.length}\n`, payload))).toBe(
      'timeout',
    )
    tested.resolve()
  })

  it('gives up on a server that never answers', async () => {
    const session = await connectToAnswer('', { storeMs: 100 })
    expect(await codeOf(session.storeText(KEY, 'A: b\n'))).toBe('timeout')
  })

  it('does not take a strange word for DONE', async () => {
    const session = await connectToAnswer('DONE DEAL\r\n')
    expect(await codeOf(session.storeText(KEY, 'A: b\n'))).toBe('unexpected-reply')
  })
})

describe('quitting', () => {
  it('needs no GOODBYE', async () => {
    const session = await connectTo(async (connection) => {
      await connection.greet()
      await connection.line()
    })
    await session.quit()
  })
})
