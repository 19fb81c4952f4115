/**
 * Lets everybody else have a turn of the event loop. For work that is long without ever waiting: a response of many
 * lines to a fast client, a search in memory (design 14: other connections must not feel it).
 */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
