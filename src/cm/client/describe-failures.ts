import type { ServerFailure } from './with-servers.ts'

/** What a server did, to go behind its name; the cure too where it is a setting. Other codes are no fault of the owner. */
const WORDS: Readonly<Partial<Record<ServerFailure['reason'], string>>> = {
  'forbidden-address':
    'has a private address, and somebody else named it: put it into cm.privateServers if you mean it',
  'no-proxy': 'is reached through a proxy only: set cm.torProxy for .onion, cm.i2pProxy for .i2p',
  'proxy-down': 'is not asked: the proxy is down',
  'proxy-refused': 'is not reached: the proxy refuses, or speaks no SOCKS5',
  busy: 'is busy',
  timeout: 'did not answer in time',
  closed: 'hung up',
  tls: 'failed to start TLS',
  refused: 'refused',
  'login-refused': 'refused the authentication key: ask the owner of the server whether it is right',
  'certificate-changed': 'shows another certificate than before: see "cmbridge cert list"',
  'not-found': 'does not have it',
}

/** The failures of a task for people, one line: which server, why, and which proxy is in the way. */
export function describeFailures(failures: readonly ServerFailure[]): string {
  return failures.map(describeFailure).join(', ') || 'no server'
}

function describeFailure({ hostPort, reason, proxyHostPort }: ServerFailure): string {
  const text = `${hostPort} ${WORDS[reason] ?? reason}`
  return proxyHostPort === undefined ? text : `${text} (proxy ${proxyHostPort})`
}
