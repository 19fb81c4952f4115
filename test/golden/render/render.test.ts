import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { renderMessage } from '../../../src/bridge/render/render-message.ts'
import { collect, readGoldenInput } from '../../support/render-input.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

describe('rendered messages', () => {
  it.for(names)('%s is what it was', async (name) => {
    const rendered = await collect(renderMessage(readGoldenInput(`${FOLDER}${name}/input.json`)))
    await expect(rendered.toString('latin1')).toMatchFileSnapshot(`${FOLDER}${name}/expected.eml`)
  })
})
