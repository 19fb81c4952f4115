import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MessageSource } from '../../src/bridge/mime/spool-parts.ts'
import { MessageScanner } from '../../src/mail/mime-split.ts'

const CASES = fileURLToPath(new URL('../golden/cases/', import.meta.url))

/** Names of all hard messages, `M01.eml` and so on. */
export const mailCases = readdirSync(CASES).filter((name) => name.endsWith('.eml'))

/** The octets of one hard message. */
export function mailCase(name: string): Buffer {
  return readFileSync(`${CASES}${name}`)
}

/** Octets in chunks of that size. */
export async function* chunked(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < bytes.length; position += size)
    yield bytes.subarray(position, position + size)
}

/** A message in memory, indexed. */
export function messageSource(bytes: Uint8Array): MessageSource {
  const scanner = new MessageScanner()
  scanner.push(bytes)
  const { index } = scanner.finish()
  return { index, openRange: ({ start, end }) => chunked(bytes.subarray(start, end)) }
}

/** All octets of a stream. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Runs with a new empty directory and removes it. */
export async function withDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'mime-'))
  try {
    return await run(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}
