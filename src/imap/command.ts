import type { Capability } from './capability.ts'
import type { MailboxView } from './mailbox-view.ts'
import type { Parser } from './parser.ts'
import type { AccountMail, Authenticator, OpenMailbox } from './port.ts'
import type { TaggedReply, Untagged } from './response.ts'
import type { Signal } from './signal.ts'

/** An open mailbox with this session's view of it. */
export interface SelectedMailbox {
  readonly mailbox: OpenMailbox
  readonly view: MailboxView
  /** Opened by EXAMINE. */
  readonly isReadOnly: boolean
  /** Raised at each change that reaches the view. */
  readonly changes: Signal
}

/** RFC 9051 3; assigned in `session.ts` only. */
export type SessionState =
  | { readonly name: 'not-authenticated' }
  | { readonly name: 'authenticated'; readonly account: AccountMail }
  | { readonly name: 'selected'; readonly account: AccountMail; readonly selected: SelectedMailbox }
  | { readonly name: 'logout' }

export type StateName = SessionState['name']
export type InState<S extends StateName> = Extract<SessionState, { readonly name: S }>

/** What a command ends with: its tagged reply, and what it changes. */
export interface Tagged extends TaggedReply {
  readonly state?: SessionState
  /** TLS begins right behind this reply. */
  readonly startsTls?: true
  /** A login that was refused; too many end the connection. */
  readonly refusedLogin?: true
}

/** What a command may know of its connection. */
export interface Connection {
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** STARTTLS is possible now. */
  readonly canStartTls: boolean
  /** Passwords may be sent now: TLS is up, or the peer is this machine (design 6). */
  readonly mayLogin: boolean
}

/** What a command may read after it has been parsed. */
export interface CommandInput {
  /** The next line, a byte string without CRLF, in answer to a continuation request. */
  readLine(): Promise<string>
  /** Takes the awaited literal (asking for it when it is synchronizing) and gives its octets as they come. */
  readLiteral(): AsyncIterable<Uint8Array>
  /** The rest of the line behind that literal, a byte string; undefined when it holds another literal. */
  readRest(): Promise<string | undefined>
}

export interface Context<S extends StateName> {
  readonly state: InState<S>
  /** True for the `UID` form of the command. */
  readonly isUid: boolean
  readonly connection: Connection
  readonly input: CommandInput
  readonly authenticator: Authenticator
  /** RFC 2971 field-value pairs that say who we are. */
  readonly serverId: readonly (readonly [string, string])[]
  /** Sends what was yielded so far at once; for a command that goes on waiting. */
  flush(): Promise<void>
  /** The capabilities a session in that state is told. */
  capabilitiesIn(state: StateName): readonly string[]
}

type Run = AsyncGenerator<Untagged, Tagged>

/** One IMAP command: everything about it in one record (style 2.10). */
export interface Command<Args, S extends StateName> {
  readonly name: string
  /** Where it may be used; checked before it is parsed. */
  readonly states: readonly S[]
  /** Capabilities that say it is there. */
  readonly capabilities?: readonly Capability[]
  /** `UID <name>` is this command too. */
  readonly hasUidForm?: boolean
  /** No EXPUNGE while its plain form is answered (RFC 9051 7.5.1). */
  readonly expunges?: 'held'
  /** Pure; reads what follows the name, up to the end. Throws `ImapSyntaxError`, `ImapReplyError`. */
  parse(p: Parser, isUid: boolean): Args
  run(context: Context<S>, args: Args): Run
}

/** A command in the table: its argument type is closed over. */
export interface TableCommand {
  readonly name: string
  readonly states: readonly StateName[]
  readonly capabilities: readonly Capability[]
  readonly hasUidForm: boolean
  readonly expunges: 'held' | 'told'
  /** Parses the whole rest of the command and gives what runs it. */
  prepare(p: Parser, isUid: boolean): (context: Context<StateName>) => Run
}

/** Makes a table entry of a command. */
export function tableCommand<Args, S extends StateName>(command: Command<Args, S>): TableCommand {
  return {
    name: command.name,
    states: command.states,
    capabilities: command.capabilities ?? [],
    hasUidForm: command.hasUidForm ?? false,
    expunges: command.expunges ?? 'told',
    prepare: (p, isUid) => {
      const args = command.parse(p, isUid)
      return (context) => command.run(narrowContext(context, command.states), args)
    },
  }
}

function narrowContext<S extends StateName>(context: Context<StateName>, states: readonly S[]): Context<S> {
  const { state } = context
  if (!isInState(state, states)) throw new Error('a command runs in a state it is not for')
  return { ...context, state }
}

/** True when the state is one of those. */
export function isInState<S extends StateName>(
  state: SessionState,
  states: readonly S[],
): state is InState<S> {
  return states.some((name) => name === state.name)
}

/** Parses a command without arguments. */
export function noArguments(p: Parser): undefined {
  p.end()
  return undefined
}
