import { loadCmServerCertificate } from '../../src/net/install-certificates.ts'
import { createServerTls } from '../../src/net/server-tls.ts'
import { peerAt, RELAY_ACCOUNTS } from '../support/cm-relay-support.ts'
import { startTestCmServer } from '../support/cm-server-support.ts'

/**
 * A CM server that replicates to its peer and passes blocks on to it, until it is killed; says `ready` on standard output. It does not wait for its first look
 * and tries again soon, so that a test need not. Arguments: directory, port, port of the peer.
 */
const [directory = '', port = '', peerPort = ''] = process.argv.slice(2)

// The peer remembers it.
const tls = createServerTls(await loadCmServerCertificate(directory, { names: ['test'], nowMs: Date.now() }))
let wake: () => void = () => undefined
await startTestCmServer({
  directory,
  accounts: RELAY_ACCOUNTS,
  listen: { listen: [{ host: '127.0.0.1', port: Number(port) }] },
  relay: {
    peer: peerAt(Number(peerPort)),
    allowedHostPorts: () => [`127.0.0.1:${peerPort}`],
    retryScheduleMs: [0, 50],
  },
  context: (context) => {
    wake = () => context.relay?.wake()
    return { ...context, tls: () => tls }
  },
})
process.stdout.write('ready\n')
wake()
