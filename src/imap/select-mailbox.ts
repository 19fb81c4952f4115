import type { Context, Tagged } from './command.ts'
import { openSelected } from './open-selected.ts'
import type { Untagged } from './response.ts'

/** SELECT and EXAMINE: a mailbox that was open is closed first, also when the new one cannot be opened (RFC 9051 6.3.2). */
export async function* selectMailbox(
  { state }: Context<'authenticated' | 'selected'>,
  mailboxName: string,
  isReadOnly: boolean,
): AsyncGenerator<Untagged, Tagged> {
  const { account } = state
  if (state.name === 'selected') {
    yield { kind: 'condition', status: 'OK', code: { kind: 'CLOSED' }, text: 'Previous mailbox closed' }
  }
  const selected = await openSelected(account, mailboxName, isReadOnly)
  if (selected === undefined) {
    return {
      status: 'NO',
      code: { kind: 'NONEXISTENT' },
      text: 'No such mailbox',
      state: { name: 'authenticated', account },
    }
  }
  const { mailbox, view } = selected
  yield { kind: 'FLAGS', flags: view.knownFlags }
  yield { kind: 'EXISTS', count: view.size }
  yield { kind: 'RECENT', count: 0 }
  const unseen = view.firstUnseen
  if (unseen !== undefined) yield fact('UNSEEN', unseen, 'First unseen message')
  yield {
    kind: 'condition',
    status: 'OK',
    code: { kind: 'PERMANENTFLAGS', flags: view.permanentFlags },
    text: isReadOnly ? 'No flags can be changed' : 'Flags that are kept',
  }
  yield fact('UIDNEXT', mailbox.uidNext, 'Next UID')
  yield fact('UIDVALIDITY', mailbox.uidValidity, 'UIDs are valid')
  return {
    status: 'OK',
    code: { kind: isReadOnly ? 'READ-ONLY' : 'READ-WRITE' },
    text: isReadOnly ? 'EXAMINE completed' : 'SELECT completed',
    state: { name: 'selected', account, selected },
  }
}

function fact(kind: 'UNSEEN' | 'UIDNEXT' | 'UIDVALIDITY', number: number, text: string): Untagged {
  return { kind: 'condition', status: 'OK', code: { kind, number }, text }
}
