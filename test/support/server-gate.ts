import { connect, createServer, type Server, type Socket } from 'node:net'

/** What a server behind the gate seems to do. */
type GateMode = 'pass' | 'refuse' | 'silent' | 'garbage'

/** Octets of nonsense a garbage connection says before it goes on listening. */
const GARBAGE = Buffer.alloc(64 * 1024, 0xa5)

/** A door before a server, with a port of its own that stays: tests make the server vanish, hang or talk nonsense. */
export class ServerGate {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targetPort: number
  #mode: GateMode = 'pass'
  /** Connections that came in each mode since it was set. */
  connections = 0

  private constructor(server: Server, targetPort: number) {
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
    this.#server = server
    this.#targetPort = targetPort
    server.on('connection', (socket) => this.#open(socket))
  }

  static async start(targetPort: number): Promise<ServerGate> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new ServerGate(server, targetPort)
  }

  /** Also ends what is connected, so that nothing of the mode before goes on. */
  set(mode: GateMode): void {
    this.#mode = mode
    this.connections = 0
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.set('refuse')
    this.#server.close()
  }

  #open(socket: Socket): void {
    this.connections += 1
    this.#keep(socket)
    if (this.#mode === 'refuse') socket.destroy()
    if (this.#mode === 'garbage') socket.write(GARBAGE)
    if (this.#mode !== 'pass') return
    const onward = connect({ host: '127.0.0.1', port: this.#targetPort })
    this.#keep(onward)
    socket.pipe(onward)
    onward.pipe(socket)
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
  }
}
