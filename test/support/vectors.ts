import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const GOLDEN = fileURLToPath(new URL('../golden/vectors/', import.meta.url))
const SHARED = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url))

/** Path of one file of the reference's vectors: our own small copy first, then the shared folder; undefined when neither has it. */
export function vectorPath(name: string): string | undefined {
  return [`${GOLDEN}${name}`, `${SHARED}${name}`].find((path) => existsSync(path))
}

/** True when the file is there; otherwise prints why the tests that need it are skipped. For `it.skipIf(!hasVector(…))`. */
export function hasVector(name: string): boolean {
  if (vectorPath(name) !== undefined) return true
  console.log(`skipped: vector ${name} is large and lies only in ../shared/vectors`)
  return false
}

/** Names of the files in one folder of the vectors, sorted. */
export function vectorNames(folder: string): string[] {
  const folders = [`${GOLDEN}${folder}`, `${SHARED}${folder}`].filter((path) => existsSync(path))
  return [...new Set(folders.flatMap((path) => readdirSync(path)))].sort()
}

/** The bytes of one vector; throws when it is missing. */
export function vectorBytes(name: string): Buffer {
  const path = vectorPath(name)
  if (path === undefined) throw new Error(`no such vector: ${name}`)
  return readFileSync(path)
}

/** One parsed JSON vector file. */
export function vectorJson<T>(name: string): T {
  return JSON.parse(vectorBytes(name).toString('utf8')) as T
}
