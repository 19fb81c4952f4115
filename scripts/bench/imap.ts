import type { AccountMail } from '../../src/imap/port.ts'
import { serveImap } from '../../src/imap/server.ts'
import { createMemoryChannelPair, type MemoryChannel } from '../../src/net/memory-channel.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { deliverMessages, withAccountMail } from './mailbox.ts'
import { type Bench, progress, type Row, timed } from './table.ts'

const MESSAGES = 5000
/** What mail programs ask for when they open a mailbox; the first is what the others are set beside. */
const FETCHES = [
  { what: 'envelopes', items: '(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)' },
  {
    what: 'header fields',
    items: '(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID References)])',
  },
  { what: 'whole headers', items: '(UID BODY.PEEK[HEADER])' },
  { what: 'flags', items: '(UID FLAGS)' },
] as const

/** FETCH of a large mailbox from a real store, without the cost of sockets and TLS. */
export const imapBench: Bench = {
  name: 'imap',
  run: () =>
    withAccountMail(async (mail) => {
      progress(`IMAP, putting ${MESSAGES} messages into the mailbox`)
      await deliverMessages(mail, MESSAGES, 100)
      const client = await Client.logIn(mail)
      const rows: Row[] = []
      const selected = await timed(() => client.command('SELECT INBOX'))
      rows.push({ what: `SELECT of ${MESSAGES}`, value: selected.elapsedMs, unit: 'ms' })
      let firstMs: number | undefined
      for (const { what, items } of FETCHES) {
        progress(`IMAP, FETCH of ${what}`)
        const { elapsedMs, result } = await timed(() => client.command(`FETCH 1:* ${items}`))
        firstMs ??= elapsedMs
        rows.push({
          what: `FETCH 1:* ${what}, ${(result / 1024 / 1024).toFixed(1)} MiB`,
          value: (MESSAGES * 1000) / elapsedMs,
          unit: 'messages/s',
          ratio: { of: elapsedMs / firstMs, to: 'the time of envelopes' },
        })
      }
      await client.command('LOGOUT')
      await client.served
      return rows
    }),
}

/** Octets at the end of what came in which the tagged reply is looked for; it is one short line. */
const TAIL_BYTES = 512

class Client {
  readonly served: Promise<void>
  readonly #channel: MemoryChannel
  readonly #chunks: AsyncIterator<Uint8Array>
  #tags = 0

  private constructor(channel: MemoryChannel, served: Promise<void>) {
    this.#channel = channel
    this.served = served
    this.#chunks = channel[Symbol.asyncIterator]()
  }

  static async logIn(account: AccountMail): Promise<Client> {
    const [channel, server] = createMemoryChannelPair({ bufferBytes: 256 * 1024 })
    const served = serveImap(server, {
      authenticator: { login: async () => ({ kind: 'ok', account }) },
      clock: systemClock,
      log: {
        debug: () => undefined,
        error: ({ cause }, message) => progress(`${message}: ${String(cause)}`),
      },
      isLoopback: true,
      greetingHost: 'localhost',
    })
    const client = new Client(channel, served)
    await client.command('LOGIN a b')
    return client
  }

  /** Sends a command and reads to its tagged OK; returns the octets that came. */
  async command(text: string): Promise<number> {
    this.#tags += 1
    const tag = `t${this.#tags}`
    await this.#channel.write(Buffer.from(`${tag} ${text}\r\n`))
    let received = 0
    let tail = ''
    for (;;) {
      const { value, done } = await this.#chunks.next()
      if (done === true) throw new Error(`the connection ended in ${text}`)
      received += value.length
      tail = (tail + Buffer.from(value.subarray(-TAIL_BYTES)).toString('latin1')).slice(-TAIL_BYTES)
      const reply = new RegExp(`(?:^|\\r\\n)${tag} (\\S+) [^\\r\\n]*\\r\\n$`).exec(tail)
      if (reply === null) continue
      if (reply[1] !== 'OK') throw new Error(`${text}: ${reply[0].trim()}`)
      return received
    }
  }
}
