/** The commands of a CM server: grammar, login level and whether a block follows, one row each (CM wire 7.3). */

/** Who may give a command. A role is a user id with that name (CM wire 7.7). */
export type LoginLevel = 'anyone' | 'administrator' | 'replication'

/** What a command does here; `failed` and `not-found` are the answers of a server that does not offer it. */
export type CommandAction =
  | 'starttls'
  | 'quit'
  | 'ping'
  | 'login'
  | 'get-server'
  | 'store-server'
  | 'selftest'
  | 'failed'
  | 'not-found'

export interface CommandRule {
  readonly name: string
  readonly pattern: RegExp
  readonly level: LoginLevel
  /** A block follows; it is read to its end whatever the answer is (CM wire 7.4). */
  readonly hasBlock: boolean
  readonly action: CommandAction
}

const KEY = '(?<key>[0-9a-f]{40})'
const DATE = '\\d{4}-\\d{2}-\\d{2}t\\d{2}:\\d{2}:\\d{2}z'
const WORD = '[0-9a-z]{8,40}'

function rule(
  name: string,
  operands: string,
  about: Partial<Pick<CommandRule, 'level' | 'hasBlock'>> & { action: CommandAction },
): CommandRule {
  return {
    name,
    pattern: new RegExp(`^${name}${operands}$`, 'is'),
    level: 'anyone',
    hasBlock: false,
    ...about,
  }
}

/** All commands of the reference. Key words in any case, exactly one blank between, none behind (CM wire 7.3). */
export const COMMANDS: readonly CommandRule[] = [
  rule('STARTTLS', '', { action: 'starttls' }),
  rule('QUIT', '', { action: 'quit' }),
  rule('PING', '(?<text> .*)?', { action: 'ping' }),
  rule('LOGIN', ` (?<userId>${WORD}) (?<authKey>${WORD})`, { action: 'login' }),
  rule('GET SERVER', ` ${KEY}(?: SINCE (?<since>${DATE}))?`, { action: 'get-server' }),
  rule('STORE SERVER', ` ${KEY}`, { action: 'store-server', hasBlock: true }),
  rule('SELFTEST', '', { action: 'selftest' }),
  // Not offered yet: relaying, the DHT, DNS, replication and administration.
  rule('STORE PROXY', ` ${KEY}(?: AFTER ${DATE})?`, { action: 'failed', hasBlock: true }),
  rule('STORE ENTANGLED', ` ${KEY}`, { action: 'failed', hasBlock: true }),
  rule('GET ENTANGLED', ` ${KEY}(?: SINCE ${DATE})?`, { action: 'not-found' }),
  rule('DNS TXT', ' [0-9a-z.-]+', { action: 'failed' }),
  rule('REPLICATE', ` ${KEY} [0-9a-z]{4,40}`, { action: 'failed', hasBlock: true, level: 'replication' }),
  rule('REPLOGIN', ` ${WORD} ${WORD}`, { action: 'failed', level: 'replication' }),
  rule('ADDLOGIN', ` ${WORD}(?: ${WORD})?`, { action: 'failed', level: 'administrator' }),
  rule('RMLOGIN', ` ${WORD}`, { action: 'failed', level: 'administrator' }),
  rule('GENLOGIN', ' [0-9]+', { action: 'failed', level: 'administrator' }),
  rule('SHUTDOWN', '', { action: 'failed', level: 'administrator' }),
]

export interface Command {
  readonly rule: CommandRule
  /** Named parts of the line, as they were sent. */
  readonly parts: Readonly<Partial<Record<'key' | 'since' | 'text' | 'userId' | 'authKey', string>>>
}

/** The command of a line, or undefined: INVALID COMMAND. */
export function parseCommand(line: string): Command | undefined {
  for (const candidate of COMMANDS) {
    const match = candidate.pattern.exec(line)
    if (match !== null) return { rule: candidate, parts: match.groups ?? {} }
  }
  return undefined
}
