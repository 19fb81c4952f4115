import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, describe, expect, it } from 'vitest'
import { sendBySmtp } from '../../../src/cli/smtp-notifications.ts'
import { type NotifySettings, parseNotifyFile } from '../../../src/cm/server/notify-file.ts'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'

const MAIL = {
  from: 'cm@example.org',
  to: 'bob@example.net',
  subject: 'You have new Confidant Mail.',
  text: 'You have new Confidant Mail.\n',
  dateMs: Date.parse('2026-11-25T12:00:00Z'),
  messageId: '<0123@example.org>',
}

interface Received {
  readonly envelope: { readonly mailFrom: string; readonly rcptTo: readonly string[] }
  readonly secure: boolean
  readonly user: string | undefined
  readonly text: string
}

let server: SMTPServer | undefined
let received: Received[] = []

afterEach(async () => {
  const running = server
  server = undefined
  received = []
  if (running !== undefined) await new Promise<void>((resolve) => running.close(() => resolve()))
})

async function start(options: SMTPServerOptions = {}): Promise<NotifySettings> {
  const started = new SMTPServer({
    authOptional: true,
    // Its own certificate is known to everybody; tests that want TLS bring one.
    disabledCommands: options.cert === undefined ? ['STARTTLS'] : [],
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          envelope: {
            mailFrom: mailFrom === false ? '' : mailFrom.address,
            rcptTo: rcptTo.map(({ address }) => address),
          },
          secure: session.secure,
          user: session.user,
          text: Buffer.concat(chunks).toString('latin1'),
        })
        callback()
      })
    },
    ...options,
  })
  server = started
  started.on('error', () => undefined)
  started.listen(0, '127.0.0.1')
  await once(started.server, 'listening')
  const { port } = started.server.address() as AddressInfo
  const settings = parseNotifyFile(`fromaddr=cm@example.org
smtpserver=127.0.0.1
smtpport=${port}
${'b'.repeat(40)},email,bob@example.net`)
  if (settings === undefined) throw new Error('the settings name nobody')
  return settings
}

describe('sendBySmtp', () => {
  it('sends plain text with Date and Message-ID to one recipient, over TLS where it is offered', async () => {
    const { certificatePem, privateKeyPem } = await createCmServerCertificate({
      names: ['localhost'],
      nowMs: Date.now(),
    })
    await sendBySmtp(MAIL, await start({ cert: certificatePem, key: privateKeyPem }))
    expect(received).toHaveLength(1)
    const [{ envelope, secure, text }] = received as [Received]
    expect(envelope).toEqual({ mailFrom: 'cm@example.org', rcptTo: ['bob@example.net'] })
    expect(secure).toBe(true)
    expect(text).toContain('Subject: You have new Confidant Mail.\r\n')
    expect(text).toContain('Date: Wed, 25 Nov 2026 12:00:00 +0000\r\n')
    expect(text).toContain('Message-ID: <0123@example.org>\r\n')
    expect(text).toContain('Auto-Submitted: auto-generated\r\n')
    expect(text.endsWith('\r\n\r\nYou have new Confidant Mail.\r\n')).toBe(true)
  })

  it('logs in when the file says so', async () => {
    const settings = await start({
      onAuth: ({ username, password }, _session, callback) =>
        callback(null, password === 'right' ? { user: username ?? '' } : {}),
    })
    const login = parseNotifyFile(
      `fromaddr=cm@example.org\nsmtpuser=cm\nsmtppass=right\n${'b'.repeat(40)},email,bob@example.net`,
    )?.login
    await sendBySmtp(MAIL, { ...settings, login })
    expect(received[0]?.user).toBe('cm')
  })

  it('gives a password to nobody but this machine without verified TLS', async () => {
    const passwords: string[] = []
    const { certificatePem, privateKeyPem } = await createCmServerCertificate({
      names: ['localhost'],
      nowMs: Date.now(),
    })
    const settings = await start({
      cert: certificatePem,
      key: privateKeyPem,
      onAuth: ({ password }, _session, callback) => {
        passwords.push(password ?? '')
        callback(null, { user: 'cm' })
      },
    })
    const login = parseNotifyFile(
      `fromaddr=cm@example.org\nsmtpuser=cm\nsmtppass=right\n${'b'.repeat(40)},email,bob@example.net`,
    )?.login
    // The same address by another name, as a server elsewhere would have.
    await expect(sendBySmtp(MAIL, { ...settings, host: '::ffff:127.0.0.1', login })).rejects.toThrow(
      'mail server',
    )
    expect(passwords).toEqual([])
  })

  it('fails with a code and no address when the server refuses', async () => {
    const settings = await start({
      onRcptTo: (_address, _session, callback) =>
        callback(Object.assign(new Error('bob@example.net is unknown'), { responseCode: 550 })),
    })
    const error = await sendBySmtp(MAIL, settings).catch((reason: Error) => reason)
    expect(String(error)).toBe('NotificationError: the mail server answered 550')
    expect(error).not.toHaveProperty('cause')
  })

  it('fails when nobody listens', async () => {
    const settings = await start()
    const running = server
    server = undefined
    await new Promise<void>((resolve) => running?.close(() => resolve()))
    await expect(sendBySmtp(MAIL, settings)).rejects.toThrow('the mail server cannot be used: ')
  })
})
