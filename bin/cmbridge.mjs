#!/usr/bin/env node
// Starts Confidant Bridge on a Node that can run it. This file is plain JavaScript for Node 18 and newer, because that
// is what a newcomer has; everything else is TypeScript and needs Node 24.12.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED = [24, 12]
const PROGRAM = process.platform === 'win32' ? 'node.exe' : 'node'
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
}

/** The Node that comes with the project's own packages, wherever the package manager put it. */
function ownNode() {
  try {
    const directory = dirname(createRequire(import.meta.url).resolve('node/package.json'))
    const path = join(directory, 'bin', PROGRAM)
    return existsSync(path) ? path : undefined
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** This Node, or another one in PATH, when it is new enough. */
function installedNode() {
  if (isNewEnough(process.versions.node)) return process.execPath
  const places = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '')
  return places
    .map((directory) => join(directory, PROGRAM))
    .filter((path) => existsSync(path))
    .find((path) => isNewEnough(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''))
}

/** In the user's own cache: compiled code is run as it is found there. */
function compileCache() {
  const { NODE_COMPILE_CACHE, XDG_CACHE_HOME } = process.env
  return NODE_COMPILE_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'cmbridge', 'compiled')
}

function start(node) {
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache() }
  const child = spawn(node, [MAIN, ...process.argv.slice(2)], { stdio: 'inherit', env })
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`cmbridge: cannot start ${node}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

const node = ownNode() ?? installedNode()
if (node === undefined) {
  console.error(
    `cmbridge: needs Node ${NEEDED.join('.')} or newer and found ${process.versions.node}: ` +
      'run "npm install" in the project (it brings its own), or install Node 24',
  )
  process.exitCode = 1
} else {
  start(node)
}
