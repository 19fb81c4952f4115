import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../../src/cm/server/command.ts'
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
  ADMINKEY00000001: 'administrator',
}

describe('CM dialogs', () => {
  it.each(DIALOGS)('%s', async (name) => {
    const server = await startTestCmServer({ nowMs: NOW_MS, accounts: ACCOUNTS })
    try {
      await playCmDialog(`${FOLDER}${name}`, server.port)
      expect(server.errors).toEqual([])
    } finally {
      await server.close()
    }
  })

  it('have one file for each command', () => {
    const files = new Set(DIALOGS.map((name) => name.replace('.dialog', '')))
    const wanted = COMMANDS.map(({ name, action }) =>
      action === 'failed' || action === 'not-found' ? 'not-offered' : name.toLowerCase().replace(' ', '-'),
    )
    expect(wanted.filter((name) => !files.has(name))).toEqual([])
  })
})
