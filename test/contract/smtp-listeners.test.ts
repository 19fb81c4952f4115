import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { SmtpListenError, startSmtpServer } from '../../src/smtp/smtp-server.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { ScriptedSubmission } from '../support/scripted-submission.ts'
import { gate, untilData } from '../support/smtp-steps.ts'
import { startTestServer, testTls } from '../support/smtp-test-server.ts'

describe('login', () => {
  it('gives both identities of PLAIN apart (RFC 4616 2)', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.command('EHLO x')
    await peer.expect(/^250 /)
    await peer.command(`AUTH PLAIN ${Buffer.from('bob\0alice\0secret').toString('base64')}`)
    expect(test.submission.logins).toMatchObject([{ authzid: 'bob', authcid: 'alice', secure: false }])
    expect(test.submission.logins[0]?.remoteAddress).toBe('127.0.0.1')
    expect(JSON.stringify(test.submission.logins)).not.toContain('secret')
  })

  it('never asks the bridge about an empty identity', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.command('EHLO x')
    await peer.expect(/^250 /)
    const answer = await peer.command(`AUTH PLAIN ${Buffer.from('alice\0\0secret').toString('base64')}`)
    expect(answer).toMatch(/^535 5\.7\.8/)
    expect(test.submission.logins).toEqual([])
  })

  it('fails closed when the bridge throws, and says so in the log without the password', async () => {
    await using test = await startTestServer()
    test.submission.loginOutcome = new Error('the key file is away')
    const peer = await test.peer()
    await peer.expect(/^220/)
    await peer.command('EHLO x')
    const answer = await peer.command(`AUTH PLAIN ${Buffer.from('\0alice\0secret').toString('base64')}`)
    expect(answer).toBe('454 4.7.0 Temporary authentication failure')
    expect(await peer.command('MAIL FROM:<alice@example.org>')).toMatch(/^530 5\.7\.0/)
    expect(test.log.lines.filter((line) => line.level === 'error')).toHaveLength(1)
    expect(JSON.stringify(test.log.lines)).not.toContain('secret')
  })

  it('answers 454 4.7.0 with the seconds to wait while the address is held back', async () => {
    await using test = await startTestServer()
    test.submission.loginOutcome = { kind: 'throttled', retryAfterMs: 1500 }
    const peer = await test.peer()
    await peer.expect(/^220/)
    await peer.command('EHLO x')
    const answer = await peer.command(`AUTH PLAIN ${Buffer.from('\0alice\0secret').toString('base64')}`)
    expect(answer).toBe('454 4.7.0 Too many failed logins, try again in 2 seconds')
  })

  it('is neither announced nor taken in clear when the listener is not on loopback', async () => {
    await using test = await startTestServer({
      listeners: [{ host: '0.0.0.0', port: 0, implicitTls: false }],
    })
    const peer = await test.peer()
    await peer.expect(/^220/)
    expect(await peer.command('EHLO x')).not.toContain('AUTH')
    const token = Buffer.from('\0alice\0secret').toString('base64')
    expect(await peer.command(`AUTH PLAIN ${token}`)).toMatch(/^538 5\.7\.11/)
    expect(await peer.command('MAIL FROM:<alice@example.org>')).toMatch(/^530/)
    expect(test.submission.logins).toEqual([])
    expect(await peer.command('STARTTLS')).toMatch(/^220/)
    await peer.startTls()
    expect(await peer.command('EHLO x')).toContain('AUTH PLAIN LOGIN')
    expect(await peer.command(`AUTH PLAIN ${token}`)).toMatch(/^235/)
    expect(test.submission.logins).toMatchObject([{ secure: true }])
  })

  it('must come in time', async () => {
    await using test = await startTestServer()
    const idle = await test.peer()
    await idle.expect(/^220/)
    const active = await test.peer()
    await active.logIn()
    test.clock.advance(3 * duration.minute)
    expect(await idle.reply()).toMatch(/^421 4\.7\.0/)
    await idle.closed()
    expect(await active.command('NOOP')).toMatch(/^250/)
  })
})

