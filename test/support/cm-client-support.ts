import type { Clock } from '../../src/base/clock.ts'
import type { CmClientEnvironment } from '../../src/cm/client/connect-cm-server.ts'
import { CmFramer } from '../../src/cm/framer.ts'
import type { CertificateMemory, RememberedCertificate } from '../../src/cm/port.ts'
import type { ByteChannel, ServerTlsContext } from '../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../src/net/certificates.ts'
import { type Listener, listen } from '../../src/net/listen.ts'
import { createServerTls } from '../../src/net/server-tls.ts'

/** The machine's time, or a time fixed by the test with timers that run for real. */
export function realClock(now: () => number = Date.now): Clock {
  return {
    now,
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs)
      timer.unref()
      return () => clearTimeout(timer)
    },
  }
}

/** Remembered certificates in memory, with a log of what was reported. */
export class MemoryCertificates implements CertificateMemory {
  readonly records = new Map<string, RememberedCertificate>()
  readonly reports: { readonly kind: 'changed' | 'replaced'; readonly hostPort: string }[] = []

  async recall(hostPort: string): Promise<RememberedCertificate | undefined> {
    return this.records.get(hostPort)
  }

  async remember(hostPort: string, certificate: RememberedCertificate): Promise<void> {
    if (!this.records.has(hostPort)) this.records.set(hostPort, certificate)
  }

  async reportChange(hostPort: string): Promise<void> {
    this.reports.push({ kind: 'changed', hostPort })
  }

  async replace(hostPort: string, seen: RememberedCertificate): Promise<void> {
    this.records.set(hostPort, seen)
    this.reports.push({ kind: 'replaced', hostPort })
  }
}

/** A client environment with short time-outs. */
export function clientEnvironment(overrides: Partial<CmClientEnvironment> = {}): CmClientEnvironment {
  return {
    clock: realClock(),
    certificateMemory: new MemoryCertificates(),
    timeouts: { replyMs: 2000, storeMs: 2000, wholeReplyMs: 2000 },
    ...overrides,
  }
}

let sharedTls: Promise<ServerTlsContext> | undefined

/** One self-signed certificate for all scripted servers of a test file. */
export function testServerTls(): Promise<ServerTlsContext> {
  sharedTls ??= createCmServerCertificate({ names: ['localhost'], nowMs: Date.now() }).then(createServerTls)
  return sharedTls
}

/** What a script does with its connection. */
export class ScriptConnection {
  readonly channel: ByteChannel
  #framer = new CmFramer()

  constructor(channel: ByteChannel) {
    this.channel = channel
  }

  /** The next line of the client; undefined when it hung up. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const frame = this.#framer.next()
      if (frame?.kind === 'line') return frame.line
      const { done, value } = await this.channel[Symbol.asyncIterator]().next()
      if (done === true) return undefined
      this.#framer.push(value)
    }
  }

  async send(text: string | Uint8Array): Promise<void> {
    await this.channel.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** Greeting and TLS as an honest server does them. */
  async greet(tls?: ServerTlsContext): Promise<void> {
    await this.send('CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n')
    if ((await this.line()) !== 'STARTTLS') throw new Error('the client does not start TLS')
    await this.send('PROCEED\r\n')
    await this.channel.startTls(tls ?? (await testServerTls()))
    await this.send('ENCRYPTED\r\n')
  }

  /** Waits until the client hangs up; returns the lines it still sent. */
  async rest(): Promise<string[]> {
    const lines: string[] = []
    for (let line = await this.line(); line !== undefined; line = await this.line()) lines.push(line)
    return lines
  }
}

export interface ScriptedServer {
  readonly port: number
  /** Rejects with the first error of a script. */
  close(): Promise<void>
}

/** A server on a loopback port that runs `script` for each connection. */
export async function startScriptedServer(
  script: (connection: ScriptConnection) => Promise<void>,
): Promise<ScriptedServer> {
  const listener: Listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 50,
    onConnection: (channel) => script(new ScriptConnection(channel)),
    // A hostile script writes into connections the client has dropped; that is what the test is about.
    onError: () => undefined,
  })
  return { port: listener.addresses[0]!.port, close: () => listener.closeAll() }
}
