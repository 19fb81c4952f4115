import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { serveImap } from '../../src/imap/server.ts'
import { createMemoryChannelPair } from '../../src/net/memory-channel.ts'
import { createMemoryAccount, PASSWORD, sessionOptions, USER } from '../support/imap-peer.ts'
import { parseServerOutput } from '../support/imap-response-grammar.ts'

/** Hostile octets, saved; every parser bug adds one. Each is sent in three states (style.md 2.6). */
const DIRECTORY = fileURLToPath(new URL('imap/', import.meta.url))
const INPUTS = readdirSync(DIRECTORY).filter((name) => name.endsWith('.bin'))

const MESSAGE = 'From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n'
const PREFIXES = {
  'before login': '',
  'logged in': `l LOGIN ${USER} "${PASSWORD}"\r\n`,
  selected: `l LOGIN ${USER} "${PASSWORD}"\r\nm APPEND INBOX {${MESSAGE.length}+}\r\n${MESSAGE}\r\nn SELECT INBOX\r\n`,
}

/** Sends all and closes; what the server said, when it has let go. */
async function exchange(input: Uint8Array): Promise<readonly string[]> {
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
  expect(options.errors).toEqual([])
  return parseServerOutput(Buffer.concat(chunks))
}

/** Lets that many turns of the event loop pass. */
async function quietTurns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('hostile IMAP input', () => {
  for (const [state, prefix] of Object.entries(PREFIXES)) {
    it.each(INPUTS)(`${state}: %s is answered by the grammar and breaks nothing`, async (name) => {
      const input = readFileSync(`${DIRECTORY}${name}`)
      const responses = await exchange(Buffer.concat([Buffer.from(prefix), input]))
      expect(responses.join('')).not.toContain('SERVERBUG')
      expect(responses[0]).toMatch(/^\* OK \[CAPABILITY /)
    })
  }

  it('random commands are answered by the grammar', async () => {
    const word = fc.constantFrom(
      ...[
        'FETCH',
        'UID',
        'STORE',
        'SEARCH',
        'LIST',
        'STATUS',
        'COPY',
        'MOVE',
        'APPEND',
        'CREATE',
        'RENAME',
        'SELECT',
      ],
      ...[
        '1',
        '1:*',
        '*',
        '(',
        ')',
        'INBOX',
        '""',
        '%',
        '+FLAGS',
        '(\\Deleted)',
        'ALL',
        'BODY[]',
        'BODY.PEEK[1]<0.5>',
      ],
      ...[
        'NOT',
        'OR',
        'SUBJECT',
        '"x',
        '{3+}\r\nabc',
        '{3}',
        '(MESSAGES)',
        'EXPUNGE',
        'CLOSE',
        'NOOP',
        'FULL',
        'x/y',
      ],
    )
    const line = fc.array(word, { minLength: 1, maxLength: 6 }).map((words) => `t ${words.join(' ')}\r\n`)
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 15 }), async (lines) => {
        const responses = await exchange(Buffer.from(PREFIXES.selected + lines.join(''), 'latin1'))
        expect(responses.join('')).not.toContain('SERVERBUG')
      }),
      { numRuns: 100 },
    )
  })
})