describe('the server', () => {
  it('speaks TLS from the first byte on an implicit TLS listener', async () => {
    await using test = await startTestServer({
      listeners: [{ host: '127.0.0.1', port: 0, implicitTls: true }],
    })
    const peer = await test.peer({ tls: true })
    await peer.expect(/^220/)
    const features = await peer.command('EHLO x')
    expect(features).toContain('AUTH PLAIN LOGIN')
    expect(features).not.toContain('STARTTLS')
  })

  it('refuses connections past its limit with 421 and takes new ones afterwards', async () => {
    await using test = await startTestServer({ maxConnections: 1 })
    const first = await test.peer()
    await first.expect(/^220/)
    const second = await test.peer()
    expect(await second.reply()).toMatch(/^421 /)
    await second.closed()
    first.send('QUIT\r\n')
    await first.closed()
    const log = test.log
    await expect
      .poll(async () => {
        const third = await test.peer()
        return await third.reply()
      })
      .toMatch(/^220/)
    expect(log.lines.filter((line) => line.level === 'error')).toEqual([])
  })

  it('refuses an endless command line and closes', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.expect(/^220/)
    peer.send('x'.repeat(20_000))
    expect(await peer.reply()).toBe('500 5.5.2 Command line too long')
    await peer.closed()
  })

  it('takes no more recipients than its limit, 452 4.5.3', async () => {
    await using test = await startTestServer({ limits: { maxRecipients: 2 } })
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    await peer.command('RCPT TO:<bob@example.net>')
    await peer.command('RCPT TO:<carol@example.net>')
    expect(await peer.command('RCPT TO:<dan@example.net>')).toMatch(/^452 4\.5\.3/)
  })

  it('ends a connection that guesses recipients', async () => {
    await using test = await startTestServer({ limits: { maxRefusedRecipients: 2 } })
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    await peer.command('RCPT TO:<x1@example.net>')
    await peer.command('RCPT TO:<x2@example.net>')
    expect(await peer.command('RCPT TO:<x3@example.net>')).toMatch(/^421 4\.7\.0/)
    await test.submission.ended(1)
    expect(test.submission.ends).toEqual(['abandon'])
  })

  it('answers a silent client 421 4.4.2 (RFC 5321 4.5.3.2.7)', async () => {
    await using test = await startTestServer({ limits: { idleTimeoutMs: 50 } })
    const peer = await test.peer()
    await peer.expect(/^220/)
    expect(await peer.reply()).toMatch(/^421 4\.4\.2/)
  })

  it('does not count the time it takes itself to answer', async () => {
    await using test = await startTestServer({ limits: { idleTimeoutMs: 60 } })
    const lookup = gate()
    test.submission.recipientGate = lookup.wait
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    peer.send('RCPT TO:<bob@example.net>\r\n')
    await new Promise((resolve) => setTimeout(resolve, 200))
    lookup.open()
    expect(await peer.reply()).toMatch(/^250 2\.1\.5/)
  })

  it('lets a message under way finish when it is closed, and ends idle connections with 421', async () => {
    const test = await startTestServer()
    const disk = gate()
    test.submission.chunkGate = () => disk.wait
    const idle = await test.peer()
    await idle.logIn()
    const busy = await test.peer()
    await untilData(busy)
    busy.send('x\r\n.\r\n')
    const closed = test.server.close()
    expect(await idle.reply()).toBe('421 4.3.2 Service shutting down')
    disk.open()
    expect(await busy.reply()).toMatch(/^250 2\.0\.0 queued/)
    busy.destroy()
    await closed
    expect(test.submission.ends).toEqual(['accept 250'])
  })

  it('says which address is in use, and leaves none of its own open', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const address = holder.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const starting = startSmtpServer({
      listeners: [
        { host: '127.0.0.1', port: 0, implicitTls: false },
        { host: '127.0.0.1', port, implicitTls: false },
      ],
      tls: await testTls(),
      submission: new ScriptedSubmission(),
      clock: new ManualClock(),
      log: silentLog,
      maxConnections: 5,
    })
    await expect(starting).rejects.toBeInstanceOf(SmtpListenError)
    await expect(starting).rejects.toMatchObject({ reason: 'in-use', port, host: '127.0.0.1' })
    await expect(starting).rejects.toThrow(`SMTP cannot listen on 127.0.0.1 port ${port}: the port is in use`)
    await new Promise((resolve) => holder.close(resolve))
  })

  it('survives octets that are no SMTP at all', async () => {
    await using test = await startTestServer()
    for (const octets of [
      '\x16\x03\x01\x02\x00\x01\x00',
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      '\0\0\0\0\r\n'.repeat(50),
    ]) {
      const peer = await test.peer()
      peer.send(Buffer.from(octets, 'latin1'))
      await peer.expect(/^220/)
      peer.destroy()
    }
    const peer = await test.peer()
    await peer.logIn()
    expect(await peer.command('NOOP')).toMatch(/^250/)
  })
})
