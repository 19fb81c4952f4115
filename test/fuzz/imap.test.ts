import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exchangeImap, HOSTILE_IMAP_INPUTS, IMAP_STATES } from './targets/imap-server.ts'

/** Hostile octets, saved; every parser bug adds one. Each is sent in three states (style.md 2.6). */

describe('hostile IMAP input', () => {
  for (const [state, prefix] of Object.entries(IMAP_STATES)) {
    it.each(HOSTILE_IMAP_INPUTS)(
      `${state}: $name is answered by the grammar and breaks nothing`,
      async ({ input }) => {
        const responses = await exchangeImap(Buffer.concat([Buffer.from(prefix), input]))
        expect(responses.join('')).not.toContain('SERVERBUG')
        expect(responses[0]).toMatch(/^\* OK \[CAPABILITY /)
      },
    )
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
        const responses = await exchangeImap(Buffer.from(IMAP_STATES.selected + lines.join(''), 'latin1'))
        expect(responses.join('')).not.toContain('SERVERBUG')
      }),
      { numRuns: 100 },
    )
  })
})
