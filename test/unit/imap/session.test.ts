import { describe, expect, it } from 'vitest'
import {
  IDLE_AFTER_LOGIN_MS,
  IDLE_BEFORE_LOGIN_MS,
  LOGIN_DEADLINE_MS,
  MAX_BAD_COMMANDS_BEFORE_LOGIN,
} from '../../../src/imap/limits.ts'
import type { AccountMail, AppendSink, OpenMailbox } from '../../../src/imap/port.ts'
import { serveImap } from '../../../src/imap/server.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { createMemoryAccount, ImapPeer, PASSWORD, sessionOptions, USER } from '../../support/imap-peer.ts'
import { createTestClock } from '../../support/store.ts'

/** The account with some of its methods replaced by ones that fail as a real store can. */
function accountWith(account: AccountMail, faults: Partial<AccountMail>): AccountMail {
  return new Proxy(account, {
    get: (target, key) => {
      const fault: unknown = Reflect.get(faults, key)
      const value: unknown = fault ?? Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function namedError(name: string): Error {
  return Object.assign(new Error('secret detail'), { name })
}

describe('an IMAP session', () => {
  it('answers commands that came in one packet, in order, each under its own tag (case I25)', async () => {
    const peer = ImapPeer.connect(sessionOptions(createMemoryAccount()))
    await peer.send(
      `a LOGIN ${USER} "${PASSWORD}"\r\nb SELECT INBOX\r\nc IDLE\r\nDONE\r\nd NOOP\r\ne LOGOUT\r\n`,
    )
    const lines = await peer.readToEnd()
    const tagged = lines.filter((line) => /^[a-e] /.test(line)).map((line) => line.slice(0, 4))
    expect(tagged).toEqual(['a OK', 'b OK', 'c OK', 'd OK', 'e OK'])
  })

  it('answers the same when every octet comes alone', async () => {
    const peer = await ImapPeer.loggedIn(sessionOptions(createMemoryAccount()))
    for (const octet of 'a APPEND INBOX {10}\r\nSubject: x\r\nb NOOP\r\n') await peer.send(octet)
    expect(await peer.readLine()).toMatch(/^\+ /)
    expect(await peer.readLine()).toMatch(/^a OK \[APPENDUID/)
    expect(await peer.readLine()).toBe('b OK NOOP completed')
    expect(await peer.leave()).toEqual([])
  })

  it('closes after too many bad commands: another protocol is stopped early', async () => {
    const peer = ImapPeer.connect(sessionOptions(createMemoryAccount()))
    await peer.send('GET / HTTP/1.1\r\n'.repeat(MAX_BAD_COMMANDS_BEFORE_LOGIN))
    const lines = await peer.readToEnd()
    expect(lines.at(-1)).toBe('* BYE Too many bad commands')
  })

  it('answers BAD under the tag to a line that is too long or ends in LF, and stays in step', async () => {
    const peer = ImapPeer.connect(sessionOptions(createMemoryAccount()))
    await peer.readLine()
    await peer.send(`a NOOP ${'x'.repeat(10_000)}\r\nb NOOP\nc NOOP\r\n`)
    expect(await peer.readLine()).toBe('a BAD Line too long')
    expect(await peer.readLine()).toBe('b BAD Lines end in CRLF')
    expect(await peer.readLine()).toBe('c OK NOOP completed')
    expect(await peer.leave()).toEqual([])
  })

  it('gives up on a line without end', async () => {
    const peer = ImapPeer.connect(sessionOptions(createMemoryAccount()))
    const flood = (async () => {
      for (let sent = 0; sent < 2_000_000; sent += 65_536) await peer.send('x'.repeat(65_536))
    })()
    flood.catch(() => undefined)
    expect((await peer.readToEnd()).at(-1)).toBe('* BYE Line too long')
  })

  it('drops a connection that does not log in in time', async () => {
    const clock = createTestClock()
    const peer = ImapPeer.connect(sessionOptions(createMemoryAccount(), { clock }))
    await peer.readLine()
    clock.advance(LOGIN_DEADLINE_MS)
    expect(await peer.readToEnd()).toEqual([])
  })

  it('keeps an IDLE for 29 minutes and more, and says BYE when nothing is heard for longer', async () => {
    const clock = createTestClock()
    const [client, server] = createMemoryChannelPair()
    const peer = new ImapPeer(client, serveImap(server, sessionOptions(createMemoryAccount(), { clock })))
    await peer.readLine()
    expect(server.idleTimeoutMs).toBe(IDLE_BEFORE_LOGIN_MS)
    await peer.command(`LOGIN ${USER} "${PASSWORD}"`)
    expect(server.idleTimeoutMs).toBe(IDLE_AFTER_LOGIN_MS)
    expect(IDLE_AFTER_LOGIN_MS).toBeGreaterThan(30 * 60 * 1000)
    clock.advance(LOGIN_DEADLINE_MS)
    await peer.send('a IDLE\r\n')
    await peer.readLine()
    server.expireIdle()
    expect(await peer.readToEnd()).toEqual(['* BYE Nothing was heard for too long'])
  })

  it('answers NO [SERVERBUG] to a fault of ours, logs it once, and shows nothing of it', async () => {
    const account = accountWith(createMemoryAccount(), {
      status: async () => {
        throw namedError('TypeError')
      },
    })
    const options = sessionOptions(account)
    const peer = await ImapPeer.loggedIn(options)
    expect(await peer.command('STATUS INBOX (MESSAGES)')).toEqual([
      't2 NO [SERVERBUG] Internal error, nothing was changed',
    ])
    expect(options.errors).toHaveLength(1)
    expect(await peer.leave()).toEqual([])
  })

  it('answers NO [LIMIT] when the disk is full, whatever needed the room, and goes on', async () => {
    const account = accountWith(createMemoryAccount(), {
      createMailbox: async () => {
        throw namedError('DiskFullError')
      },
    })
    const options = sessionOptions(account)
    const peer = await ImapPeer.loggedIn(options)
    expect(await peer.command('CREATE x')).toEqual(['t2 NO [LIMIT] There is no room on the disk'])
    expect(await peer.command('NOOP')).toEqual(['t3 OK NOOP completed'])
    expect(options.errors).toEqual([])
    expect(await peer.leave()).toEqual([])
  })

  it('says BYE when the store is damaged: never an empty mailbox', async () => {
    const account = accountWith(createMemoryAccount(), {
      open: async () => {
        throw namedError('DamagedDatabaseError')
      },
    })
    const peer = await ImapPeer.loggedIn(sessionOptions(account))
    await peer.send('a SELECT INBOX\r\n')
    expect(await peer.readToEnd()).toEqual(['* BYE The mail store is not available'])
  })

  it('refuses a login when the authenticator fails', async () => {
    const options = sessionOptions(createMemoryAccount(), {
      authenticator: {
        login: async () => {
          throw namedError('Error')
        },
      },
    })
    const peer = ImapPeer.connect(options)
    await peer.readLine()
    expect((await peer.command(`LOGIN ${USER} "${PASSWORD}"`))[0]).toMatch(/ NO \[SERVERBUG\] /)
    expect((await peer.command('SELECT INBOX'))[0]).toMatch(/ BAD /)
    expect(await peer.leave()).toEqual([])
  })

  it('tells a throttled login to come back later', async () => {
    const options = sessionOptions(createMemoryAccount(), {
      authenticator: { login: async () => ({ kind: 'throttled', retryAfterMs: 1500 }) },
    })
    const peer = ImapPeer.connect(options)
    await peer.readLine()
    expect(await peer.command('LOGIN a b')).toEqual([
      't1 NO [UNAVAILABLE] Too many wrong logins; try again in 2 s',
    ])
    expect(await peer.leave()).toEqual([])
  })
})

describe('APPEND', () => {
  it('reads the literal to its end when the disk is full, and answers NO [LIMIT]', async () => {
    const calls: string[] = []
    const sink: AppendSink = {
      write: async () => {
        calls.push('write')
        throw namedError('DiskFullError')
      },
      commit: async () => {
        throw new Error('must not be committed')
      },
      discard: async () => {
        calls.push('discard')
      },
    }
    const account = accountWith(createMemoryAccount(), { beginAppend: async () => sink })
    const peer = await ImapPeer.loggedIn(sessionOptions(account))
    const message = 'a LOGOUT\r\n'.repeat(20_000)
    expect(await peer.append('INBOX', message)).toBe('t2 NO [LIMIT] There is no room on the disk')
    expect(await peer.append('INBOX', message)).toMatch(/^t3 NO \[LIMIT\]/)
    expect(calls).toEqual(['write', 'discard', 'write', 'discard'])
    expect(await peer.leave()).toEqual([])
  })

  it('discards a message whose connection is lost, also inside a literal', async () => {
    const { promise: discarded, resolve } = Promise.withResolvers<void>()
    const sink: AppendSink = {
      write: async () => undefined,
      commit: async () => {
        throw new Error('must not be committed')
      },
      discard: async () => resolve(),
    }
    const account = accountWith(createMemoryAccount(), { beginAppend: async () => sink })
    const peer = await ImapPeer.loggedIn(sessionOptions(account))
    await peer.send('a APPEND INBOX {100}\r\n')
    await peer.readLine()
    await peer.send('Subject: half')
    peer.channel.destroy()
    await discarded
    await peer.served
  })

  it('gives the store one chunk at a time: a slow store slows the client', async () => {
    let open = 0
    let widest = 0
    const sink: AppendSink = {
      write: async () => {
        open += 1
        widest = Math.max(widest, open)
        await new Promise((resolve) => setImmediate(resolve))
        open -= 1
      },
      commit: async () => ({ kind: 'refused', reason: 'test \u00e9' }),
      discard: async () => undefined,
    }
    const account = accountWith(createMemoryAccount(), { beginAppend: async () => sink })
    const peer = await ImapPeer.loggedIn(sessionOptions(account))
    expect(await peer.append('INBOX', 'x'.repeat(500_000))).toBe('t2 NO [CANNOT] test ?')
    expect(widest).toBe(1)
    expect(await peer.leave()).toEqual([])
  })
})

describe('FETCH of a body', () => {
  /** The account with an INBOX whose bodies are read by `readBody`. */
  function accountReading(account: AccountMail, readBody: OpenMailbox['readBody']): AccountMail {
    return accountWith(account, {
      open: async (name, onChange) => {
        const mailbox = await account.open(name, onChange)
        return mailbox === undefined ? undefined : { ...mailbox, readBody }
      },
    })
  }

  it('reads no further than a slow client takes', async () => {
    const account = createMemoryAccount()
    const size = 1_000_000
    const big = `Subject: x\r\n\r\n${'y'.repeat(size - 14)}`
    const filler = await ImapPeer.loggedIn(sessionOptions(account))
    await filler.append('INBOX', big)
    await filler.leave()
    let chunksRead = 0
    const options = sessionOptions(
      accountReading(account, async () =>
        (async function* () {
          for (; chunksRead < 100; chunksRead += 1)
            yield Buffer.from(big.slice(chunksRead * 10_000, (chunksRead + 1) * 10_000))
        })(),
      ),
    )
    const [client, server] = createMemoryChannelPair({ bufferBytes: 1000 })
    const peer = new ImapPeer(client, serveImap(server, options))
    await peer.readLine()
    await peer.command(`LOGIN ${USER} "${PASSWORD}"`)
    await peer.command('SELECT INBOX')
    await peer.send('a FETCH 1 BODY.PEEK[]\r\n')
    await new Promise((resolve) => setImmediate(resolve))
    expect(chunksRead).toBeLessThan(5)
    const lines = await peer.linesUpTo((line) => line.startsWith('a '))
    expect(lines.at(-1)).toBe('a OK FETCH completed')
    expect(chunksRead).toBe(100)
    expect(await peer.leave()).toEqual([])
  })

  it.each([
    ['too little', 'x'],
    ['too much', 'x'.repeat(1000)],
  ])(
    'drops the connection when the store gives %s: nothing else may be read as mail',
    async (_what, given) => {
      const account = createMemoryAccount()
      const filler = await ImapPeer.loggedIn(sessionOptions(account))
      await filler.append('INBOX', `Subject: x\r\n\r\n${'y'.repeat(100)}`)
      await filler.leave()
      const options = sessionOptions(
        accountReading(account, async () =>
          (async function* () {
            yield Buffer.from(given)
          })(),
        ),
      )
      const peer = await ImapPeer.loggedIn(options)
      await peer.command('SELECT INBOX')
      await peer.send('a FETCH 1 BODY.PEEK[TEXT]\r\n')
      await peer.served
      expect(options.errors).toHaveLength(1)
    },
  )

  it('gives NIL for a message that is gone for good', async () => {
    const account = createMemoryAccount()
    const filler = await ImapPeer.loggedIn(sessionOptions(account))
    await filler.append('INBOX', 'Subject: x\r\n\r\nbody')
    await filler.leave()
    const peer = await ImapPeer.loggedIn(sessionOptions(accountReading(account, async () => undefined)))
    await peer.command('SELECT INBOX')
    expect((await peer.command('FETCH 1 BODY.PEEK[TEXT]'))[0]).toBe('* 1 FETCH (BODY[TEXT] NIL)')
    expect(await peer.leave()).toEqual([])
  })

  it('opens no message for what the index holds', async () => {
    const account = createMemoryAccount()
    const filler = await ImapPeer.loggedIn(sessionOptions(account))
    await filler.append('INBOX', 'Subject: x\r\nFrom: a@example.org\r\n\r\nbody')
    await filler.leave()
    const options = sessionOptions(
      accountReading(account, async () => {
        throw new Error('must not be opened')
      }),
    )
    const peer = await ImapPeer.loggedIn(options)
    await peer.command('SELECT INBOX')
    const items = 'FULL'
    expect((await peer.command(`FETCH 1 ${items}`)).at(-1)).toMatch(/ OK /)
    expect(
      (
        await peer.command(
          'FETCH 1 (BODYSTRUCTURE RFC822.HEADER BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (FROM)])',
        )
      ).at(-1),
    ).toMatch(/ OK /)
    expect((await peer.command('SEARCH FROM a SUBJECT x SENTSINCE 1-Jan-2026')).at(-1)).toMatch(/ OK /)
    expect((await peer.command('SEARCH TEXT subject')).at(0)).toBe('* SEARCH 1')
    expect(options.errors).toEqual([])
    expect(await peer.leave()).toEqual([])
  })
})
