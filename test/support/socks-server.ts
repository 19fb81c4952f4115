import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What one client said, octet by octet and read. */
export interface SocksTalk {
  /** Version, number of methods, methods. */
  readonly greeting: Buffer
  /** RFC 1929, when the proxy asked for it. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined
  /** Version, command, reserved, address type, address, port. */
  readonly request: Buffer
}

export interface SocksServer {
  readonly port: number
  /** Everybody who got as far as asking for a connection. */
  readonly talks: readonly SocksTalk[]
  close(): Promise<void>
}

export interface SocksServerOptions {
  /** Method it chooses: 0 none, 2 user and password, 255 none of those offered; as octets for a proxy that is no proxy. */
  readonly method?: 0 | 2 | 255 | Buffer
  /** Its word on the credentials; 0 is yes. */
  readonly authStatus?: number
  /** The whole reply to the request; undefined: it never answers. */
  readonly reply?: Buffer | undefined
  /** Where accepted connections go: a port here whatever was asked for, or the IPv4 address that was asked for. */
  readonly targetPort?: number | 'asked'
  /** The reply goes out together with the first octets of the target. */
  readonly isLate?: boolean
}

/** Success, with an IPv4 address in which CR LF stands. */
export const SOCKS_OK = Buffer.from('050000010d0a0d0a1f91', 'hex')

/** A small SOCKS5 server (RFC 1928, RFC 1929) that does what a test wants. */
export async function startSocksServer(options: SocksServerOptions): Promise<SocksServer> {
  const talks: SocksTalk[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    serve(socket, options, talks).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    talks,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function serve(socket: Socket, options: SocksServerOptions, talks: SocksTalk[]): Promise<void> {
  const { method = 0, authStatus = 0, isLate = false, targetPort } = options
  const reply = 'reply' in options ? options.reply : SOCKS_OK
  const read = octetsOf(socket)
  const head = await read(2)
  const greeting = Buffer.concat([head, await read(head[1] ?? 0)])
  socket.write(typeof method === 'number' ? Buffer.from([5, method]) : method)
  const credentials = method === 2 ? await readCredentials(read) : undefined
  if (credentials !== undefined) socket.write(Buffer.from([1, authStatus]))
  const request = await readRequest(read)
  talks.push({ greeting, credentials, request })
  if (reply === undefined) return
  if (!isLate) socket.write(reply)
  if (targetPort === undefined) return
  const target = connect(
    targetPort === 'asked'
      ? { host: request.subarray(4, 8).join('.'), port: request.readUInt16BE(8) }
      : { host: '127.0.0.1', port: targetPort },
  )
  target.on('error', () => socket.destroy())
  socket.on('close', () => target.destroy())
  if (isLate) socket.write(Buffer.concat([reply, ...((await once(target, 'data')) as Buffer[])]))
  target.pipe(socket)
  socket.pipe(target)
}

async function readCredentials(read: (bytes: number) => Promise<Buffer>) {
  const user = await read((await read(2))[1] ?? 0)
  const password = await read((await read(1))[0] ?? 0)
  return { user: user.toString(), password: password.toString() }
}

async function readRequest(read: (bytes: number) => Promise<Buffer>): Promise<Buffer> {
  const head = await read(5)
  const addressBytes = head[3] === 1 ? 3 : head[3] === 4 ? 15 : (head[4] ?? 0)
  return Buffer.concat([head, await read(addressBytes + 2)])
}

function octetsOf(socket: Socket): (bytes: number) => Promise<Buffer> {
  return async (bytes) => {
    if (bytes === 0) return Buffer.alloc(0)
    for (;;) {
      const chunk = socket.read(bytes) as Buffer | null
      if (chunk !== null) return chunk
      if (socket.readableEnded || socket.destroyed) throw new Error('the client hung up')
      await Promise.race([once(socket, 'readable'), once(socket, 'end')])
    }
  }
}
