import type { Parser } from './parser.ts'
import type { CopyOutcome } from './port.ts'
import type { ResponseCode } from './response.ts'
import type { SequenceSet } from './sequence-set.ts'

// copy = "COPY" SP sequence-set SP mailbox ; move = "MOVE" SP sequence-set SP mailbox
export function parseCopyArguments(p: Parser): { readonly set: SequenceSet; readonly mailboxName: string } {
  p.sp()
  const set = p.sequenceSet()
  p.sp()
  const mailboxName = p.mailbox()
  p.end()
  return { set, mailboxName }
}

/** COPYUID (RFC 4315 3); none when nothing was copied. */
export function copyUidCode(outcome: CopyOutcome & { readonly kind: 'ok' }): ResponseCode | undefined {
  if (outcome.pairs.length === 0) return undefined
  return {
    kind: 'COPYUID',
    uidValidity: outcome.uidValidity,
    from: outcome.pairs.map(({ from }) => from),
    to: outcome.pairs.map(({ to }) => to),
  }
}
