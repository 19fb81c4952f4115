import type { Config } from '../bridge/config.ts'

/** One address that is listened on. */
export interface ServeAddress {
  readonly host: string
  readonly port: number
  /** TLS from the first octet; otherwise STARTTLS. */
  readonly implicitTls: boolean
}

/** Every address of a bridge, as configured or, with port 0 resolved, as it runs. */
export interface ServeAddresses {
  readonly smtp: readonly ServeAddress[]
  readonly imap: readonly ServeAddress[]
  readonly cmServer: readonly ServeAddress[]
}

/** The addresses the settings ask for. */
export function configuredAddresses(config: Config): ServeAddresses {
  return {
    smtp: addressesOf(config.smtp),
    imap: addressesOf(config.imap),
    cmServer: config.cmServer.enabled ? [parseHostPort(config.cmServer.listen)] : [],
  }
}

/** `host:port` or `[host]:port`, checked by the settings already. */
export function parseHostPort(hostPort: string): ServeAddress {
  const colon = hostPort.lastIndexOf(':')
  const host = hostPort.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(hostPort.slice(colon + 1)), implicitTls: false }
}

function addressesOf({ hosts, port, tlsPort }: Config['smtp']): ServeAddress[] {
  return [
    { port, implicitTls: false },
    { port: tlsPort, implicitTls: true },
  ].flatMap((listener) =>
    listener.port === null
      ? []
      : hosts.map((host) => ({ host, port: listener.port ?? 0, implicitTls: listener.implicitTls })),
  )
}
