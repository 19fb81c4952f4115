/** For options that may be given several times: all values, in order. */
export function collectOption(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** The same for lists of servers, of which each value may hold several, with commas. */
export function collectServers(value: string, before: readonly string[] = []): string[] {
  return [...before, ...value.split(',').map((server) => server.trim())]
}
