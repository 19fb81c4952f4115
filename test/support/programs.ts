import { spawnSync } from 'node:child_process'

/** True when the program is installed; otherwise prints why the tests that need it are skipped. */
export function hasProgram(name: string): boolean {
  if (spawnSync(name, ['--version']).error === undefined) return true
  console.log(`skipped: ${name} is not installed`)
  return false
}
