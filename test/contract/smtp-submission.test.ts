import { describe, expect, it } from 'vitest'
import { ScriptedSubmission } from '../support/scripted-submission.ts'
import { gate, untilData } from '../support/smtp-steps.ts'
import { startTestServer } from '../support/smtp-test-server.ts'

describe('a transaction', () => {
  it.each(['RSET', 'EHLO again', 'HELO again'])('is abandoned once by %s', async (command) => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    await peer.command('RCPT TO:<bob@example.net>')
    await peer.command(command)
    await peer.command(command)
    await peer.command('QUIT')
    await peer.closed()
    expect(test.submission.ends).toEqual(['abandon'])
  })

  it('is abandoned once when the connection is lost between commands', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    peer.destroy()
    await test.submission.ended(1)
    expect(test.submission.ends).toEqual(['abandon'])
  })

  it('is abandoned after the recipient that was being looked up when the connection was lost', async () => {
    await using test = await startTestServer()
    const lookup = gate()
    test.submission.recipientGate = lookup.wait
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org>')
    peer.send('RCPT TO:<bob@example.net>\r\n')
    const closed = new Promise((resolve) => peer.socket.once('close', resolve))
    peer.socket.end()
    await closed
    expect(test.submission.ends).toEqual([])
    lookup.open()
    await test.submission.ended(1)
    expect(test.submission.ends).toEqual(['abandon'])
  })

  it('keeps nothing when the connection is lost before the final dot', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await untilData(peer)
    peer.send('From: alice@example.org\r\n\r\nhalf a mess')
    peer.socket.end()
    await test.submission.ended(1)
    expect(test.submission.ends).toEqual(['accept ConnectionLostError'])
    expect(test.submission.messages).toEqual([])
    expect(test.log.lines.filter((line) => line.level === 'error')).toEqual([])
  })

  it('does not take a command that lost its end with the connection', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.logIn()
    peer.send('MAIL FROM:<alice@example.org>')
    const closed = new Promise((resolve) => peer.socket.once('close', resolve))
    peer.socket.end()
    await closed
    expect(peer.seen.at(-1)).toMatch(/^235/)
    expect(test.submission.ends).toEqual([])
  })

  it('gives the port what MAIL and RCPT said', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await peer.logIn()
    await peer.command('MAIL FROM:<alice@example.org> SIZE=77 RET=HDRS ENVID=q+2B1')
    await peer.command('RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;B+2Bb@example.net')
    await peer.command('DATA')
    await peer.command('x\r\n.')
    expect(test.submission.messages).toEqual([
      {
        mail: {
          address: 'alice@example.org',
          declaredBytes: 77,
          envelopeId: 'q+1',
          returnContent: 'headers',
          hold: null,
        },
        recipients: [
          {
            address: 'bob@example.net',
            notify: ['success', 'failure'],
            originalRecipient: 'rfc822;B+b@example.net',
          },
        ],
        content: Buffer.from('x\r\n'),
      },
    ])
  })
})

describe('content', () => {
  it.each([
    ['bare LF dot LF', 'a\n.\nb\r\n'],
    ['LF dot CRLF', 'a\n.\r\nb\r\n'],
    ['CR dot CRLF', 'a\r.\r\nb\r\n'],
    ['CRLF dot LF', 'a\r\n.\nb\r\n'],
    ['CRLF dot CR', 'a\r\n.\rb\r\n'],
    ['CRCRLF dot', 'a\r\r\n.\r\r\nb\r\n'],
    ['CRLF NUL dot CRLF', 'a\r\n\x01.\r\nb\r\n'],
  ])('is not ended by %s (SMTP smuggling)', async (_what, content) => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await untilData(peer)
    peer.send(`${content}MAIL FROM:<smuggled@example.com>\r\n.\r\n`)
    expect(await peer.reply()).toBe('250 2.0.0 queued as 1')
    expect(await peer.command('NOOP')).toMatch(/^250/)
    expect(test.submission.messages).toHaveLength(1)
    expect(test.submission.messages[0]?.content.toString()).toContain('MAIL FROM:<smuggled@example.com>')
  })

  it('is the same however it is cut into packets', async () => {
    const octets = Buffer.from('From: a\r\n\r\n..one\r\n.x\r\n..\r\n\r\n.\r\n')
    const expected = 'From: a\r\n\r\n.one\r\n.x\r\n.\r\n\r\n'
    await using test = await startTestServer()
    for (let cut = 1; cut < octets.length; cut += 1) {
      const peer = await test.peer()
      peer.socket.setNoDelay(true)
      await untilData(peer)
      await new Promise<void>((resolve) => peer.socket.write(octets.subarray(0, cut), () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
      peer.send(octets.subarray(cut))
      expect(await peer.reply()).toMatch(/^250/)
      peer.destroy()
      expect(test.submission.messages.at(-1)?.content.toString()).toBe(expected)
    }
  })

  it('over the limit is read to its end, answered 552 5.3.4 and not kept; the connection goes on', async () => {
    await using test = await startTestServer({ scripted: new ScriptedSubmission({ maxMessageBytes: 1000 }) })
    const peer = await test.peer()
    await untilData(peer)
    peer.send(`${'x'.repeat(98)}\r\n`.repeat(15))
    peer.send('.\r\n')
    expect(await peer.reply()).toMatch(/^552 5\.3\.4 /)
    expect(test.submission.ends).toEqual(['accept MessageTooBigError'])
    expect(test.submission.messages).toEqual([])
    expect(await peer.command('MAIL FROM:<alice@example.org>')).toMatch(/^250/)
  })

  it('of exactly the limit is taken', async () => {
    await using test = await startTestServer({ scripted: new ScriptedSubmission({ maxMessageBytes: 1000 }) })
    const peer = await test.peer()
    await untilData(peer)
    peer.send(`${`${'x'.repeat(98)}\r\n`.repeat(10)}.\r\n`)
    expect(await peer.reply()).toMatch(/^250 2\.0\.0 queued/)
    expect(test.submission.messages[0]?.content.length).toBe(1000)
  })

  it('far over the limit ends the connection', async () => {
    await using test = await startTestServer({ scripted: new ScriptedSubmission({ maxMessageBytes: 1000 }) })
    const peer = await test.peer()
    await untilData(peer)
    peer.send(`${'x'.repeat(98)}\r\n`.repeat(1000))
    await peer.closed()
    expect(test.submission.messages).toEqual([])
  })

  it('waits for a reader that is slow, and the sender with it', async () => {
    await using test = await startTestServer({
      scripted: new ScriptedSubmission({ maxMessageBytes: 256 * 1024 * 1024 }),
    })
    const disk = gate()
    test.submission.chunkGate = () => disk.wait
    const peer = await test.peer()
    await untilData(peer)
    const block = Buffer.from(`${'y'.repeat(1022)}\r\n`.repeat(1024))
    let sent = 0
    while (sent < 64 && peer.socket.write(block)) sent += 1
    // More than the kernel's buffers hold is still on this side.
    expect(peer.socket.writableLength).toBeGreaterThan(0)
    disk.open()
    peer.send('.\r\n')
    expect(await peer.reply()).toMatch(/^250/)
  })

  it('with bare CR, bare LF and NUL reaches the port untouched (case M29)', async () => {
    await using test = await startTestServer()
    const peer = await test.peer()
    await untilData(peer)
    peer.send('Subject: a\rX-Evil: yes\r\n\r\none\rtwo\nthree\0end\r\n.\r\n')
    expect(await peer.reply()).toBe('554 5.6.0 The message holds NUL')
    expect(test.submission.ends).toEqual(['accept 554'])
  })
})
