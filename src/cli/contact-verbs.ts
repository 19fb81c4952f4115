import type {
  ContactAdministration,
  ContactDecision,
  ContactLookupOutcome,
  RefreshOutcome,
} from '../bridge/contact-administration.ts'
import type { ContactView } from '../bridge/read-contacts.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerb, ControlVerbs } from './control-protocol.ts'
import { badArgs, fieldOf, isTextOrNull, isTexts, textFields } from './verb-args.ts'

/** `contact verify|block|unblock|refresh` as plain data, on its way through control.sock. */
export interface ContactArgs {
  readonly account: string | null
  readonly contact: string
}

/** `contact lookup` likewise. */
export interface ContactLookupArgs {
  readonly account: string | null
  readonly address: string
  readonly servers: readonly string[]
}

export type ContactLookupResult = Omit<Extract<ContactLookupOutcome, { readonly kind: 'ok' }>, 'kind'>
export type ContactRefreshResult = Omit<Extract<RefreshOutcome, { readonly kind: 'ok' }>, 'kind'>

/** The verbs about other people's keys; like `accountVerbs`, with and without a running bridge. */
export function contactVerbs(contacts: ContactAdministration): ControlVerbs {
  return {
    'contact verify': decisionVerb(contacts, 'verify'),
    'contact block': decisionVerb(contacts, 'block'),
    'contact unblock': decisionVerb(contacts, 'unblock'),
    'contact refresh': async (args): Promise<ContactRefreshResult> => {
      const outcome = await contacts.refresh(contactArgs('contact refresh', args))
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      return { contacts: outcome.contacts, problems: outcome.problems }
    },
    'contact lookup': async (args): Promise<ContactLookupResult> => {
      const { address } = textFields('contact lookup', args, ['address'])
      const [account, servers] = [fieldOf(args, 'account'), fieldOf(args, 'servers')]
      if (!isTextOrNull(account) || !isTexts(servers)) throw badArgs('contact lookup')
      const outcome = await contacts.lookUp({ account, address, servers })
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      const { kind: _ok, ...result } = outcome
      return result
    },
  }
}

function decisionVerb(contacts: ContactAdministration, verdict: ContactDecision['verdict']): ControlVerb {
  return async (args): Promise<ContactView> => {
    const outcome = await contacts.decide({ ...contactArgs(`contact ${verdict}`, args), verdict })
    if (outcome.kind === 'refused') throw new CliError(outcome.reason)
    return outcome.contact
  }
}

function contactArgs(verb: string, args: unknown): ContactArgs {
  const { contact } = textFields(verb, args, ['contact'])
  const account = fieldOf(args, 'account')
  if (!isTextOrNull(account)) throw badArgs(verb)
  return { account, contact }
}
