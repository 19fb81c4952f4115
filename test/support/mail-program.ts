import { readFileSync } from 'node:fs'
import { type FetchMessageObject, ImapFlow } from 'imapflow'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { type Household, PATIENCE_MS, type Person } from './bridge-household.ts'

/** Two ordinary mail programs of a person of a household: nodemailer submits, ImapFlow reads. */

function plainPort(addresses: Household['ready']['smtp']): number {
  const address = addresses.find(({ host, implicitTls }) => host === '127.0.0.1' && !implicitTls)
  if (address === undefined) throw new Error('nothing listens on 127.0.0.1')
  return address.port
}

export function smtpPort(household: Household): number {
  return plainPort(household.ready.smtp)
}

/** A letter as the bytes a mail program makes once, for SMTP and for its Sent copy. */
export async function compose(letter: SendMailOptions): Promise<Buffer> {
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  const { message } = await composer.sendMail({ ...letter })
  return message as Buffer
}

interface SubmitRequest {
  readonly from: Person
  /** Envelope recipients, whatever the header says. */
  readonly to: readonly string[]
  readonly raw: Buffer
}

/** Submits by SMTP with STARTTLS and AUTH. Rejects with nodemailer's error (`responseCode`, `response`) when refused. */
export async function submit(household: Household, { from, to, raw }: SubmitRequest): Promise<string> {
  const transport = createTransport({
    host: '127.0.0.1',
    port: smtpPort(household),
    secure: false,
    requireTLS: true,
    auth: { user: from.address, pass: from.password },
    tls: { ca: readFileSync(household.ready.authorityFile), servername: 'localhost' },
  })
  try {
    const sent = await transport.sendMail({ envelope: { from: from.address, to: [...to] }, raw })
    return sent.response
  } finally {
    transport.close()
  }
}

/** Logs in by STARTTLS; log out with `logout`. Rejects when the login is refused. */
export async function openImap(household: Household, person: Person): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: plainPort(household.ready.imap),
    secure: false,
    doSTARTTLS: true,
    auth: { user: person.address, pass: person.password },
    tls: { ca: readFileSync(household.ready.authorityFile), servername: 'localhost' },
    logger: false,
  })
  // A connection that is lost rejects what waits for it; the event of its own is for those who wait for nothing.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** What a session of a test does, logged out at its end. */
export async function withImap<Result>(
  household: Household,
  person: Person,
  use: (client: ImapFlow) => Promise<Result>,
): Promise<Result> {
  const client = await openImap(household, person)
  try {
    return await use(client)
  } finally {
    await client.logout()
  }
}

export interface MailboxMessage {
  readonly uid: number
  readonly subject: string
  readonly messageId: string
  readonly source: Buffer
  readonly flags: ReadonlySet<string>
  /** RFC822.SIZE */
  readonly size: number
}

/** All messages of a mailbox, which is left selected. */
export async function listMailbox(client: ImapFlow, mailbox: string): Promise<MailboxMessage[]> {
  const lock = await client.getMailboxLock(mailbox)
  try {
    return await fetchAll(client)
  } finally {
    lock.release()
  }
}

async function fetchAll(client: ImapFlow): Promise<MailboxMessage[]> {
  const found: FetchMessageObject[] = []
  const query = { uid: true, flags: true, envelope: true, source: true, size: true }
  // By UID: a message that another session removes meanwhile is no error then (RFC 9051 6.4.9).
  for await (const message of client.fetch('1:*', query, { uid: true })) found.push(message)
  return found.map(({ uid, envelope, source, flags, size }) => ({
    uid,
    subject: envelope?.subject ?? '',
    messageId: envelope?.messageId ?? '',
    source: source ?? Buffer.alloc(0),
    flags: flags ?? new Set(),
    size: size ?? 0,
  }))
}

const CHANGES = ['exists', 'expunge', 'flags'] as const

/** Waits with IDLE until the mailbox's messages satisfy, and returns them. */
export async function awaitMailbox(
  client: ImapFlow,
  mailbox: string,
  holds: (messages: readonly MailboxMessage[]) => boolean,
): Promise<MailboxMessage[]> {
  const lock = await client.getMailboxLock(mailbox)
  const deadline = AbortSignal.timeout(PATIENCE_MS)
  try {
    for (;;) {
      const changed = nextChange(client, deadline)
      const messages = await fetchAll(client)
      if (holds(messages)) {
        changed.cancel()
        return messages
      }
      // In IDLE the server says at once what arrives or changes.
      void client.idle().catch(() => undefined)
      if (!(await changed.happened)) {
        // Tells mail that did not come from a server that did not say so.
        await client.noop()
        const [pushed, asked] = [messages, await fetchAll(client)].map((all) =>
          all.map(({ subject, flags }) => `${subject} (${[...flags].join(' ')})`).join(', '),
        )
        throw new Error(
          `${mailbox} did not become as wanted in time; it has: ${pushed}; when asked: ${asked}`,
        )
      }
    }
  } finally {
    lock.release()
  }
}

/** Waits for the message with the subject, or whatever else identifies it. */
export async function awaitMessage(
  client: ImapFlow,
  mailbox: string,
  wanted: string | ((message: MailboxMessage) => boolean),
): Promise<MailboxMessage> {
  const isWanted = typeof wanted === 'string' ? ({ subject }: MailboxMessage) => subject === wanted : wanted
  const found = (await awaitMailbox(client, mailbox, (messages) => messages.some(isWanted))).find(isWanted)
  if (found === undefined) throw new Error('the message is gone again')
  return found
}

function nextChange(
  client: ImapFlow,
  deadline: AbortSignal,
): { readonly happened: Promise<boolean>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const onChange = (): void => resolve(true)
  const onLate = (): void => resolve(false)
  for (const event of CHANGES) client.on(event, onChange)
  deadline.addEventListener('abort', onLate)
  if (deadline.aborted) onLate()
  const happened = promise.finally(() => {
    for (const event of CHANGES) client.off(event, onChange)
    deadline.removeEventListener('abort', onLate)
  })
  return { happened, cancel: onLate }
}

/** Header and body of a message; the header with its last CRLF, without the empty line. */
export function splitMessage(source: Buffer): { readonly header: string; readonly body: Buffer } {
  const end = source.indexOf('\r\n\r\n')
  return { header: source.toString('latin1', 0, end + 2), body: source.subarray(end + 4) }
}

/** Values of the fields with this name, unfolded. */
export function fieldValues(source: Buffer, name: string): string[] {
  const lines = splitMessage(source)
    .header.replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const start = `${name.toLowerCase()}:`
  return lines
    .filter((line) => line.toLowerCase().startsWith(start))
    .map((line) => line.slice(start.length).trim())
}
