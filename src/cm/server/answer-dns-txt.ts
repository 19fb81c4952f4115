import { duration } from '../../base/clock.ts'
import { encodeLine } from '../framer.ts'
import type { CmServerContext } from './context.ts'

/** Milliseconds until a question is given up: the reference client waits for 15 seconds (CM wire 7.10). */
const QUESTION_MS = 10 * duration.second
/** Lines of one answer: a server list has one or two, and strangers ask us. */
const MAX_TXT_LINES = 32
/** Octets of a character-string in DNS (RFC 1035 3.3). */
const MAX_STRING_BYTES = 255

/**
 * The reply to DNS TXT (CM wire 7.8): the first string of each record, as octets; a lone EndBlock when there is none.
 * A record that would not fit on one line is left out: it could pretend to be replies of ours.
 */
export async function answerDnsTxt(
  domain: string,
  { resolveTxt, clock }: Pick<CmServerContext, 'resolveTxt' | 'clock'>,
): Promise<Uint8Array> {
  if (resolveTxt === undefined) return encodeLine('FAILED')
  const late = new AbortController()
  const cancel = clock.after(QUESTION_MS, () => late.abort())
  try {
    const answer = await resolveTxt(domain, late.signal)
    if (answer.kind !== 'records') return encodeLine('NOT FOUND')
    const texts = answer.records.map(([first = '']) => first).filter(isOneLine)
    const lines = texts.slice(0, MAX_TXT_LINES).map((text) => `TXT: ${text}\r\n`)
    return Buffer.from([...lines, 'EndBlock\r\n'].join(''), 'latin1')
  } finally {
    cancel()
  }
}

function isOneLine(text: string): boolean {
  return text.length <= MAX_STRING_BYTES && !/[\r\n]/.test(text)
}
