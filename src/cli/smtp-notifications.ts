import { createTransport } from 'nodemailer'
import { duration } from '../base/clock.ts'
import type { SendNotification } from '../cm/server/notifier.ts'
import type { NotifySettings } from '../cm/server/notify-file.ts'

/** Milliseconds for the connection and for each reply: the next notification waits behind this one. */
const CONNECTION_TIMEOUT_MS = 15 * duration.second
const REPLY_TIMEOUT_MS = 30 * duration.second
/** The port on which TLS comes first (RFC 8314 3.3). */
const IMPLICIT_TLS_PORT = 465

/** The mail server did not take a notification; the message has no address in it, as servers' replies have. */
class NotificationError extends Error {
  override readonly name = 'NotificationError'
}

/** Sends by SMTP, a connection each. A password goes over verified TLS only, or to this machine. */
export const sendBySmtp: SendNotification = async (mail, settings) => {
  const transport = createTransport(transportOptions(settings))
  try {
    await transport.sendMail({
      from: mail.from,
      to: mail.to,
      subject: mail.subject,
      text: mail.text,
      date: new Date(mail.dateMs),
      messageId: mail.messageId,
      // No vacation program answers it (RFC 3834 5).
      headers: { 'Auto-Submitted': 'auto-generated' },
    })
  } catch (error) {
    throw new NotificationError(whyNot(error))
  } finally {
    transport.close()
  }
}

function transportOptions({ host, port, login }: NotifySettings) {
  const isHere = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  return {
    host,
    port,
    secure: port === IMPLICIT_TLS_PORT,
    requireTLS: login !== undefined && !isHere,
    // Without a password TLS is better than nothing, whoever made the certificate.
    tls: { rejectUnauthorized: login !== undefined && !isHere },
    ...(login === undefined ? {} : { auth: { user: login.user, pass: login.password.reveal() } }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    greetingTimeout: CONNECTION_TIMEOUT_MS,
    socketTimeout: REPLY_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function whyNot(error: unknown): string {
  const { code, responseCode } = error as { readonly code?: unknown; readonly responseCode?: unknown }
  if (typeof responseCode === 'number') return `the mail server answered ${responseCode}`
  return `the mail server cannot be used: ${typeof code === 'string' ? code : 'unknown'}`
}
