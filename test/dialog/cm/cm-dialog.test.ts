import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../../src/cm/server/command.ts'
import type { TxtAnswer } from '../../../src/net/dns-txt.ts'
import { playCmDialog } from '../../support/cm-dialog.ts'
import { startTestCmServer } from '../../support/cm-server-support.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const DIALOGS = readdirSync(FOLDER).filter((name) => name.endsWith('.dialog'))

/** The blocks in the dialogs are dated around it. */
const NOW_MS = Date.parse('2026-11-25T09:43:20Z')
const ACCOUNTS = {
  ACCOUNTKEY000003: 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344',
  ACCOUNTKEY000004: 'undefined',
  ACCOUNTKEY000005: 'disabled',
  ACCOUNTKEY000006: 'B1B2C3D4E5F60718293A4B5C6D7E8F9011223355',
  ADMINKEY00000001: 'administrator',
  REPLICATIONKEY01: 'replication',
}
const NAMES: Readonly<Record<string, TxtAnswer>> = {
  'cmsvr.example.org': { kind: 'records', records: [['v=spf1 -all'], ['server=127.0.0.1:18080']] },
  'cmsvr.empty.example': { kind: 'records', records: [] },
  'cmsvr.two.example': { kind: 'records', records: [['server=127.0.0.1:1', ',127.0.0.1:2']] },
  'cmsvr.broken.example': { kind: 'failed' },
  'cmsvr.hostile.example': {
    kind: 'records',
    records: [['x\r\nEndBlock'], ['\xe4\0'], ['y'.repeat(256)]],
  },
}

describe('CM dialogs', () => {
  it.each(DIALOGS)('%s', async (name) => {
    const shutdowns: string[] = []
    const server = await startTestCmServer({
      nowMs: NOW_MS,
      accounts: ACCOUNTS,
      relay: {},
      context: (context) => ({
        ...context,
        resolveTxt: async (domain) => NAMES[domain] ?? { kind: 'none' },
        onShutdown: () => shutdowns.push(name),
      }),
    })
    try {
      await playCmDialog(`${FOLDER}${name}`, server.port)
      expect(server.errors).toEqual([])
      await expect.poll(() => shutdowns).toEqual(name === 'shutdown.dialog' ? [name] : [])
    } finally {
      await server.close()
    }
  })

  it('have one file for each command', () => {
    const files = new Set(DIALOGS.map((name) => name.replace('.dialog', '')))
    const wanted = COMMANDS.map(({ name }) => name.toLowerCase().replace(' ', '-'))
    expect(wanted.filter((name) => !files.has(name))).toEqual([])
  })
})
