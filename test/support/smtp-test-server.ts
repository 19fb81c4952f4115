import { createAuthority, createLeaf } from '../../src/net/certificates.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import {
  type RunningSmtpServer,
  type SmtpServerOptions,
  startSmtpServer,
} from '../../src/smtp/smtp-server.ts'
import { ManualClock } from './manual-clock.ts'
import { RecordingLog } from './recording-log.ts'
import { ScriptedSubmission } from './scripted-submission.ts'
import { SmtpPeer } from './smtp-peer.ts'

const NAMES = ['localhost', '127.0.0.1']

async function makeTls(): Promise<{ key: string; cert: string; ca: string }> {
  const nowMs = systemClock.now()
  const authority = await createAuthority({ names: NAMES, label: 'test', nowMs })
  const leaf = await createLeaf({ authority, names: NAMES, nowMs })
  return { key: leaf.privateKeyPem, cert: leaf.certificatePem, ca: authority.certificatePem }
}

/** One certificate per test file. */
let madeTls: ReturnType<typeof makeTls> | undefined
export function testTls(): ReturnType<typeof makeTls> {
  madeTls ??= makeTls()
  return madeTls
}

export interface SmtpTestServer extends AsyncDisposable {
  readonly server: RunningSmtpServer
  readonly submission: ScriptedSubmission
  readonly log: RecordingLog
  readonly clock: ManualClock
  readonly port: number
  peer(options?: { readonly tls?: boolean }): Promise<SmtpPeer>
}

/** A server with a scripted bridge on a free loopback port, and peers that are closed with it. */
export async function startTestServer(
  options: Partial<SmtpServerOptions> & { readonly scripted?: ScriptedSubmission } = {},
): Promise<SmtpTestServer> {
  const submission = options.scripted ?? new ScriptedSubmission()
  const log = new RecordingLog()
  const clock = new ManualClock()
  const server = await startSmtpServer({
    listeners: [{ host: '127.0.0.1', port: 0, implicitTls: false }],
    tls: await testTls(),
    submission,
    clock,
    log,
    maxConnections: 50,
    ...options,
  })
  const port = server.addresses[0]!.port
  const peers: SmtpPeer[] = []
  return {
    server,
    submission,
    log,
    clock,
    port,
    peer: async (peerOptions) => {
      const peer = await SmtpPeer.connect(port, peerOptions)
      peers.push(peer)
      return peer
    },
    [Symbol.asyncDispose]: async () => {
      for (const peer of peers) peer.destroy()
      await server.close()
    },
  }
}
