import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { serveImap } from '../../../src/imap/server.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { createMemoryAccount, PASSWORD, sessionOptions, USER } from '../../support/imap-peer.ts'
import { parseServerOutput } from '../../support/imap-response-grammar.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const DIRECTORY = fileURLToPath(new URL('../imap/', import.meta.url))

/** Hostile octets kept by hand, in the order of their names. */
export const HOSTILE_IMAP_INPUTS = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.bin'))
  .map((name) => ({ name, input: readFileSync(`${DIRECTORY}${name}`) }))

const MESSAGE = 'From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n'
/** What a client says before, by the state it leads to. */
export const IMAP_STATES = {
  'before login': '',
  'logged in': `l LOGIN ${USER} "${PASSWORD}"\r\n`,
  selected: `l LOGIN ${USER} "${PASSWORD}"\r\nm APPEND INBOX {${MESSAGE.length}+}\r\n${MESSAGE}\r\nn SELECT INBOX\r\n`,
}

/** Sends all and closes; what the server said, when it has let go, read by the strict response grammar. */
export async function exchangeImap(input: Uint8Array): Promise<readonly string[]> {
  const options = sessionOptions(createMemoryAccount(100_000))
  const [client, server] = createMemoryChannelPair({ bufferBytes: 64 * 1024 * 1024 })
  const served = serveImap(server, options)
  // Not `end`: that closes our reading side of a memory pair too, and the output is what is looked at.
  await client.write(input).catch(() => undefined)
  await client.write(Buffer.from('\r\n\r\nz LOGOUT\r\n')).catch(() => undefined)
  const chunks: Uint8Array[] = []
  const reading = (async () => {
    for await (const chunk of client) chunks.push(chunk)
  })()
  const isOver = await Promise.race([served.then(() => true), quietTurns(200).then(() => false)])
  // It waits for more, inside a literal or an IDLE: the peer goes away.
  if (!isOver) server.destroy()
  await Promise.all([served, reading])
  mustHold(options.errors.length === 0, `nothing is logged as our fault (${JSON.stringify(options.errors)})`)
  return parseServerOutput(Buffer.concat(chunks))
}

/** Lets that many turns of the event loop pass. */
async function quietTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** What a logged-in client says to our IMAP server: every answer is one of the grammar. */
export const imapServer: FuzzTarget = {
  name: 'imap-server',
  seeds: () => HOSTILE_IMAP_INPUTS.map(({ input }) => input),
  async run(input) {
    for (const prefix of Object.values(IMAP_STATES)) {
      await exchangeImap(Buffer.concat([Buffer.from(prefix), input]))
    }
  },
}
