import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { richTextToHtml } from '../../../src/bridge/render/rich-text.ts'
import { sanitizeHtml } from '../../../src/bridge/sanitize-html.ts'
import { indexMessage } from '../../../src/mail/index-message.ts'
import { chunked } from '../../support/mail-files.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const CASES = fileURLToPath(new URL('../../golden/cases/', import.meta.url))

/** A message of a mail program: read once, the same however its octets are cut. */
export const mimeMessages: FuzzTarget = {
  name: 'mime-messages',
  seeds: () =>
    readdirSync(CASES)
      .filter((name) => name.endsWith('.eml'))
      .map((name) => readFileSync(`${CASES}${name}`))
      .filter((bytes) => bytes.length < 64 * 1024),
  async run(input) {
    const whole = await indexMessage(chunked(input, input.length || 1))
    const cut = await indexMessage(chunked(input, 7))
    mustHold(JSON.stringify(whole) === JSON.stringify(cut), 'the index does not depend on the chunks')
  },
}

const XML = `<?xml version="1.0" encoding="UTF-8"?>
<richtext version="1.0.0.0" xmlns="http://www.wxwidgets.org"><paragraphlayout textcolor="#000000">
<paragraph alignment="2"><text fontweight="92" url="http://example.org/">"bold "</text><symbol>34</symbol></paragraph>
<paragraph bulletstyle="1"><image imagetype="15"><data>89504E470D0A1A0A</data></image></paragraph>
</paragraphlayout></richtext>`
const HTML =
  '<p onclick=x>hi <b>there</b><a href="http://example.org">x</a><img src="cid:1"><script>y</script>'

/** Bodies that come as markup: nothing that runs or loads survives. */
export const markup: FuzzTarget = {
  name: 'markup',
  seeds: () => [Buffer.from(XML), Buffer.from(HTML)],
  async run(input) {
    const text = Buffer.from(input).toString()
    const rich = richTextToHtml(text, (number) => `image-${number}`)
    for (const html of [sanitizeHtml(text), sanitizeHtml(rich?.html ?? '', { allowCidImages: true })]) {
      mustHold(!/<(script|style|iframe|object|form|base|meta|link)\b/i.test(html), 'no active element')
      const unquoted = html.replace(/"[^"]*"/g, '""')
      mustHold(!/<[^>]*\s(on\w+|style)\s*=/i.test(unquoted), 'no handler or style attribute')
      mustHold(!/<[^>]*\b(?:src|href)\s*=\s*["']?\s*(?:javascript|file|data):/i.test(html), 'no active link')
    }
  },
}
