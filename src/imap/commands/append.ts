import { type Context, type Tagged, tableCommand } from '../command.ts'
import { refusalReply } from '../mailbox-reply.ts'
import { parseDateTime } from '../parse-date.ts'
import type { AppendSink } from '../port.ts'

/**
 * APPEND (RFC 9051 6.3.12). The message streams into the store as it arrives. Whatever can be refused is refused
 * before the literal is asked for; the session reads a literal that was not taken to its end.
 */
export const append = tableCommand({
  name: 'APPEND',
  states: ['authenticated', 'selected'],
  capabilities: [{ name: 'UIDPLUS' }],
  // append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal
  parse(p) {
    p.sp()
    const mailboxName = p.mailbox()
    p.sp()
    const flags = p.peek('(') ? p.flagList() : null
    if (flags !== null) p.sp()
    const internalDate = p.peek('"') ? parseDateTime(p) : null
    if (internalDate !== null) p.sp()
    return { mailboxName, flags: flags ?? [], internalDate, sizeBytes: p.awaitedLiteral().size }
  },
  async *run({ state, input }, { mailboxName, flags, internalDate, sizeBytes }) {
    if (sizeBytes === 0) return { status: 'NO', code: { kind: 'CANNOT' }, text: 'The message is empty' }
    if (sizeBytes > state.account.maxMessageBytes) {
      return { status: 'NO', code: { kind: 'LIMIT' }, text: 'The message is too large' }
    }
    const sink = await state.account.beginAppend(mailboxName, sizeBytes)
    if ('kind' in sink) return sink.kind === 'ok' ? brokenSink() : refusalReply(sink, 'TRYCREATE')
    const problem = await fillSink(sink, input)
    if (problem !== undefined) return problem
    const outcome = await sink.commit({ flags, internalDate })
    if (outcome.kind !== 'ok') return refusalReply(outcome, 'TRYCREATE')
    const { uidValidity, uid } = outcome
    return { status: 'OK', code: { kind: 'APPENDUID', uidValidity, uid }, text: 'APPEND completed' }
  },
})

/** Reads the message and the end of the command; anything short of that discards it. */
async function fillSink(
  sink: AppendSink,
  input: Context<'authenticated'>['input'],
): Promise<Tagged | undefined> {
  try {
    for await (const chunk of input.readLiteral()) await sink.write(chunk)
    if ((await input.readRest()) === '') return undefined
  } catch (error) {
    await sink.discard()
    throw error
  }
  await sink.discard()
  return { status: 'BAD', text: 'One message ends an APPEND' }
}

function brokenSink(): never {
  throw new Error('beginAppend has appended before there was a message')
}
