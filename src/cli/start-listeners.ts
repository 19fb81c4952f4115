import { hostname } from 'node:os'
import type { Clock } from '../base/clock.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { Config } from '../bridge/config.ts'
import type { Log } from '../bridge/log.ts'
import { startImapServer } from '../imap/server.ts'
import type { CertifiedKey } from '../net/certificates.ts'
import { createServerTls } from '../net/server-tls.ts'
import { startSmtpServer } from '../smtp/smtp-server.ts'
import type { ServeAddress, ServeAddresses } from './serve-addresses.ts'
import { programVersion } from './version.ts'

export interface StartListenersOptions {
  readonly bridge: Pick<Bridge, 'authenticator' | 'submission'>
  readonly addresses: ServeAddresses
  readonly leaf: CertifiedKey
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
}

/** Opens IMAP, then SMTP, on all their addresses; returns where they listen, with real ports. */
export async function startListeners(
  options: StartListenersOptions,
  stack: AsyncDisposableStack,
): Promise<Pick<ServeAddresses, 'imap' | 'smtp'>> {
  return { imap: await startImap(options, stack), smtp: await startSmtp(options, stack) }
}

async function startImap(
  { bridge, addresses, leaf, config, clock, log }: StartListenersOptions,
  stack: AsyncDisposableStack,
): Promise<ServeAddress[]> {
  const tls = createServerTls(leaf)
  const server = await startImapServer({
    authenticator: bridge.authenticator,
    clock,
    log: log.child({ part: 'imap' }),
    greetingHost: hostname(),
    version: programVersion(),
    maxConnections: config.limits.connections,
    tlsContext: () => tls,
    listeners: [
      { tls: 'starttls', addresses: addresses.imap.filter(({ implicitTls }) => !implicitTls) },
      { tls: 'implicit', addresses: addresses.imap.filter(({ implicitTls }) => implicitTls) },
    ],
  })
  stack.defer(() => server.close())
  return server.addresses.map(({ host, port, tls: kind }) => ({
    host,
    port,
    implicitTls: kind === 'implicit',
  }))
}

async function startSmtp(
  { bridge, addresses, leaf, config, clock, log }: StartListenersOptions,
  stack: AsyncDisposableStack,
): Promise<ServeAddress[]> {
  const server = await startSmtpServer({
    listeners: addresses.smtp,
    tls: { key: leaf.privateKeyPem, cert: leaf.certificatePem },
    submission: bridge.submission,
    clock,
    log: log.child({ part: 'smtp' }),
    maxConnections: config.limits.connections,
  })
  stack.defer(() => server.close())
  return server.addresses.map(({ host, port, implicitTls }) => ({ host, port, implicitTls }))
}
