import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

/** A raw SMTP client for tests: sends octets, reads lines, waits for events and never for time. */
export class SmtpPeer {
  #socket: Socket | TLSSocket
  #buffer = ''
  #ended: boolean = false as boolean
  #wake: () => void = () => undefined
  readonly seen: string[] = []

  private constructor(socket: Socket | TLSSocket) {
    this.#socket = socket
    this.#listen()
  }

  static async connect(port: number, options: { readonly tls?: boolean } = {}): Promise<SmtpPeer> {
    const host = '127.0.0.1'
    const socket =
      options.tls === true ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port })
    await new Promise((resolve, reject) => {
      socket.once(options.tls === true ? 'secureConnect' : 'connect', resolve)
      socket.once('error', reject)
    })
    return new SmtpPeer(socket)
  }

  #listen(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      this.#buffer += chunk.toString('utf8')
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    this.#socket.on('end', end)
    this.#socket.on('close', end)
    this.#socket.on('error', end)
  }

  get socket(): Socket {
    return this.#socket
  }

  send(octets: string | Uint8Array): void {
    this.#socket.write(typeof octets === 'string' ? Buffer.from(octets, 'utf8') : octets)
  }

  /** The next line without CRLF; undefined when the server closed. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#buffer.indexOf('\r\n')
      if (end >= 0) {
        const line = this.#buffer.slice(0, end)
        this.#buffer = this.#buffer.slice(end + 2)
        this.seen.push(line)
        return line
      }
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Reads up to a line that matches; throws when the connection ends before. */
  async expect(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = await this.line()
      if (line === undefined)
        throw new Error(`connection closed before ${pattern}; seen ${this.seen.slice(-4).join(' | ')}`)
      if (pattern.test(line)) return line
    }
  }

  /** The whole next reply, its lines joined by LF. */
  async reply(): Promise<string | undefined> {
    const lines: string[] = []
    for (;;) {
      const line = await this.line()
      if (line === undefined) return lines.length === 0 ? undefined : lines.join('\n')
      lines.push(line)
      if (line[3] !== '-') return lines.join('\n')
    }
  }

  /** Sends one command line and gives its reply. */
  async command(line: string): Promise<string | undefined> {
    this.send(`${line}\r\n`)
    return this.reply()
  }

  async logIn(authcid = 'alice@example.org', password = 'secret'): Promise<void> {
    await this.expect(/^220 /)
    await this.command('EHLO client.example')
    const token = Buffer.from(`\0${authcid}\0${password}`).toString('base64')
    const answer = await this.command(`AUTH PLAIN ${token}`)
    if (answer?.startsWith('235') !== true) throw new Error(`login failed: ${answer}`)
  }

  /** TLS on top of the connection, after STARTTLS was answered. */
  async startTls(): Promise<void> {
    this.#socket.removeAllListeners('data')
    const secure = connectTls({ socket: this.#socket, rejectUnauthorized: false })
    await new Promise((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
      secure.once('close', () => reject(new Error('closed during the handshake')))
    })
    this.#socket = secure
    this.#listen()
  }

  /** Resolves when the server has closed. */
  async closed(): Promise<void> {
    while ((await this.line()) !== undefined);
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
