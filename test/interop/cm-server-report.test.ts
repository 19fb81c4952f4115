import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { DEFAULT_MAX_AGES } from '../../src/cm/block-verdict.ts'
import type { BlockKey } from '../../src/cm/ids.ts'
import { CmBlockStore } from '../../src/store/cm-blocks.ts'
import { realClock } from '../support/cm-client-support.ts'
import { cmbridgeHere } from '../support/command-line.ts'

const KEY_ID = 'c'.repeat(40)

let directory: string
let store: CmBlockStore | undefined

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-report-'))
  store = await CmBlockStore.open(directory, {
    clock: realClock(),
    randomBytes,
    maxAges: DEFAULT_MAX_AGES,
    onFailure: () => undefined,
  })
  const text = 'Type: key-announcement\n'
  const record = (key: string, dateMs: number) => ({ identity: key, dateMs, text })
  const nowMs = Date.now()
  const old = record('d'.repeat(40), nowMs - 32 * duration.day)
  for (const each of [record(KEY_ID, nowMs), old]) {
    await store.store({ type: 'key-announcement', key: each.identity as BlockKey, records: [each] })
  }
})

afterEach(async () => {
  await store?.close()
  rmSync(directory, { recursive: true })
})

async function run(...args: readonly string[]): Promise<string> {
  const result = await cmbridgeHere(['--data', directory, ...args])
  expect(result).toMatchObject({ exitCode: 0, stderr: '' })
  return result.stdout
}

describe('cmbridge cm-server report', () => {
  it('shows each key in text, CSV and JSON while the server has its blocks open', async () => {
    expect(await run('cm-server', 'report')).toMatch(new RegExp(`^${KEY_ID} +512 `, 'm'))
    const [header, ...lines] = (await run('cm-server', 'report', '--csv', '--block-size', '1'))
      .trim()
      .split('\n')
    expect(header).toMatch(/^keyId,totalBytes,/)
    expect(lines.map((line) => line.split(',').slice(0, 2))).toContainEqual([KEY_ID, '23'])
    const json = JSON.parse(await run('--json', 'cm-server', 'report')) as Record<string, unknown>
    expect(json).toMatchObject({ total: { keyBytes: 1024 } })
  })

  it('says in one line that there is no server', async () => {
    const result = await cmbridgeHere(['--data', join(directory, 'payloads'), 'cm-server', 'report'])
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(result.stderr).toContain('there is no CM server')
  })
})

describe('cmbridge cm-server prune', () => {
  it('says what it would remove beside a running server, and removes it when none runs', async () => {
    const dry = JSON.parse(await run('--json', 'cm-server', 'prune', '--dry-run')) as Record<string, unknown>
    expect(dry).toMatchObject({ dryRun: true, records: 1, bytes: 23 })
    await store?.close()
    store = undefined
    expect(await run('cm-server', 'prune')).toContain('1 record removed, 23 octets')
    expect(await run('cm-server', 'prune', '--dry-run')).toContain('0 records would be removed')
  })

  it('goes by the ages of the settings', async () => {
    const days = ['--set', 'cmServer.keyMaxAgeDays=40']
    expect(await run(...days, 'cm-server', 'prune', '--dry-run')).toContain('0 records would be removed')
  })
})
