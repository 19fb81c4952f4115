import type { Connection, StateName, TableCommand } from './command.ts'

/** One word of the capability list. */
export interface Capability {
  readonly name: string
  /** Whether it is true on this connection now; always when absent. */
  when?(connection: Connection, state: StateName): boolean
}

/** What the framing and the command set as a whole give; everything else is said by the command that gives it. */
const BASE: readonly string[] = ['IMAP4rev1', 'LITERAL+']

/**
 * The capability list (RFC 9051 6.1.1), derived from the command table: a capability is announced where its command
 * can be used, so nothing that needs a login is announced before it (case I21).
 */
export function capabilityNames(
  commands: readonly TableCommand[],
  where: {
    readonly connection: Connection
    readonly state: StateName
    readonly switchedOff: ReadonlySet<string>
  },
): readonly string[] {
  const { connection, state } = where
  const isUsable = ({ states }: TableCommand): boolean =>
    states.includes(state) || (state === 'authenticated' && states.includes('selected'))
  const names = commands
    .filter(isUsable)
    .flatMap(({ capabilities }) => capabilities)
    .filter(({ when }) => when === undefined || when(connection, state))
    .map(({ name }) => name)
  return [...new Set([...BASE, ...names])].filter((name) => !where.switchedOff.has(name))
}
