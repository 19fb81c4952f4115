import type { RememberedCertificate } from '../cm/port.ts'
import type { Store } from '../store/open-store.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerbs } from './control-protocol.ts'

/** `cert accept` as plain data, on its way through control.sock. */
export interface CertAcceptArgs {
  /** HOST:PORT as in the accounts, in any case. */
  readonly server: string
}

export interface CertAcceptResult {
  readonly server: string
  readonly certificate: RememberedCertificate
}

/** The verbs that change remembered server certificates; like `accountVerbs`, with and without a running bridge. */
export function certificateVerbs(store: Pick<Store, 'write'>): ControlVerbs {
  return {
    'cert accept': async (args) => {
      const server = serverOf(args)
      const outcome = await store.write('acceptCertificate', { hostPort: server })
      switch (outcome.kind) {
        case 'accepted':
          return { server, certificate: outcome.certificate } satisfies CertAcceptResult
        case 'nothing-to-accept':
          throw new CliError(`${server} shows the certificate that is remembered: there is nothing to accept`)
        case 'no-such-server':
          throw new CliError(
            `no certificate of ${server} was ever seen; "cmbridge cert list" shows the servers there are`,
          )
      }
    },
  }
}

function serverOf(args: unknown): string {
  if (typeof args === 'object' && args !== null && 'server' in args && typeof args.server === 'string') {
    // Hosts are remembered in lower case, whatever an account says.
    return args.server.toLowerCase()
  }
  throw new CliError(
    '"cert accept" is asked for in a way the running bridge does not know: restart it after an update',
  )
}
