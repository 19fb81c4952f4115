import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type MimeRecipe, RecipeMismatchError } from '../../../../src/bridge/mime/mime-recipe.ts'
import { renderMessage } from '../../../../src/bridge/render/render-message.ts'
import { collect, GOOD, messageToRender } from '../../../support/render-input.ts'

const body = '--b\r\nContent-Type: text/plain\r\n\r\nexact  \r\n--b--\r\n'
const recipe: MimeRecipe = {
  version: 1,
  header: [
    'Message-ID: <m1@bob.example.net>\r\n',
    'Date: Tue, 3 Feb 2026 10:15:00 +0100\r\n',
    'Content-Type: multipart/signed; boundary=b\r\n',
  ],
  size: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
  segments: [{ literal: body }],
}
const openEntry = () => {
  throw new Error('no entry is asked for')
}
const render = async (changes: Parameters<typeof messageToRender>[0]) =>
  (await collect(renderMessage(messageToRender(changes)))).toString('latin1')

describe('a message with a recipe', () => {
  it('is served with the original octets below our fields, each field once', async () => {
    const octets = await render({ recipe: { recipe, openEntry } })
    const end = octets.indexOf('\r\n\r\n') + 4
    expect(octets.slice(end)).toBe(body)
    const names = octets
      .slice(0, end - 4)
      .split(/\r\n(?! )/)
      .map((field) => field.split(':')[0])
    expect(names.slice(-7)).toEqual([
      'X-CM-Received-From',
      'From',
      'To',
      'Subject',
      'Message-ID',
      'Date',
      'Content-Type',
    ])
    expect(octets).toContain('Message-ID: <m1@bob.example.net>\r\n')
  })

  it('is shown from its parts when it is not verified', async () => {
    const octets = await render({
      recipe: { recipe, openEntry },
      verdict: { ...GOOD, reason: 'key-collision', show: 'text-only' },
    })
    expect(octets).not.toContain('m1@bob.example.net')
    expect(octets).not.toContain('exact')
    expect(octets).toContain('[Confidant Bridge: Good signature with key collision')
  })

  it('fails as a whole when the recipe lies', async () => {
    const lie = { ...recipe, sha256: '0'.repeat(64) }
    await expect(render({ recipe: { recipe: lie, openEntry } })).rejects.toBeInstanceOf(RecipeMismatchError)
  })
})

describe('the text of a message', () => {
  it('comes from the HTML when there is no BODY.TXT', async () => {
    const octets = await render({ bodyText: undefined, bodyHtml: '<p>only <b>html</b></p>' })
    expect(octets).toContain('\r\n\r\nonly html\r\n')
  })

  it('comes from the rich text when that is all there is', async () => {
    const xml =
      '<richtext><paragraphlayout><paragraph><text>rich</text></paragraph></paragraphlayout></richtext>'
    const octets = await render({
      bodyText: undefined,
      bodyXml: xml,
      verdict: { ...GOOD, reason: 'not-signed', signature: 'none', show: 'text-only' },
    })
    expect(octets).toContain('\r\n\r\nrich\r\n')
    expect(octets).not.toContain('text/html')
  })

  it('falls back to BODY.HTML when BODY.XML is broken', async () => {
    const octets = await render({ bodyXml: '<!DOCTYPE x>', bodyHtml: '<p>html</p>' })
    expect(octets).toContain('<p>html</p>')
  })

  it('turns pictures in the HTML into parts and drops remote ones', async () => {
    const octets = await render({
      bodyHtml:
        '<img src="data:image/png;base64,iVBORw0KGgo="><img src="https://example.com/x.png" alt="remote">',
    })
    expect(octets).toContain('Content-ID: <image1.4444444444444444444444444444444444444444@cm.invalid>')
    expect(octets).toContain('src="cid:image1.')
    expect(octets).not.toContain('example.com/x.png')
    expect(octets).not.toContain('data:image')
  })
})

describe('attachments', () => {
  it('of M27 come out in order under safe, different names', async () => {
    const names = [
      '../../escaped.txt',
      '..\\..\\escaped.txt',
      'Auftrag_225/2385/5648.pdf',
      'report.pdf',
      'REPORT.PDF',
      'report.pdf',
      'CON.txt',
      'evil\0.txt',
      '',
      '_under.txt',
      '.hidden',
    ]
    const attachments = names.map((name, index) => ({
      name,
      open: async function* () {
        yield Buffer.from(`content ${index}`)
      },
    }))
    const octets = await render({ attachments })
    const shown = [...octets.matchAll(/filename="([^"]*)"/g)].map((match) => match[1] ?? '')
    expect(shown).toHaveLength(11)
    expect(new Set(shown.map((name) => name.toLowerCase())).size).toBe(11)
    for (const name of shown) expect(name).not.toMatch(/[/\\\0]|^\.|^con\./i)
    const contents = [...octets.matchAll(/\r\n\r\n(Y29u[A-Za-z0-9+/=]+)\r\n/g)].map((match) =>
      Buffer.from(match[1] ?? '', 'base64').toString(),
    )
    expect(contents).toEqual(names.map((_name, index) => `content ${index}`))
  })

  it('are opened one after the other, when their turn has come', async () => {
    const events: string[] = []
    const attachments = ['a', 'b'].map((name) => ({
      name,
      open: async function* () {
        events.push(`open ${name}`)
        yield Buffer.from(name)
        events.push(`end ${name}`)
      },
    }))
    await render({ attachments })
    expect(events).toEqual(['open a', 'end a', 'open b', 'end b'])
  })
})

describe('the account’s own Bcc line', () => {
  it('is the only one', async () => {
    const octets = await render({
      ownBcc: [{ keyId: GOOD.signer!, userId: 'Al <al@example.org>', headerText: '' }],
    })
    expect(octets.match(/^Bcc: .*$/gm)).toEqual(['Bcc: "Al" <al@example.org>'])
  })
})
