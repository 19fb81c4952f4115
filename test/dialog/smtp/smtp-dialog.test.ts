import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'
import { playSmtpDialog } from '../../support/smtp-dialog.ts'
import { startTestServer } from '../../support/smtp-test-server.ts'

const OURS = fileURLToPath(new URL('.', import.meta.url))
const CASES = fileURLToPath(new URL('../../golden/cases/', import.meta.url))

const files = [
  ...readdirSync(OURS).map((name) => ({ name, path: `${OURS}${name}` })),
  ...readdirSync(CASES)
    .filter((name) => name.startsWith('S'))
    .map((name) => ({ name, path: `${CASES}${name}` })),
].filter(({ name }) => name.endsWith('.dialog'))

describe('SMTP dialogs', () => {
  it.for(files)('$name', async ({ path }) => {
    await using test = await startTestServer()
    await playSmtpDialog(path, { port: test.port })
  })
})
