import { createTransport } from 'nodemailer'
import { describe, expect, it } from 'vitest'
import { ScriptedSubmission } from '../support/scripted-submission.ts'
import { startTestServer, testTls } from '../support/smtp-test-server.ts'

const auth = { user: 'alice@example.org', pass: 'secret' }

describe('nodemailer as the mail program', () => {
  it('submits by STARTTLS and AUTH, checking our certificate by its authority', async () => {
    await using test = await startTestServer()
    const transport = createTransport({
      host: 'localhost',
      port: test.port,
      requireTLS: true,
      auth,
      tls: { ca: (await testTls()).ca, servername: 'localhost' },
    })
    const sent = await transport.sendMail({
      from: auth.user,
      to: 'bob@example.net',
      bcc: 'carol@example.net',
      subject: 'Grüße',
      text: '.dots\n..and lines\n',
      dsn: { id: 'q1', return: 'headers', notify: ['success'], recipient: 'bob@example.net' },
    })
    expect(sent.response).toBe('250 2.0.0 queued as 1')
    const [message] = test.submission.messages
    expect(message?.recipients.map((recipient) => recipient.address)).toEqual([
      'bob@example.net',
      'carol@example.net',
    ])
    expect(message?.recipients[0]?.notify).toEqual(['success'])
    expect(message?.mail).toMatchObject({ envelopeId: 'q1', returnContent: 'headers' })
    expect(message?.content.toString()).toContain('\r\n.dots\r\n..and lines\r\n')
    expect(test.submission.logins[0]?.secure).toBe(true)
  })

  it('submits over implicit TLS', async () => {
    await using test = await startTestServer({
      listeners: [{ host: '127.0.0.1', port: 0, implicitTls: true }],
    })
    const tls = { ca: (await testTls()).ca, servername: 'localhost' }
    const transport = createTransport({ host: '127.0.0.1', port: test.port, secure: true, auth, tls })
    const sent = await transport.sendMail({ from: auth.user, to: 'bob@example.net', text: 'x' })
    expect(sent.response).toMatch(/^250 2\.0\.0/)
  })

  it('sends a series on one pooled connection, each its own transaction (case S21)', async () => {
    await using test = await startTestServer()
    const transport = createTransport({
      host: '127.0.0.1',
      port: test.port,
      pool: true,
      auth,
      ignoreTLS: true,
    })
    const numbers = Array.from({ length: 16 }, (_, index) => index)
    const results = await Promise.all(
      numbers.map((number) =>
        transport.sendMail({
          from: auth.user,
          to: 'bob@example.net',
          messageId: `<s21-${number}@alice.example.org>`,
          text: `patch ${number}`,
        }),
      ),
    )
    transport.close()
    expect(new Set(results.map((result) => result.response)).size).toBe(16)
    expect(test.submission.messages).toHaveLength(16)
  })

  it('sees the reason of each refusal', async () => {
    await using test = await startTestServer({ scripted: new ScriptedSubmission({ maxMessageBytes: 2000 }) })
    const transport = createTransport({ host: '127.0.0.1', port: test.port, auth, ignoreTLS: true })
    await expect(
      transport.sendMail({ from: auth.user, to: 'nobody@example.com', text: 'x' }),
    ).rejects.toThrow('550 5.1.1 No key is announced for nobody@example.com')
    await expect(
      transport.sendMail({ from: auth.user, to: 'bob@example.net', text: 'word '.repeat(1000) }),
    ).rejects.toThrow('552 5.3.4')
    const wrong = createTransport({
      host: '127.0.0.1',
      port: test.port,
      auth: { ...auth, pass: 'wrong' },
      ignoreTLS: true,
    })
    await expect(wrong.sendMail({ from: auth.user, to: 'bob@example.net', text: 'x' })).rejects.toThrow(
      '535 5.7.8',
    )
  })
})
