/** The commands of a CM server: grammar, login level and whether a block follows, one row each (CM wire 7.3). */

/** Who may give a command. A role is a user id with that name (CM wire 7.7). */
export type LoginLevel = 'anyone' | 'administrator' | 'replication'

/** What a line alone asks for. */
export type LineAction =
  | 'starttls'
  | 'quit'
  | 'ping'
  | 'login'
  | 'get-server'
  | 'get-entangled'
  | 'dns-txt'
  | 'selftest'
  | 'addlogin'
  | 'rmlogin'
  | 'genlogin'
  | 'replogin'
  | 'shutdown'

/** What a line with a block behind it asks for; the block is read to its end whatever the answer is (CM wire 7.4). */
export type BlockAction = 'store-server' | 'store-proxy' | 'store-entangled' | 'replicate'

interface RuleOf<Action, HasBlock extends boolean> {
  readonly name: string
  readonly pattern: RegExp
  readonly level: LoginLevel
  readonly hasBlock: HasBlock
  readonly action: Action
}

export type CommandRule = RuleOf<LineAction, false> | RuleOf<BlockAction, true>

const KEY = '(?<key>[0-9a-f]{40})'
const DATE = '\\d{4}-\\d{2}-\\d{2}t\\d{2}:\\d{2}:\\d{2}z'
const WORD = '[0-9a-z]{8,40}'
const AUTH_KEY = `(?<authKey>${WORD})`

function pattern(name: string, operands: string): RegExp {
  return new RegExp(`^${name}${operands}$`, 'is')
}

function line(name: string, operands: string, action: LineAction, level: LoginLevel = 'anyone'): CommandRule {
  return { name, pattern: pattern(name, operands), level, hasBlock: false, action }
}

function block(
  name: string,
  operands: string,
  action: BlockAction,
  level: LoginLevel = 'anyone',
): CommandRule {
  return { name, pattern: pattern(name, operands), level, hasBlock: true, action }
}

/** All commands of the reference. Key words in any case, exactly one blank between, none behind (CM wire 7.3). */
export const COMMANDS: readonly CommandRule[] = [
  line('STARTTLS', '', 'starttls'),
  line('QUIT', '', 'quit'),
  line('PING', '(?<text> .*)?', 'ping'),
  line('LOGIN', ` (?<userId>${WORD}) ${AUTH_KEY}`, 'login'),
  line('GET SERVER', ` ${KEY}(?: SINCE (?<since>${DATE}))?`, 'get-server'),
  block('STORE SERVER', ` ${KEY}`, 'store-server'),
  block('STORE PROXY', ` ${KEY}(?: AFTER (?<after>${DATE}))?`, 'store-proxy'),
  block('REPLICATE', ` ${KEY} (?<poster>[0-9a-z]{4,40})`, 'replicate', 'replication'),
  block('STORE ENTANGLED', ` ${KEY}`, 'store-entangled'),
  line('GET ENTANGLED', ` ${KEY}(?: SINCE ${DATE})?`, 'get-entangled'),
  line('DNS TXT', ' (?<domain>[0-9a-z.-]+)', 'dns-txt'),
  line('SELFTEST', '', 'selftest'),
  line('ADDLOGIN', ` (?:(?<userId>${WORD}) )?${AUTH_KEY}`, 'addlogin', 'administrator'),
  line('RMLOGIN', ` ${AUTH_KEY}`, 'rmlogin', 'administrator'),
  line('GENLOGIN', ' (?<count>[0-9]+)', 'genlogin', 'administrator'),
  line('REPLOGIN', ` (?<userId>${WORD}) ${AUTH_KEY}`, 'replogin', 'replication'),
  line('SHUTDOWN', '', 'shutdown', 'administrator'),
]

/** Named parts of a command line, as they were sent. */
export type CommandParts = Readonly<
  Partial<
    Record<'key' | 'since' | 'after' | 'poster' | 'text' | 'userId' | 'authKey' | 'domain' | 'count', string>
  >
>

export interface Command {
  readonly rule: CommandRule
  readonly parts: CommandParts
}

/** The command of a line, or undefined: INVALID COMMAND. */
export function parseCommand(text: string): Command | undefined {
  for (const rule of COMMANDS) {
    const match = rule.pattern.exec(text)
    if (match !== null) return { rule, parts: match.groups ?? {} }
  }
  return undefined
}
