import { ANY_FORM, DATE_FORM, filledLines, HeaderFields } from './header-fields.ts'
import { joinMessageAnnouncements } from './message-announcement.ts'

/** Lines of the records between `NextMessage` lines. */
function recordParts(text: string): string[][] {
  const parts: string[][] = [[]]
  for (const line of filledLines(text)) {
    if (/^nextmessage$/i.test(line)) parts.push([])
    else parts.at(-1)?.push(line)
  }
  return parts.filter((part) => part.length > 0)
}

/**
 * `GET … SINCE d`: keeps the records of a message announcement whose Date text is not before `since`, or that have
 * none; any other block comes back as it is (CM wire 7.5). Empty when nothing is left: the answer is NOT FOUND then.
 */
export function filterSince(text: string, since: string): string {
  const parts = recordParts(text)
  const types = parts.flatMap((part) => new HeaderFields(part).all('type', ANY_FORM))
  if (types.length === 0 || types.some((type) => type !== 'message-announcement')) return text
  const kept = parts.filter((part) => {
    const date = new HeaderFields(part).last('date', DATE_FORM)
    return date === undefined || date >= since
  })
  if (kept.length === parts.length && !text.includes('\r')) return text
  return joinMessageAnnouncements(kept.map((part) => `${part.join('\n')}\n`))
}
