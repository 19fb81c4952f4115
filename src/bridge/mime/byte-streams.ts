const CRLF = '\r\n'

/** Base64 of a stream in lines of `lineLength` characters, CRLF between them and none at the end; 0 is one line. */
export async function* encodeBase64Lines(
  source: AsyncIterable<Uint8Array>,
  lineLength: number,
): AsyncGenerator<Uint8Array> {
  let pending: Buffer = Buffer.alloc(0)
  let column = 0
  for await (const chunk of source) {
    const bytes = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const whole = bytes.length - (bytes.length % 3)
    pending = Buffer.from(bytes.subarray(whole))
    if (whole === 0) continue
    const lines = wrap(base64(bytes.subarray(0, whole)), lineLength, column)
    column = lines.column
    yield Buffer.from(lines.text, 'latin1')
  }
  if (pending.length > 0) yield Buffer.from(wrap(base64(pending), lineLength, column).text, 'latin1')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Goes on at `column` of a line; a full line is broken only when more text comes. */
function wrap(
  text: string,
  lineLength: number,
  column: number,
): { readonly text: string; readonly column: number } {
  if (lineLength === 0) return { text, column: 0 }
  const lines: string[] = []
  let position = Math.min(lineLength - column, text.length)
  lines.push(text.slice(0, position))
  let last = column + position
  while (position < text.length) {
    const line = text.slice(position, position + lineLength)
    lines.push(line)
    position += line.length
    last = line.length
  }
  return { text: lines.join(CRLF), column: last }
}

/** Octets that `encodeBase64Lines` makes of so many. */
export function base64LinesLength(size: number, lineLength: number): number {
  const characters = Math.ceil(size / 3) * 4
  const breaks = lineLength === 0 || characters === 0 ? 0 : Math.ceil(characters / lineLength) - 1
  return characters + breaks * CRLF.length
}

/** A stream without its first octets. */
export async function* skipBytes(
  source: AsyncIterable<Uint8Array>,
  count: number,
): AsyncGenerator<Uint8Array> {
  let left = count
  for await (const chunk of source) {
    const rest = chunk.subarray(Math.min(left, chunk.length))
    left -= chunk.length - rest.length
    if (rest.length > 0) yield rest
  }
}

/** Whether two streams are the same octets; reading stops at the first that differ. */
export async function hasSameBytes(
  one: AsyncIterable<Uint8Array>,
  other: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const others = other[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array(0)
  try {
    for await (const chunk of one) {
      let position = 0
      while (position < chunk.length) {
        if (rest.length === 0) {
          const next = await others.next()
          if (next.done === true) return false
          rest = next.value
        }
        const length = Math.min(rest.length, chunk.length - position)
        if (Buffer.compare(chunk.subarray(position, position + length), rest.subarray(0, length)) !== 0)
          return false
        position += length
        rest = rest.subarray(length)
      }
    }
    return rest.length === 0 && (await isAtEnd(others))
  } finally {
    await others.return?.()
  }
}

async function isAtEnd(iterator: AsyncIterator<Uint8Array>): Promise<boolean> {
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    if (next.value.length > 0) return false
  }
  return true
}
