import { tableCommand } from '../command.ts'
import { parseListArguments } from '../list-arguments.ts'
import { compareMailboxNames, matchesListPattern, superiorNames } from '../mailbox-name.ts'
import type { MailboxInfo } from '../port.ts'
import type { MailboxAttribute, Untagged } from '../response.ts'

/** LIST (RFC 3501 6.3.8, RFC 9051 6.3.9) with the attributes of RFC 3348 and RFC 6154. */
export const list = tableCommand({
  name: 'LIST',
  states: ['authenticated', 'selected'],
  capabilities: [{ name: 'CHILDREN' }, { name: 'SPECIAL-USE' }],
  parse: parseListArguments,
  async *run({ state }, { pattern }) {
    if (pattern === null) {
      yield { kind: 'LIST', attributes: ['\\Noselect'], mailboxName: '' }
    } else {
      yield* listResponses(await state.account.listMailboxes(), pattern)
    }
    return { status: 'OK', text: 'LIST completed' }
  },
})

function* listResponses(mailboxes: readonly MailboxInfo[], pattern: string): Generator<Untagged, void> {
  const byName = new Map(mailboxes.map((mailbox) => [mailbox.name, mailbox]))
  const parents = new Set(mailboxes.flatMap(({ name }) => superiorNames(name)))
  // A name that exists only above others is listed too (RFC 9051 6.3.9).
  for (const name of [...new Set([...byName.keys(), ...parents])].sort(compareMailboxNames)) {
    if (!matchesListPattern(name, pattern)) continue
    const attributes: MailboxAttribute[] = [parents.has(name) ? '\\HasChildren' : '\\HasNoChildren']
    const mailbox = byName.get(name)
    if (mailbox?.selectable !== true) attributes.push('\\Noselect')
    if (mailbox !== undefined && mailbox.specialUse !== null) attributes.push(mailbox.specialUse)
    yield { kind: 'LIST', attributes, mailboxName: name }
  }
}
