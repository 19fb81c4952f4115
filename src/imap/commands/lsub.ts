import { tableCommand } from '../command.ts'
import { parseListArguments } from '../list-arguments.ts'
import { compareMailboxNames, matchesListPattern, superiorNames } from '../mailbox-name.ts'

/**
 * LSUB (RFC 3501 6.3.9): the subscribed names, also of mailboxes that are gone. With `%` a name above a subscribed
 * one stands for it, with `\Noselect`.
 */
export const lsub = tableCommand({
  name: 'LSUB',
  states: ['authenticated', 'selected'],
  parse: parseListArguments,
  async *run({ state }, { pattern }) {
    if (pattern === null) {
      yield { kind: 'LSUB', attributes: ['\\Noselect'], mailboxName: '' }
      return { status: 'OK', text: 'LSUB completed' }
    }
    const subscribed = new Set(await state.account.listSubscriptions())
    const mailboxes = await state.account.listMailboxes()
    const selectable = new Set(mailboxes.filter((mailbox) => mailbox.selectable).map(({ name }) => name))
    const isCut = (name: string): boolean => !matchesListPattern(name, pattern)
    const above = pattern.endsWith('%') ? [...subscribed].filter(isCut).flatMap(superiorNames) : []
    for (const name of [...new Set([...subscribed, ...above])].sort(compareMailboxNames)) {
      if (isCut(name)) continue
      const isThere = subscribed.has(name) && selectable.has(name)
      yield { kind: 'LSUB', attributes: isThere ? [] : ['\\Noselect'], mailboxName: name }
    }
    return { status: 'OK', text: 'LSUB completed' }
  },
})
