import { once } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** A client that does nothing but send and count replies, so that the server is what is measured. */
export class BenchConnection {
  readonly #socket: Socket
  #buffer: Buffer = Buffer.alloc(0)
  #wake: () => void = () => undefined
  #isOver = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isOver = true
      this.#wake()
    })
  }

  /** Connects and turns TLS on, as every client does. */
  static async open(port: number): Promise<BenchConnection> {
    const plain = connectSocket({ host: '127.0.0.1', port, noDelay: true })
    await once(plain, 'connect')
    await once(plain, 'data')
    plain.write('STARTTLS\r\n')
    await once(plain, 'data')
    plain.removeAllListeners()
    const secured = connectTls({ socket: plain, rejectUnauthorized: false })
    await once(secured, 'secureConnect')
    const connection = new BenchConnection(secured)
    await connection.line()
    return connection
  }

  /** Resolves when the socket has room again. */
  async send(bytes: Uint8Array | string): Promise<void> {
    if (!this.#socket.write(bytes)) await once(this.#socket, 'drain')
  }

  /** The next line without its end. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf('\r\n')
      if (end >= 0) return this.#take(end + 2).toString('latin1', 0, end)
      await this.#more()
    }
  }

  /** Sends a line and gives the first line of the answer. */
  async ask(line: string): Promise<string> {
    await this.send(`${line}\r\n`)
    return this.line()
  }

  /** Reads the answer to a GET to its EndBlock and drops it. */
  async skipBlock(command: string): Promise<void> {
    await this.send(`${command}\r\n`)
    while ((await this.line()) !== 'EndBlock');
  }

  /** Reads the answer to a GET to the end of its payload and drops it. */
  async skipPayload(command: string): Promise<void> {
    await this.send(`${command}\r\n`)
    let left = 0
    while (left === 0) left = Number(/^Data: (\d+)$/.exec(await this.line())?.[1] ?? 0)
    while (left > 0) {
      if (this.#buffer.length === 0) await this.#more()
      left -= this.#take(Math.min(left, this.#buffer.length)).length
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(octets: number): Buffer {
    const taken = this.#buffer.subarray(0, octets)
    this.#buffer = this.#buffer.subarray(octets)
    return taken
  }

  async #more(): Promise<void> {
    if (this.#isOver) throw new Error('the CM server has hung up')
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
}
