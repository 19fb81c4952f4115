import { readFileSync } from 'node:fs'
import { WireClient } from './cm-server-support.ts'

const STEP = /^([2-9])?(C:|C\\|S:|S~|S\\|TLS|EOF)(?: (.*))?$/

/**
 * Plays a CM `.dialog` file against a server. Lines: `#` comment; `C: text` sends a line, `C\ raw` octets without line
 * end (`\r \n \xNN`); `S: text` the exact next line, `S~ regex` the next line, `S\ raw` the exact next octets; `TLS` the
 * handshake; `EOF` the server has closed and said nothing more. A leading digit names another connection (`2C: PING`).
 */
export async function playCmDialog(path: string, port: number): Promise<void> {
  const clients = new Map<string, WireClient>()
  try {
    for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
      if (line.startsWith('#') || line === '') continue
      const step = STEP.exec(line)
      if (step === null) throw new Error(`${path}:${index + 1}: not a line of a dialog: ${line}`)
      const name = step[1] ?? '1'
      const client = clients.get(name) ?? (await WireClient.connect(port))
      clients.set(name, client)
      await playStep(client, step[2] ?? '', step[3] ?? '').catch((cause: Error) => {
        throw new Error(`${path}:${index + 1}: ${line}\n${cause.message}`, { cause })
      })
    }
  } finally {
    for (const client of clients.values()) client.destroy()
  }
}

async function playStep(client: WireClient, kind: string, text: string): Promise<void> {
  switch (kind) {
    case 'C:':
      return client.send(Buffer.from(`${text}\r\n`))
    case 'C\\':
      return client.send(rawOctets(text))
    case 'S:':
      return same(await client.line(), Buffer.from(text).toString('latin1'))
    case 'S~': {
      const line = await client.line()
      if (!new RegExp(`^(?:${text})$`).test(line)) throw new Error(`the server said ${JSON.stringify(line)}`)
      return
    }
    case 'S\\':
      return same(
        (await client.octets(rawOctets(text).length)).toString('latin1'),
        rawOctets(text).toString('latin1'),
      )
    case 'TLS':
      return client.startTls()
    default:
      return same(await client.closed(), '')
  }
}

function same(got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`the server said ${JSON.stringify(got)}`)
}

function rawOctets(text: string): Buffer {
  const unescaped = Buffer.from(text)
    .toString('latin1')
    .replace(/\\(?:x([0-9a-f]{2})|([rnt\\]))/g, (_, hex: string | undefined, letter: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      return { r: '\r', n: '\n', t: '\t', '\\': '\\' }[letter ?? ''] ?? ''
    })
  return Buffer.from(unescaped, 'latin1')
}
