import { type LeafPart, readSourceText } from '../../mail/decode-part.ts'
import type { FilePlan } from './plan-parts.ts'
import type { MessageSource } from './spool-parts.ts'

/** Decoded octets of a calendar that are compared; invitations are a few KiB. */
const MAX_CALENDAR_BYTES = 1024 * 1024

/**
 * Drops calendars that are an alternative of the text when the same calendar is attached beside it, as invitations
 * do (case M22): the reader should see one `.ics`. The recipe keeps both.
 */
export async function withoutDoubledCalendars(
  source: MessageSource,
  files: readonly FilePlan[],
): Promise<readonly FilePlan[]> {
  if (!files.some((file) => file.isAlternativeCalendar === true)) return files
  const attached = new Set<string>()
  for (const file of files) {
    if (file.isAlternativeCalendar !== true && isCalendarFile(file))
      attached.add(await calendarText(source, file))
  }
  const kept: FilePlan[] = []
  for (const file of files) {
    const isDoubled = file.isAlternativeCalendar === true && attached.has(await calendarText(source, file))
    if (!isDoubled) kept.push(file)
  }
  return kept
}

function isCalendarFile({ part, fileName }: FilePlan): boolean {
  const type = `${part.type}/${part.subtype}`
  return type === 'text/calendar' || type === 'application/ics' || /\.ics$/i.test(fileName ?? '')
}

/** Without the last line break, which the delimiter may have taken. */
async function calendarText(source: MessageSource, { part }: FilePlan): Promise<string> {
  if (!isLeaf(part)) return ''
  return (await readSourceText(source.openRange(part.body), part, MAX_CALENDAR_BYTES)).trimEnd()
}

function isLeaf(part: FilePlan['part']): part is LeafPart {
  return part.kind === 'text' || part.kind === 'basic'
}
