import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../../src/imap/commands/index.ts'
import type { ServerTlsContext } from '../../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'
import { playDialog } from '../../support/imap-dialog.ts'

const DIRECTORY = fileURLToPath(new URL('.', import.meta.url))
const SCRIPTS = readdirSync(DIRECTORY).filter((name) => name.endsWith('.dialog'))

let tls: ServerTlsContext

beforeAll(async () => {
  tls = createServerTls(await createCmServerCertificate({ names: ['localhost'], nowMs: Date.now() }))
})

describe('IMAP dialogs', () => {
  it.each(SCRIPTS)('%s', async (name) => {
    const script = readFileSync(`${DIRECTORY}${name}`, 'utf8')
    expect(script).toMatch(/^# .*RFC \d+/)
    // STARTTLS is offered only where the script asks for another machine.
    await playDialog(script, script.includes('\n@remote') ? tls : undefined)
  })

  it.each(COMMANDS.map(({ name }) => name))('%s has a dialog', (name) => {
    expect(SCRIPTS).toContain(`${name.toLowerCase()}.dialog`)
  })
})
