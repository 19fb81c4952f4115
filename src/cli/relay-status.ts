import { join } from 'node:path'
import { type RelayStatus, readRelayStatus } from '../store/cm-relay-status.ts'

/** What our CM server has to send to others: of a bridge's own one, or of one that runs alone on the directory. */
export function relayStatusOf(dataDirectory: string): RelayStatus | undefined {
  return readRelayStatus(join(dataDirectory, 'cm-server')) ?? readRelayStatus(dataDirectory)
}

/** The status for people; no line where nothing waits and nothing fails. */
export function relayLines(status: RelayStatus | undefined): string[] {
  if (status === undefined) return []
  const { proxied, proxiedBytes, targets, replicas, setAside, failing } = status
  const lines: string[] = []
  if (proxied > 0) {
    lines.push(`relay     for other servers: ${proxied} waiting, ${proxiedBytes} octets, targets: ${targets}`)
  }
  if (replicas > 0) lines.push(`relay     for the replication peer: ${replicas} waiting`)
  if (setAside > 0)
    lines.push(`relay     for the replication peer: ${setAside} set aside, they cannot be sent (see the log)`)
  for (const { target, failures, nextMs } of failing) {
    const name = target === 'replicate' ? 'the replication peer' : target
    lines.push(`failing   ${name}, ${failures} times; again at ${new Date(nextMs).toISOString()}`)
  }
  return lines
}
