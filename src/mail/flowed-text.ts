/**
 * Joins the flowed lines of `format=flowed` text (RFC 3676 4). `delSp` drops the blank that marked the break
 * (`DelSp=yes`). Lines end in LF; quote depth and the signature separator `-- ` end a paragraph.
 */
export function unflow(text: string, delSp: boolean): string {
  const paragraphs: string[] = []
  let pieces: string[] = []
  let depth = 0
  const close = () => {
    if (pieces.length > 0) paragraphs.push(quoted(depth, pieces.join('')))
    pieces = []
  }
  for (const line of text.split('\n')) {
    const lineDepth = /^>*/.exec(line)?.[0].length ?? 0
    // RFC 3676 4.4: one blank after the quote marks is stuffing.
    const content = line.slice(lineDepth).replace(/^ /, '')
    const isSeparator = content === '-- '
    if (lineDepth !== depth || isSeparator) close()
    depth = lineDepth
    const isFlowed = content.endsWith(' ') && !isSeparator
    pieces.push(isFlowed && delSp ? content.slice(0, -1) : content)
    if (!isFlowed) close()
  }
  close()
  return paragraphs.join('\n')
}

function quoted(depth: number, text: string): string {
  return depth === 0 ? text : `${'>'.repeat(depth)} ${text}`
}
