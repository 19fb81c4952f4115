import { createConnection, createServer, type Socket } from 'node:net'

/** Unix-domain sockets: the control socket of the bridge and the private Redis behind it. */

/** Octets: a path this long still fits every system's `sun_path` (104 on macOS, 108 on Linux; case O07). */
export const MAX_SOCKET_PATH_BYTES = 100

/** Connections to one unix socket at a time; each is a local command or a script of the owner. */
const MAX_CONNECTIONS = 16

/** A stream of octets with one end of a unix socket; `lines` and `write` are all that is needed here. */
export interface UnixConnection {
  /** Lines without their LF, at most `maxLineBytes` octets each; ends with the connection, throws on a longer line. */
  lines(maxLineBytes: number): AsyncIterable<string>
  /** Resolves when the octets are handed to the system. */
  write(text: string): Promise<void>
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>
  destroy(): void
}

export interface UnixListener {
  /** Takes no more connections, drops the open ones and removes the socket file. */
  close(): Promise<void>
}

export interface UnixSocketOptions {
  /** Milliseconds a connection may be silent before it is dropped. */
  readonly idleMs: number
}

/**
 * Listens on the path. The socket file is only as private as its directory: callers give a directory with mode 0700.
 * `serve` owns the connection; it is destroyed when `serve` ends. Rejects with the system's error (`EADDRINUSE`…).
 */
export async function listenUnix(
  path: string,
  options: UnixSocketOptions,
  serve: (connection: UnixConnection) => Promise<void>,
): Promise<UnixListener> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    const connection = connectionOf(socket, options)
    serve(connection).then(
      () => socket.end(),
      () => socket.destroy(),
    )
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}

/** Connects to the path, or resolves with undefined when nobody listens there. */
export function connectUnix(path: string, options: UnixSocketOptions): Promise<UnixConnection | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.off('error', fail)
      resolve(connectionOf(socket, options))
    })
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(error)
    }
    socket.once('error', fail)
  })
}

function connectionOf(socket: Socket, { idleMs }: UnixSocketOptions): UnixConnection {
  socket.setTimeout(idleMs, () => socket.destroy())
  // A reset peer is an ordinary end of the connection; 'close' follows.
  socket.on('error', () => undefined)
  return {
    lines: (maxLineBytes) => readLines(socket, maxLineBytes),
    write: (text) =>
      new Promise((resolve, reject) => {
        socket.write(text, (error) => (error ? reject(error) : resolve()))
      }),
    closed: new Promise((resolve) => {
      socket.once('close', () => resolve())
    }),
    destroy: () => socket.destroy(),
  }
}

async function* readLines(socket: Socket, maxLineBytes: number): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      if (end > maxLineBytes) throw new Error(`a line of more than ${maxLineBytes} octets`)
      const line = rest.subarray(0, end).toString('utf8')
      rest = rest.subarray(end + 1)
      yield line.endsWith('\r') ? line.slice(0, -1) : line
    }
    if (rest.length > maxLineBytes) throw new Error(`a line of more than ${maxLineBytes} octets`)
  }
}
