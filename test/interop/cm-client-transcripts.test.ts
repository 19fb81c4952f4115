import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import type { CmSession, StoreCommand } from '../../src/cm/client/cm-session.ts'
import { connectCmServer } from '../../src/cm/client/connect-cm-server.ts'
import { type BlockKey, parseBlockKey } from '../../src/cm/ids.ts'
import { anyAddress } from '../../src/net/address-guard.ts'
import type { ByteChannel } from '../../src/net/byte-channel.ts'
import {
  clientEnvironment,
  type ScriptedServer,
  startScriptedServer,
  testServerTls,
} from '../support/cm-client-support.ts'
import { type Exchange, readTranscript } from '../support/cm-transcript.ts'
import { vectorNames } from '../support/vectors.ts'

/** Commands the client does not have: the DHT. */
const NOT_OURS = /^(GET|STORE) ENTANGLED /

/** Recordings that hold nothing for this client. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  '10-check-unknown-sender-retry-ack-004': 'a look-up in the DHT alone',
}

const DIALOGUES = vectorNames('transcripts/client')
  .flatMap((name) => /^(.*)\.txt$/.exec(name)?.[1] ?? [])
  .filter((name) => LEFT_OUT[name] === undefined)

let directory: string
let server: ScriptedServer | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmb-replay-'))
})

afterEach(async () => {
  await server?.close()
  server = undefined
  await rm(directory, { recursive: true })
})

/** The recorded server: notes what it is sent and answers as recorded. */
async function playServer(
  channel: ByteChannel,
  exchanges: readonly Exchange[],
  heard: string[],
): Promise<void> {
  const chunks = channel[Symbol.asyncIterator]()
  let buffer = Buffer.alloc(0)
  for (const exchange of exchanges) {
    while (buffer.length < exchange.sent.length) {
      const { done, value } = await chunks.next()
      if (done === true) return
      buffer = Buffer.concat([buffer, value])
    }
    if (exchange.sent.length > 0) heard.push(buffer.subarray(0, exchange.sent.length).toString('latin1'))
    buffer = buffer.subarray(exchange.sent.length)
    if (exchange.then !== 'tls') {
      await channel.write(Buffer.from(exchange.answer, 'latin1'))
      continue
    }
    await channel.write(Buffer.from('PROCEED\r\n'))
    await channel.startTls(await testServerTls())
    await playServer(channel, exchanges.slice(exchanges.indexOf(exchange) + 1), heard)
    return
  }
  await channel.end()
}

/** What our client makes of one recorded command; returns the answer as it would lie on the wire. */
async function say(session: CmSession, exchange: Exchange): Promise<string> {
  const [verb = '', where = '', operand = '', , since] = exchange.command.split(' ')
  const body = exchange.sent.subarray(exchange.command.length + 2)
  const key = parseBlockKey(operand)
  if (verb === 'LOGIN') return (await session.login(where, new Secret(operand))).kind
  if (verb === 'QUIT') return session.quit().then(() => 'quit')
  if (verb === 'DNS') return JSON.stringify(await session.dnsTxt(operand))
  if (key === undefined) throw new Error(`unexpected command in a recording: ${exchange.command}`)
  if (verb === 'STORE') return (await store(session, { key, body, how: howOf(where, since) })).kind
  if (!exchange.answer.startsWith('Type: data')) {
    const reply = await session.getBlock(key, since === undefined ? undefined : Date.parse(since))
    return reply.kind === 'block' ? `${reply.text.replaceAll('\n', '\r\n')}EndBlock\r\n` : reply.kind
  }
  const sinkPath = join(directory, key)
  const reply = await session.getData(key, sinkPath)
  if (reply.kind !== 'data') return reply.kind
  return `${reply.headerText.replaceAll('\n', '\r\n')}${await readFile(sinkPath, 'latin1')}`
}

/** `STORE SERVER`, or `STORE PROXY` with or without `AFTER`. */
function howOf(where: string, after: string | undefined): StoreCommand {
  if (where === 'SERVER') return { kind: 'server' }
  return { kind: 'proxy', ...(after === undefined ? {} : { afterMs: Date.parse(after) }) }
}

function store(
  session: CmSession,
  given: { readonly key: BlockKey; readonly body: Buffer; readonly how: StoreCommand },
) {
  const { key, body, how } = given
  const dataLine = /(?:^|\r\n)Data: [0-9]+\r\n/.exec(body.toString('latin1'))
  if (dataLine === null) {
    const text = body
      .toString('utf8')
      .replace(/EndBlock\r\n$/, '')
      .replaceAll('\r\n', '\n')
    return session.storeText(key, text, how)
  }
  const end = dataLine.index + dataLine[0].length
  const headerText = body.subarray(0, end).toString('utf8').replaceAll('\r\n', '\n')
  return session.storeData(key, headerText, body.subarray(end), how)
}

/** The outcome a recorded answer stands for. */
function meaningOf(exchange: Exchange): string {
  if (exchange.command === 'QUIT') return 'quit'
  if (exchange.answer === 'NOT FOUND\r\n') return 'not-found'
  if (exchange.answer === 'FAILED\r\n') return 'refused'
  if (exchange.answer === 'DONE\r\n') return exchange.command.startsWith('LOGIN') ? 'ok' : 'done'
  return exchange.answer
}

describe('our client in the place of the reference', () => {
  it.each(DIALOGUES)(
    'says in client/%s what the reference said, and understands the answers',
    async (name) => {
      const exchanges = readTranscript(`client/${name}.txt`).filter(({ command }) => !NOT_OURS.test(command))
      const heard: string[] = []
      server = await startScriptedServer(({ channel }) => playServer(channel, exchanges, heard))
      const target = { host: '127.0.0.1', port: server.port, judge: anyAddress }
      const session = await connectCmServer(target, clientEnvironment())
      const commands = exchanges.filter(({ command }) => !['', 'STARTTLS'].includes(command))
      const outcomes: string[] = []
      for (const exchange of commands) outcomes.push(await say(session, exchange))
      expect(outcomes).toEqual(commands.map(meaningOf))
      // Hex is ours to spell: the reference posts its own announcement under an upper-case key.
      const spoken = heard.filter((text) => text !== 'STARTTLS\r\n').map((text) => text.toLowerCase())
      expect(spoken).toEqual(commands.map(({ sent }) => sent.toString('latin1').toLowerCase()))
    },
  )
})
