import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { type RelayServer, type RelayServerOptions, startRelayServer } from './cm-relay-support.ts'

interface Closable {
  close(): Promise<void>
}

let open: Closable[] = []
let directories: string[] = []

/** For the top of a test file: what was started or made in a test ends with it, the last first. */
export function endRelaysAfterEach(): void {
  afterEach(async () => {
    for (const one of open.toReversed()) await one.close()
    open = []
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
    directories = []
  })
}

/** A server with a relay that ends with the test. */
export async function start(options: RelayServerOptions = {}): Promise<RelayServer> {
  return closedAfterwards(await startRelayServer(options))
}

export function closedAfterwards<One extends Closable>(one: One): One {
  open.push(one)
  return one
}

/** Ends it now, as a program that is stopped. */
export async function stop(one: Closable): Promise<void> {
  open = open.filter((other) => other !== one)
  await one.close()
}

/** A directory that outlives its server and goes with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cmb-relay-'))
  directories.push(directory)
  return directory
}
