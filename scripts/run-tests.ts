import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * Runs Vitest on this Node with what tests need and nothing from outside: no settings of the machine's own bridge, UTC,
 * a compile cache (programs that tests start come up in half the time), and CI mode, in which snapshots are never
 * written silently. Arguments go to Vitest. Ends with its exit code.
 */

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs')
const root = dirname(import.meta.dirname)

const outside = Object.entries(process.env).filter(([name]) => !name.startsWith('CMBRIDGE_'))
const environment = {
  ...Object.fromEntries(outside),
  CI: 'true',
  TZ: 'UTC',
  NODE_COMPILE_CACHE: join(root, '.cache', 'compiled'),
}
const child = spawn(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: environment,
})
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
