/** Ids read from one References field: the oldest are of no use to a thread. */
const MAX_MESSAGE_IDS = 1_000
/** RFC 5322 2.1.1: an id does not fold, so it fits a line. */
const MAX_MESSAGE_ID_CHARS = 990

/** The ids of a Message-ID, In-Reply-To or References value, with their `<>`, in order (RFC 5322 3.6.4); byte strings. */
export function parseMessageIds(value: string): readonly string[] {
  const ids = value.match(/<[^<>\s]+>/g) ?? []
  return ids.filter((id) => id.length <= MAX_MESSAGE_ID_CHARS).slice(-MAX_MESSAGE_IDS)
}

/**
 * The Message-ID of a field's value as two copies of one message are compared by: its first id, else the whole text,
 * since some programs leave out the `<>`; null when there is nothing.
 */
export function messageIdOf(value: string | null): string | null {
  if (value === null) return null
  const [id] = parseMessageIds(value)
  const text = value.trim()
  return id ?? (text === '' || text.length > MAX_MESSAGE_ID_CHARS ? null : text)
}
