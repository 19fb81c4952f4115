/**
 * CM's only date form, `YYYY-MM-DDTHH:MM:SSZ`: exactly 20 ASCII characters, UTC, whole seconds (CM wire 1.3).
 */
const UTC_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}[Zz]$/

/** Milliseconds since 1970, or undefined when the text has another shape or is no real instant (month 13, second 60). */
export function parseUtcTime(text: string): number | undefined {
  if (!UTC_TIME.test(text)) return undefined
  const ms = Date.parse(text.toUpperCase())
  // Date.parse takes 30 February for 2 March and 24:00:00 for the next midnight: then the day is another one.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : undefined
}

/** The instant, cut to whole seconds, in CM's form. */
export function formatUtcTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
