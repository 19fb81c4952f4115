import { readFileSync } from 'node:fs'
import { type FetchMessageObject, ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import type { ReadyEvent } from './program.ts'

/** A person of the demo: an address, a password, and two ordinary mail programs. */

export interface Person {
  readonly name: string
  readonly address: string
  readonly password: string
  readonly keyId: string
  readonly ready: ReadyEvent
}

/** Milliseconds: the longest a step of the demo waits for mail. */
const STEP_TIME_MS = 90_000

function plainPort(addresses: ReadyEvent['smtp']): number {
  const address = addresses.find(({ host, implicitTls }) => host === '127.0.0.1' && !implicitTls)
  if (address === undefined) throw new Error('the bridge does not listen on 127.0.0.1')
  return address.port
}

export interface Letter {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html?: string
  readonly inReplyTo?: string
  readonly attachments?: { readonly filename: string; readonly content: Buffer }[]
}

/** Submits by SMTP with STARTTLS and AUTH; returns the bytes that went out and the server's reply. */
export async function submit(
  person: Person,
  letter: Letter,
): Promise<{ readonly raw: Buffer; readonly response: string }> {
  const raw = await compose(letter)
  const transport = createTransport({
    host: '127.0.0.1',
    port: plainPort(person.ready.smtp),
    secure: false,
    requireTLS: true,
    auth: { user: person.address, pass: person.password },
    tls: { ca: readFileSync(person.ready.authorityFile), servername: 'localhost' },
  })
  try {
    const to = /<([^>]+)>$/.exec(letter.to)?.[1] ?? letter.to
    const sent = await transport.sendMail({ envelope: { from: person.address, to: [to] }, raw })
    return { raw, response: sent.response }
  } finally {
    transport.close()
  }
}

/** The letter as bytes, as a mail program makes them once for SMTP and for its Sent copy. */
async function compose(letter: Letter): Promise<Buffer> {
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  const { message } = await composer.sendMail(letter)
  return message as Buffer
}

export async function openImap(person: Person): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: plainPort(person.ready.imap),
    secure: false,
    doSTARTTLS: true,
    auth: { user: person.address, pass: person.password },
    tls: { ca: readFileSync(person.ready.authorityFile), servername: 'localhost' },
    logger: false,
  })
  await client.connect()
  return client
}

/** Saves the copy in Sent as Thunderbird does: its own APPEND, seen. */
export async function saveSentCopy(client: ImapFlow, raw: Buffer): Promise<void> {
  await client.append('Sent', raw, ['\\Seen'])
}

export interface Received {
  readonly uid: number
  readonly source: Buffer
  readonly flags: ReadonlySet<string>
}

/** What is asked of each message. */
const SHOWN = { uid: true, flags: true, envelope: true, source: true } as const

/** Waits with IDLE until a message satisfies; the mailbox must be open. */
export async function awaitMessage(
  client: ImapFlow,
  mailbox: string,
  isWanted: (message: FetchMessageObject) => boolean,
): Promise<Received> {
  const lock = await client.getMailboxLock(mailbox)
  const deadline = AbortSignal.timeout(STEP_TIME_MS)
  try {
    for (;;) {
      const changed = nextChange(client, deadline)
      for await (const message of client.fetch('1:*', SHOWN, { uid: true })) {
        if (!isWanted(message)) continue
        return {
          uid: message.uid,
          source: message.source ?? Buffer.alloc(0),
          flags: message.flags ?? new Set(),
        }
      }
      // While we wait the client is in IDLE, and the server says at once what arrives or changes.
      void client.idle().catch(() => undefined)
      await changed
    }
  } finally {
    lock.release()
  }
}

function nextChange(client: ImapFlow, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (end: () => void): void => {
      client.off('exists', onChange)
      client.off('flags', onChange)
      deadline.removeEventListener('abort', onLate)
      end()
    }
    const onChange = (): void => done(resolve)
    const onLate = (): void => done(() => reject(new Error('nothing arrived in time')))
    client.on('exists', onChange)
    client.on('flags', onChange)
    if (deadline.aborted) onLate()
    else deadline.addEventListener('abort', onLate)
  })
}

/** The header fields a reader of this network looks at, unfolded. */
export function shownHeaders(source: Buffer): string[] {
  const header = source.toString('latin1').split('\r\n\r\n')[0] ?? ''
  const unfolded = header.replace(/\r\n[ \t]+/g, ' ').split('\r\n')
  return unfolded.filter((line) =>
    /^(?:From|To|Subject|X-CM-[A-Za-z-]+|Authentication-Results|In-Reply-To):/i.test(line),
  )
}
