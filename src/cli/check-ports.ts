import { ListenError, type Listener, listen } from '../net/listen.ts'
import { CliError } from './cli-error.ts'
import type { ServeAddress, ServeAddresses } from './serve-addresses.ts'

/** How a protocol is called, and the settings that move its ports. */
const PROTOCOLS = {
  smtp: { name: 'SMTP', plain: 'smtp.port', implicitTls: 'smtp.tlsPort' },
  imap: { name: 'IMAP', plain: 'imap.port', implicitTls: 'imap.tlsPort' },
  cmServer: { name: 'the CM server', plain: 'cmServer.listen', implicitTls: 'cmServer.listen' },
} as const

export type Protocol = keyof typeof PROTOCOLS

/**
 * Opens every address once, all at the same time, and closes them again: a busy port is told before the database is
 * touched, and no listener stays half open (case O10). Returns the addresses this machine has: `::1` beside `127.0.0.1`
 * may be missing.
 */
export async function checkPorts(wanted: ServeAddresses): Promise<ServeAddresses> {
  const probes: Listener[] = []
  const there = { smtp: [] as ServeAddress[], imap: [] as ServeAddress[], cmServer: [] as ServeAddress[] }
  try {
    for (const protocol of ['smtp', 'imap', 'cmServer'] as const) {
      for (const address of wanted[protocol]) {
        const probe = await open(protocol, address, isOptional(address, wanted[protocol]))
        probes.push(probe)
        if (probe.addresses.length > 0) there[protocol].push(address)
      }
    }
    return there
  } finally {
    await Promise.all(probes.map((probe) => probe.closeAll()))
  }
}

/** One line: protocol, address, port, what is wrong and which setting changes it. */
export function portMessage(protocol: Protocol, address: ServeAddress, error: ListenError): string {
  const { name, plain, implicitTls } = PROTOCOLS[protocol]
  return `${name}: ${error.message}; change ${address.implicitTls ? implicitTls : plain}, or free the port`
}

async function open(protocol: Protocol, address: ServeAddress, optional: boolean): Promise<Listener> {
  try {
    return await listen({
      addresses: [{ host: address.host, port: address.port, optional }],
      maxConnections: 1,
      // Nobody is served yet: whoever is so quick is dropped and comes again.
      onConnection: async (channel) => channel.destroy(),
      onError: () => undefined,
    })
  } catch (error) {
    if (error instanceof ListenError) throw new CliError(portMessage(protocol, address, error))
    throw error
  }
}

function isOptional({ host, port }: ServeAddress, all: readonly ServeAddress[]): boolean {
  return host === '::1' && all.some((other) => other.host === '127.0.0.1' && other.port === port)
}
