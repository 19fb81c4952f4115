import { DEFAULT_MAX_AGES } from '../../../src/cm/block-verdict.ts'
import type { JudgeBlock } from '../../../src/cm/server/block-judge.ts'
import { serveCmConnection } from '../../../src/cm/server/session.ts'
import { Turns } from '../../../src/cm/server/turns.ts'
import { validateBlock } from '../../../src/cm/validate-block.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { realClock, testServerTls } from '../../support/cm-client-support.ts'
import { readTranscript } from '../../support/cm-transcript.ts'
import { MemoryCmAccounts, MemoryCmBlocks } from '../../support/memory-cm-blocks.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const NOW_MS = Date.parse('2026-11-25T09:43:20Z')
const AUTH_KEY = 'ACCOUNTKEY000003'
const USER = 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'
const DIALOGUES = ['body-framing', 'get-logged-in', 'admin', 'pipelining', 'type-confusion', 'dns-txt']
const TURNS_OF_SILENCE = 50

/** Payloads are small here: what a worker thread would read from the file is judged by its header alone. */
const judge: JudgeBlock = async ({ key, text, poster, rules }) =>
  validateBlock({ ...rules, key, text, poster, payload: new Uint8Array() })

/** What a client says to our server behind TLS and a login. Every line of the answer must be one the protocol has. */
export const cmServer: FuzzTarget = {
  name: 'cm-server',
  seeds: () =>
    DIALOGUES.map((name) => {
      const said = readTranscript(`server/${name}.txt`).map(({ sent }) => sent)
      return Buffer.concat(said.filter((sent) => !sent.includes('STARTTLS')))
    }),
  async run(input) {
    const errors: unknown[] = []
    const [client, server] = createMemoryChannelPair({ bufferBytes: 1 << 26 })
    const tls = await testServerTls()
    const served = serveCmConnection(server, {
      blocks: new MemoryCmBlocks(),
      accounts: new MemoryCmAccounts({ [AUTH_KEY]: USER }),
      judge,
      largeTexts: new Turns(1),
      clock: realClock(() => NOW_MS),
      tls: () => tls,
      maxAges: DEFAULT_MAX_AGES,
      log: { debug: () => undefined, error: ({ cause }) => errors.push(cause) },
    })
    const answer = await converse(client, input)
    await turns(TURNS_OF_SILENCE)
    server.destroy()
    await served
    mustHold(errors.length === 0, `nothing is logged as our fault (${errors.join(', ')})`)
    mustHold(!answer.some((chunk) => chunk.includes('\n') && !chunk.includes('\r\n')), 'lines end with CRLF')
  },
}

async function converse(
  client: ReturnType<typeof createMemoryChannelPair>[0],
  input: Uint8Array,
): Promise<string[]> {
  const heard: string[] = []
  await client.write(Buffer.from('STARTTLS\r\n'))
  const chunks = client[Symbol.asyncIterator]()
  for (let said = ''; !said.includes('PROCEED'); )
    said += Buffer.from((await chunks.next()).value ?? []).toString()
  await client.startTls({ role: 'client', host: 'localhost' })
  await client.write(Buffer.from(`LOGIN ${USER} ${AUTH_KEY}\r\n`)).catch(() => undefined)
  await client.write(input).catch(() => undefined)
  const reading = (async () => {
    for await (const chunk of client) heard.push(Buffer.from(chunk).toString('latin1'))
  })()
  await Promise.race([reading, turns(TURNS_OF_SILENCE)])
  return heard
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
