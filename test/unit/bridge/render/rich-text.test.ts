import { describe, expect, it } from 'vitest'
import { richTextToHtml } from '../../../../src/bridge/render/rich-text.ts'

const name = (number: number) => `image${number}@cm.invalid`
const document = (inside: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<richtext version="1.0.0.0" xmlns="http://www.wxwidgets.org"><paragraphlayout>${inside}</paragraphlayout></richtext>`
const html = (inside: string) => richTextToHtml(document(inside), name)?.html

describe('richTextToHtml', () => {
  it.each([
    [
      'paragraphs',
      '<paragraph><text>one</text></paragraph><paragraph><text>two</text></paragraph>',
      '<p>one</p>\n<p>two</p>\n',
    ],
    ['an empty paragraph', '<paragraph><text></text></paragraph>', '<p><br></p>\n'],
    ['quoted blanks at the edges', '<paragraph><text>" one "</text></paragraph>', '<p> one </p>\n'],
    [
      'what the user typed as markup',
      '<paragraph><text>&lt;b&gt; &amp; &quot;x&quot;</text></paragraph>',
      '<p>&lt;b&gt; &amp; &quot;x</p>\n',
    ],
    ['references beyond ASCII', '<paragraph><text>P&#345;&#xed;</text></paragraph>', '<p>Pří</p>\n'],
    [
      'symbols',
      '<paragraph><symbol>34</symbol><text>a</text><symbol>29</symbol><text>b</text></paragraph>',
      '<p>&quot;a<br>b</p>\n',
    ],
    [
      'a character that came as two symbols',
      '<paragraph><symbol>55357</symbol><symbol>56832</symbol></paragraph>',
      '<p>😀</p>\n',
    ],
    [
      'bold, italic, underlined',
      '<paragraph><text fontweight="92" fontstyle="93" fontunderlined="1">x</text></paragraph>',
      '<p><u><i><b>x</b></i></u></p>\n',
    ],
    [
      'colours and fonts',
      '<paragraph><text textcolor="#FF0000" fontpointsize="12" fontface="Times New Roman">x</text></paragraph>',
      '<p><font size="3" face="Times New Roman"><span style="color:#FF0000">x</span></font></p>\n',
    ],
    [
      'a colour that is code',
      '<paragraph><text textcolor="red;background:url(x)">x</text></paragraph>',
      '<p>x</p>\n',
    ],
    [
      'a link',
      '<paragraph><text url="https://example.org/?a=1&amp;b=2">x</text></paragraph>',
      '<p><a href="https://example.org/?a=1&amp;b=2">x</a></p>\n',
    ],
    [
      'a link that is a script',
      '<paragraph><text url="javascript:alert(1)">x</text></paragraph>',
      '<p>x</p>\n',
    ],
    [
      'alignment and bullets',
      '<paragraph alignment="2" bulletstyle="1" bulletnumber="3"><text>x</text></paragraph>',
      '<p align="center">3. x</p>\n',
    ],
    ['unknown objects', '<table><paragraph><text>cell</text></paragraph></table>', '<p>cell</p>\n'],
  ])('converts %s', (_what, inside, expected) => {
    expect(html(inside)).toBe(expected)
  })

  it('takes pictures out', () => {
    const result = richTextToHtml(
      document('<paragraph><image imagetype="15"><data>89504E\n47</data></image></paragraph>'),
      name,
    )
    expect(result).toEqual({
      html: '<p><img src="cid:image1@cm.invalid" alt=""></p>\n',
      images: [
        {
          contentId: 'image1@cm.invalid',
          mediaType: 'image/png',
          bytes: Buffer.from([0x89, 0x50, 0x4e, 0x47]),
        },
      ],
    })
  })

  it.each([
    ['a DTD', `<!DOCTYPE x [<!ENTITY a "b">]>${document('')}`],
    ['an entity of its own', document('<paragraph><text>&a;</text></paragraph>')],
    ['tags out of order', document('<paragraph><text></paragraph></text>')],
    ['no end', '<richtext><paragraphlayout>'],
    ['nothing', ''],
    ['another root', '<html><body>x</body></html>'],
    ['depth without end', `${'<richtext>'.repeat(100)}${'</richtext>'.repeat(100)}`],
    ['an attribute twice', '<richtext a="1" a="2"></richtext>'],
    ['a bare ampersand', document('<paragraph><text>a & b</text></paragraph>')],
    ['a character that does not exist', document('<paragraph><text>&#x110000;</text></paragraph>')],
  ])('has nothing to show for %s', (_what, xml) => {
    expect(richTextToHtml(xml, name)).toBeUndefined()
  })

  it('reads a megabyte of junk in no time', () => {
    for (const junk of ['<richtext ', '<', '&#1;', '<a b="', '<!--', '<richtext>   ']) {
      expect(richTextToHtml(junk.repeat(1_000_000 / junk.length), name)).toBeUndefined()
    }
  })
})
