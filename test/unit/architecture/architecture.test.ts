import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** The import rules of the design (section 2), sizes and habits of style.md, checked on the tree itself. */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SRC = join(ROOT, 'src')

/** A module is a first-level folder of src, or one of the few single files that others may import as ports. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'main.ts': ['*'],
  cli: ['*'],
  bridge: ['cm', 'store', 'mail', 'net', 'smtp/port.ts', 'imap/port.ts'],
  store: [
    'imap/port.ts',
    'cm/port.ts',
    'cm/server/port.ts',
    'cm/server/relay/queue-port.ts',
    'cm/ids.ts',
    'mail',
  ],
  web: ['bridge', 'store'],
  imap: ['mail', 'net'],
  smtp: ['mail', 'net'],
  cm: ['net'],
  net: [],
  mail: [],
  base: [],
}

/** Libraries and built-in modules with exactly one importer, file or folder (design 2, 3). */
const ONE_IMPORTER: Record<string, string> = {
  bullmq: 'bridge/queue-bullmq.ts',
  ioredis: 'bridge/queue-bullmq.ts',
  openpgp: 'cm/openpgp/',
  nodemailer: 'cli/smtp-notifications.ts',
  'node:dns': 'net/',
  'node:dns/promises': 'net/',
  'node:net': 'net/',
  'node:tls': 'net/',
  'node:sqlite': 'store/',
  '@peculiar/x509': 'net/certificates.ts',
}

/** Where the machine's clock and timers may be read (style 2.11). */
const CLOCK_OWNERS = ['main.ts', 'net/', 'bridge/queue-bullmq.ts']

const MAX_FILE_LINES = 400
const MAX_README_LINES = 40
const MAX_PROJECT_README_LINES = 120

function filesBelow(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name)
    return statSync(path).isDirectory() ? filesBelow(path) : [path]
  })
}

const sources = filesBelow(SRC).filter((path) => path.endsWith('.ts'))
const nameOf = (path: string): string => relative(SRC, path)
const moduleOf = (name: string): string => (name.includes('/') ? (name.split('/')[0] ?? name) : name)

interface Import {
  readonly from: string
  readonly specifier: string
  /** `import type` alone: gone at run time, so it cannot close a cycle there. */
  readonly isTypeOnly: boolean
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8')
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g
  return [...text.matchAll(pattern)].map((match) => ({
    from: nameOf(path),
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
    isTypeOnly: /^\s*(?:import|export) type\b/.test(match[0]),
  }))
}

const imports = sources.flatMap(importsOf)
const isRelative = (specifier: string): boolean => specifier.startsWith('.')
const targetOf = ({ from, specifier }: Pick<Import, 'from' | 'specifier'>): string =>
  relative(SRC, resolve(SRC, dirname(from), specifier))
const packageOf = (specifier: string): string =>
  specifier.startsWith('@')
    ? specifier.split('/').slice(0, 2).join('/')
    : (specifier.split('/')[0] ?? specifier)

function isAllowed(one: Import): boolean {
  const from = moduleOf(one.from)
  const target = targetOf(one)
  const to = moduleOf(target)
  if (from === to || to === 'base') return true
  const allowed = MAY_IMPORT[from] ?? []
  return allowed.some((rule) => rule === '*' || rule === to || rule === target)
}

describe('import rules', () => {
  it('keeps to the diagram of the design', () => {
    const broken = imports.filter((one) => isRelative(one.specifier) && !isAllowed(one))
    expect(broken.map((one) => `${one.from} → ${targetOf(one)}`)).toEqual([])
  })

  it('knows every top-level folder of src', () => {
    const unknown = readdirSync(SRC).filter((name) => MAY_IMPORT[name] === undefined)
    expect(unknown).toEqual([])
  })

  it('has one importer for each library', () => {
    const builtIns = imports.filter(({ specifier }) => ONE_IMPORTER[specifier] !== undefined)
    const wrong = builtIns.filter(({ from, specifier }) => !from.startsWith(ONE_IMPORTER[specifier] ?? ''))
    expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([])

    const importers = new Map<string, Set<string>>()
    for (const { from, specifier } of imports) {
      if (isRelative(specifier) || specifier.startsWith('node:')) continue
      const name = packageOf(specifier)
      importers.set(name, (importers.get(name) ?? new Set()).add(from))
    }
    // commander's types are named where a verb's flags are declared; the parser itself is made in one place.
    const hasFolder = (name: string): boolean =>
      name === 'commander' || ONE_IMPORTER[name]?.endsWith('/') === true
    const several = [...importers].filter(([name, files]) => !hasFolder(name) && files.size > 1)
    expect(several.map(([name, files]) => `${name}: ${[...files].join(', ')}`)).toEqual([])
  })

  it('has no import cycle', () => {
    const graph = new Map<string, string[]>()
    for (const one of imports) {
      if (isRelative(one.specifier) && !one.isTypeOnly)
        graph.set(one.from, [...(graph.get(one.from) ?? []), targetOf(one)])
    }
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
        return
      }
      if (done.has(file)) return
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
    for (const file of graph.keys()) visit(file, [])
    expect(cycles).toEqual([])
  })
})

describe('habits', () => {
  it('keeps files under the limit', () => {
    const long = sources.filter((path) => readFileSync(path, 'utf8').split('\n').length > MAX_FILE_LINES)
    expect(long.map(nameOf)).toEqual([])
  })

  it('reads the clock only where it is owned', () => {
    const readers = sources.filter((path) => {
      if (CLOCK_OWNERS.some((owner) => nameOf(path).startsWith(owner))) return false
      const code = readFileSync(path, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      return /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|(?<![.\w])set(?:Timeout|Interval)\(/.test(code)
    })
    expect(readers.map(nameOf)).toEqual([])
  })

  it('has four files in base', () => {
    expect(
      readdirSync(join(SRC, 'base'))
        .filter((name) => name.endsWith('.ts'))
        .sort(),
    ).toEqual(['brand.ts', 'clock.ts', 'secret.ts', 'unreachable.ts'])
  })

  it('has a short README in every module, and a short one for the project', () => {
    const modules = readdirSync(SRC).filter((name) => statSync(join(SRC, name)).isDirectory())
    for (const name of modules) {
      const lines = readFileSync(join(SRC, name, 'README.md'), 'utf8')
        .trimEnd()
        .split('\n').length
      expect(lines, `src/${name}/README.md`).toBeLessThanOrEqual(MAX_README_LINES)
    }
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8').trimEnd().split('\n').length
    expect(readme).toBeLessThanOrEqual(MAX_PROJECT_README_LINES)
  })

  it('has no demo switch in src', () => {
    const demo = sources.filter((path) => /\bdemo\b/i.test(readFileSync(path, 'utf8')))
    expect(demo.map(nameOf)).toEqual([])
  })

  it('speaks of an RFC as supported only where code or a test names it', () => {
    const table = readFileSync(join(ROOT, 'docs/protocol-support.md'), 'utf8')
    const supported = [...table.matchAll(/^\|\s*RFC (\d+)\s*\|[^|]*\|\s*(?:Yes|Partly)/gm)].map(
      (match) => match[1],
    )
    const everything = [
      ...sources,
      ...filesBelow(join(ROOT, 'test')).filter((path) => /\.(?:ts|dialog)$/.test(path)),
    ]
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n')
    const silent = supported.filter((number) => !new RegExp(`RFC ${number}\\b`).test(everything))
    expect(supported.length).toBeGreaterThan(0)
    expect(silent).toEqual([])
  })
})
