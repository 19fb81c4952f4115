import type { AccountMail, Authenticator } from '../../src/imap/port.ts'
import { serveImap } from '../../src/imap/server.ts'
import type { ImapSessionOptions } from '../../src/imap/session.ts'
import { createMemoryChannelPair, type MemoryChannel } from '../../src/net/memory-channel.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { MemoryAccountMail } from '../../src/store/memory-account-mail.ts'
import { parseServerOutput } from './imap-response-grammar.ts'
import { createTestClock } from './store.ts'

/** The one login of these tests. */
export const USER = 'alice@example.org'
export const PASSWORD = 'correct horse'

export function createMemoryAccount(maxMessageBytes = 1024 * 1024): MemoryAccountMail {
  return new MemoryAccountMail({ accountName: USER, maxMessageBytes, clock: createTestClock() })
}

/** Knows USER and PASSWORD; an authzid must be empty or the user's own. */
export function createTestAuthenticator(account: AccountMail): Authenticator {
  return {
    async login({ authcid, authzid, password }) {
      const isRight =
        authcid === USER && password.reveal() === PASSWORD && (authzid === '' || authzid === USER)
      return isRight ? { kind: 'ok', account } : { kind: 'refused' }
    },
  }
}

/** Errors the server logged: a test that meets one it did not ask for fails. */
export interface LoggedError {
  readonly message: string
  readonly cause: unknown
}

export function sessionOptions(
  account: AccountMail,
  overrides: Partial<ImapSessionOptions> = {},
): ImapSessionOptions & { readonly errors: LoggedError[] } {
  const errors: LoggedError[] = []
  return {
    authenticator: createTestAuthenticator(account),
    clock: systemClock,
    log: { debug: () => undefined, error: ({ cause }, message) => errors.push({ message, cause }) },
    isLoopback: true,
    greetingHost: 'localhost',
    ...overrides,
    errors,
  }
}

/**
 * A client at a memory channel. Everything it ever received is checked against the response grammar when it leaves:
 * the part read under TLS as well, since the channel is the same.
 */
export class ImapPeer {
  readonly channel: MemoryChannel
  /** Settles when the server has let the connection go. */
  readonly served: Promise<void>
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #received: Uint8Array[] = []
  #text = ''
  #tags = 0

  constructor(channel: MemoryChannel, served: Promise<void>) {
    this.channel = channel
    this.served = served
    this.#chunks = channel[Symbol.asyncIterator]()
  }

  static connect(options: ImapSessionOptions): ImapPeer {
    const [client, server] = createMemoryChannelPair({ bufferBytes: 1024 * 1024 })
    return new ImapPeer(client, serveImap(server, options))
  }

  /** Connects and logs in. */
  static async loggedIn(options: ImapSessionOptions): Promise<ImapPeer> {
    const peer = ImapPeer.connect(options)
    await peer.readLine()
    await peer.command(`LOGIN "${USER}" "${PASSWORD}"`)
    return peer
  }

  /** Sends octets given as a byte string. */
  async send(byteString: string): Promise<void> {
    await this.channel.write(Buffer.from(byteString, 'latin1'))
  }

  /** The next line without CRLF, a byte string; undefined when the server has closed. */
  async readLine(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\r\n')
      if (end !== -1) {
        const line = this.#text.slice(0, end)
        this.#text = this.#text.slice(end + 2)
        return line
      }
      const chunk = await this.#chunks.next()
      if (chunk.done === true) {
        if (this.#text !== '') throw new Error(`unfinished line: ${this.#text}`)
        return undefined
      }
      this.#received.push(chunk.value)
      this.#text += Buffer.from(chunk.value).toString('latin1')
    }
  }

  /** Sends a command with a tag of ours and reads up to its tagged reply; gives all lines. */
  async command(text: string): Promise<readonly string[]> {
    this.#tags += 1
    const tag = `t${this.#tags}`
    await this.send(`${tag} ${text}\r\n`)
    return await this.linesUpTo((line) => line.startsWith(`${tag} `))
  }

  async linesUpTo(isLast: (line: string) => boolean): Promise<readonly string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.readLine()
      if (line === undefined) throw new Error(`closed after ${JSON.stringify(lines)}`)
      lines.push(line)
      if (isLast(line)) return lines
    }
  }

  /** APPEND with a literal of that byte string; gives the tagged reply. */
  async append(mailbox: string, message: string, rest = ''): Promise<string> {
    const lines = await this.command(`APPEND ${mailbox} ${rest}{${message.length}+}\r\n${message}`)
    return lines.at(-1) ?? ''
  }

  /** Everything received, checked; throws on an octet out of the grammar. */
  checkGrammar(): readonly string[] {
    return parseServerOutput(Buffer.concat(this.#received))
  }

  /** Logs out, and checks the grammar of all that was received; the lines before BYE that nobody had read. */
  async leave(): Promise<readonly string[]> {
    await this.send('leave LOGOUT\r\n')
    const lines = await this.readToEnd()
    return lines.filter((line) => line !== '* BYE Logging out' && line !== 'leave OK LOGOUT completed')
  }

  /** Reads to the end of the connection; the lines that came. */
  async readToEnd(): Promise<readonly string[]> {
    const lines: string[] = []
    for (let line = await this.readLine(); line !== undefined; line = await this.readLine()) lines.push(line)
    await this.served
    this.checkGrammar()
    return lines
  }
}
