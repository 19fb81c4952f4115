import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runProgram } from '../support/command-line.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** `bin/cmbridge.mjs`, on the Node a newcomer has. */

const LAUNCHER = fileURLToPath(new URL('../../bin/cmbridge.mjs', import.meta.url))

/** An installed Node of the system that is older than ours, when there is one. */
function olderNode(): string | undefined {
  const candidates = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => !directory.includes('node_modules'))
    .map((directory) => join(directory, 'node'))
    .filter((path) => existsSync(path))
  return candidates.find((path) => {
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout
    return /^v(18|20|22)\./.test(version)
  })
}

const older = olderNode()
if (older === undefined) console.log('no Node 18, 20 or 22 here: the launcher is tested on this Node only')
const nodes = older === undefined ? [process.execPath] : [process.execPath, older]

/** A copy of the launcher without packages, beside a main.ts that is plain enough for any Node. */
function lonelyCopy(main: string): string {
  const directory = shortDirectory()
  mkdirSync(join(directory, 'bin'))
  mkdirSync(join(directory, 'src'))
  copyFileSync(LAUNCHER, join(directory, 'bin', 'cmbridge.mjs'))
  writeFileSync(join(directory, 'src', 'main.ts'), main)
  return join(directory, 'bin', 'cmbridge.mjs')
}

describe.each(nodes)('the launcher on %s', (node) => {
  it('starts the program on the Node of the project', async () => {
    const { exitCode, stdout } = await runProgram(node, [LAUNCHER, 'version', '--json'])
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ node: expect.stringMatching(/^24\./) })
  })

  it('hands on the exit code', async () => {
    expect((await runProgram(node, [LAUNCHER, 'nonsense'])).exitCode).toBe(2)
  })
})

describe('the launcher', () => {
  it('starts on an installed Node when the project has none', async () => {
    const { exitCode, stdout } = await runProgram(process.execPath, [
      lonelyCopy('console.log("up"); process.exit(3)'),
    ])
    expect([exitCode, stdout]).toEqual([3, 'up\n'])
  })

  it('sets a compile cache of the user', async () => {
    const launcher = lonelyCopy('console.log(process.env.NODE_COMPILE_CACHE)')
    const { stdout } = await runProgram(process.execPath, [launcher], { XDG_CACHE_HOME: '/tmp/c' })
    expect(stdout).toBe('/tmp/c/cmbridge/compiled\n')
  })

  it('hands on signals and ends as the program did', async () => {
    const launcher = lonelyCopy(`
      process.on('SIGTERM', () => { console.log('asked'); process.exit(7) })
      setInterval(() => undefined, 1000)
      console.log('up')`)
    const child = spawn(process.execPath, [launcher], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [output] = (await once(child.stdout, 'data')) as [Buffer]
    const [code] = (await once(child, 'exit')) as [number]
    expect([output.toString(), code]).toEqual(['asked\n', 7])
  })

  it.skipIf(older === undefined)('says in one line what to install when no Node is new enough', async () => {
    const empty = shortDirectory()
    chmodSync(empty, 0o755)
    const { exitCode, stderr } = await runProgram(older ?? '', [lonelyCopy('')], { PATH: empty })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(
      /^cmbridge: needs Node 24\.12 or newer and found \d+\.\d+\.\d+: run "npm install"[^\n]*\n$/,
    )
  })
})
