import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SmtpPeer } from './smtp-peer.ts'

/**
 * Plays an SMTP `.dialog` file. Lines: `#`/`@` comment, `SETUP` words for people, `CONN n` another connection,
 * `CLOSE`, `HELLO` logs in, `C: text` a line, `C\ raw` escapes without line end, `C< file` octets, `D< file` dot-stuffed
 * with the final dot, `S: text` the exact next line, `S~ regex` reads up to a match, `S! regex` must not have come since
 * the last send, `EOF` the server has closed, `TLS` handshake, `LET name regex`. `$NAME` and `{b64:a\0b}` are filled in.
 */
export async function playSmtpDialog(
  path: string,
  options: { readonly port: number; readonly values?: Readonly<Record<string, string>> },
): Promise<void> {
  const player = new DialogPlayer(dirname(path), options)
  const lines = readFileSync(path, 'utf8').split('\n')
  for (const [index, line] of lines.entries()) {
    try {
      await player.play(line.replace(/\r$/, ''))
    } catch (cause) {
      throw new Error(`${path}:${index + 1}: ${line}\n${cause instanceof Error ? cause.message : cause}`, {
        cause,
      })
    }
  }
  player.destroy()
}

const DEFAULT_VALUES = {
  USER: 'alice@example.org',
  PASS: 'secret',
  ADDR: 'alice@example.org',
  RCPT: 'bob@example.net',
  RCPT2: 'carol@example.net',
  UNKNOWN: 'nobody@example.com',
}

class DialogPlayer {
  readonly #folder: string
  readonly #port: number
  readonly #values: Record<string, string>
  readonly #peers = new Map<string, SmtpPeer>()
  #current = '1'
  #seenAtSend = 0

  constructor(folder: string, options: { port: number; values?: Readonly<Record<string, string>> }) {
    this.#folder = folder
    this.#port = options.port
    this.#values = { ...DEFAULT_VALUES, ...options.values }
  }

  destroy(): void {
    for (const peer of this.#peers.values()) peer.destroy()
  }

  async #peer(): Promise<SmtpPeer> {
    const known = this.#peers.get(this.#current)
    if (known !== undefined) return known
    const peer = await SmtpPeer.connect(this.#port)
    this.#peers.set(this.#current, peer)
    await peer.expect(/^220 /)
    return peer
  }

  async play(line: string): Promise<void> {
    if (line === '' || /^[#@]|^SETUP/.test(line)) return
    const [verb = '', rest = ''] = [/^\S+/.exec(line)?.[0], line.replace(/^\S+ ?/, '')]
    if (verb === 'CONN') this.#current = rest
    const peer = await this.#peer()
    if (verb === 'CLOSE') {
      peer.destroy()
      this.#peers.delete(this.#current)
    } else if (verb === 'HELLO') await this.#hello(peer)
    else if (verb === 'TLS') await peer.startTls()
    else if (verb[0] === 'C' || verb === 'D<') this.#send(peer, verb, rest)
    else await this.#check(peer, verb, rest)
  }

  async #hello(peer: SmtpPeer): Promise<void> {
    peer.send('EHLO client.example\r\n')
    await peer.expect(/^250 /)
    peer.send(`${this.#fill('AUTH PLAIN {b64:\\0$USER\\0$PASS}')}\r\n`)
    await peer.expect(/^235 /)
  }

  #send(peer: SmtpPeer, verb: string, rest: string): void {
    this.#seenAtSend = peer.seen.length
    if (verb === 'C:') peer.send(`${this.#fill(rest)}\r\n`)
    else if (verb === 'C\\') peer.send(fromEscapes(this.#fill(rest)))
    else if (verb === 'C<') peer.send(this.#read(rest))
    else if (verb === 'D<') peer.send(dotStuffed(this.#read(rest)))
  }

  async #check(peer: SmtpPeer, verb: string, rest: string): Promise<void> {
    if (verb === 'S~') await peer.expect(new RegExp(this.#fill(rest)))
    else if (verb === 'S:') {
      const line = await peer.line()
      if (line !== this.#fill(rest)) throw new Error(`got ${JSON.stringify(line)}`)
    } else if (verb === 'S!') {
      const bad = peer.seen.slice(this.#seenAtSend).find((line) => new RegExp(this.#fill(rest)).test(line))
      if (bad !== undefined) throw new Error(`must not appear: ${bad}`)
    } else if (verb === 'EOF') {
      const line = await peer.line()
      if (line !== undefined) throw new Error(`got ${JSON.stringify(line)} instead of the end`)
    } else if (verb === 'LET') {
      const [name = '', ...pattern] = rest.split(' ')
      const found = peer.seen.map((line) => new RegExp(pattern.join(' ')).exec(line)?.[1]).findLast(Boolean)
      if (found === undefined) throw new Error('nothing matched')
      this.#values[name] = found
    } else if (verb !== 'CONN') throw new Error(`unknown verb ${verb}`)
  }

  #read(name: string): Buffer {
    return readFileSync(join(this.#folder, name.trim()))
  }

  #fill(text: string): string {
    return text
      .replace(/\$([A-Z][A-Z0-9]*)/g, (all, name: string) => this.#values[name] ?? all)
      .replace(/\{b64:([^}]*)\}/g, (_all, inner: string) =>
        Buffer.from(inner.replaceAll('\\0', '\0')).toString('base64'),
      )
  }
}

function fromEscapes(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8').toString('latin1')
  const plain = bytes.replace(/\\(r|n|t|0|\\|x[0-9a-fA-F]{2})/g, (_all, code: string) => {
    if (code[0] === 'x') return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' }[code] ?? ''
  })
  return Buffer.from(plain, 'latin1')
}

function dotStuffed(octets: Buffer): Buffer {
  const text = octets.toString('latin1').replace(/(^|\r\n)\./g, '$1..')
  return Buffer.from(`${text}${text.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1')
}
