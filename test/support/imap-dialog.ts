import { expect } from 'vitest'
import type { AccountMail } from '../../src/imap/port.ts'
import type { ImapSessionOptions } from '../../src/imap/session.ts'
import type { ServerTlsContext } from '../../src/net/byte-channel.ts'
import { ImapPeer, PASSWORD, sessionOptions, USER } from './imap-peer.ts'

/**
 * Plays a wire script (style.md 2.6) against a server on an account that must be fresh. Each line is for session 1 unless a
 * number stands in front of it (`2C:`).
 *
 *     # comment                    @remote   the peer is not this machine: no passwords in clear
 *     LOGIN                        connect (the greeting is checked) and log in
 *     C: text                      send the line           C\ text   send JavaScript escapes, no line end
 *     S: text                      the next line, exactly  S~ regex  the next line, by a pattern
 *     S* text                      one of a run of lines that may come in any order
 *     TLS                          both sides start TLS    END       the server has closed
 *
 * `$name` keeps what stands there (up to a blank or bracket) at its first use and stands for it
 * later, in every verb; `$USER` and `$PASS` are known. At the end no session may have a line left unread.
 */
export async function playDialog(
  script: string,
  options: { readonly account: AccountMail; readonly tls?: ServerTlsContext },
): Promise<void> {
  const player = new DialogPlayer(script.includes('\n@remote'), options)
  const lines = script.split('\n')
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || /^[#@]/.test(line)) continue
    try {
      await player.play(line, lines[index + 1] ?? '')
    } catch (error) {
      throw new Error(`line ${index + 1}: ${line}\n${(error as Error).message}`, { cause: error })
    }
  }
  await player.finish()
}

class DialogPlayer {
  readonly #options: ImapSessionOptions & { readonly errors: unknown[] }
  readonly #peers = new Map<number, ImapPeer>()
  readonly #names = new Map<string, string>([
    ['USER', USER],
    ['PASS', PASSWORD],
  ])
  readonly #anyOrder = new Map<number, string[]>()

  constructor(
    isRemote: boolean,
    { account, tls }: { readonly account: AccountMail; readonly tls?: ServerTlsContext },
  ) {
    this.#options = sessionOptions(account, {
      isLoopback: !isRemote,
      ...(tls === undefined ? {} : { tls: () => tls }),
    })
  }

  async play(line: string, nextLine: string): Promise<void> {
    const match = /^(\d*)(LOGIN|TLS|END|C:|C\\|S:|S~|S\*)(?: (.*))?$/.exec(line)
    if (match === null) throw new Error('unknown verb')
    const session = match[1] === '' ? 1 : Number(match[1])
    const text = match[3] ?? ''
    switch (match[2]) {
      case 'LOGIN':
        await this.#logIn(session)
        return
      case 'TLS':
        await (await this.#peer(session)).channel.startTls({ role: 'client' })
        return
      case 'END':
        expect(await (await this.#peer(session)).readToEnd()).toEqual([])
        this.#peers.delete(session)
        return
      case 'C:':
        await (await this.#peer(session)).send(`${Buffer.from(this.#fill(text)).toString('latin1')}\r\n`)
        return
      case 'C\\':
        await (await this.#peer(session)).send(octetsOf(this.#fill(text)))
        return
      case 'S*':
        await this.#expectAnyOrder(session, text, nextLine)
        return
      default:
        this.#compare(await this.#line(session), match[2] === 'S~' ? this.#regex(text) : this.#exact(text))
    }
  }

  async #expectAnyOrder(session: number, text: string, nextLine: string): Promise<void> {
    const expected = [...(this.#anyOrder.get(session) ?? []), text]
    this.#anyOrder.set(session, expected)
    if (/^\d*S\*/.test(nextLine)) return
    this.#anyOrder.delete(session)
    for (let left = expected.length; left > 0; left -= 1) {
      const received = await this.#line(session)
      const found = expected.findIndex((candidate) => this.#exact(candidate).test(received))
      if (found === -1) throw new Error(`unexpected line ${JSON.stringify(received)}`)
      this.#compare(received, this.#exact(expected[found] ?? ''))
      expected.splice(found, 1)
    }
  }

  async #logIn(session: number): Promise<void> {
    const peer = await this.#peer(session)
    await peer.send(`l0 LOGIN "${USER}" "${PASSWORD}"\r\n`)
    expect(await peer.readLine()).toMatch(/^l0 OK \[CAPABILITY IMAP4rev1 /)
  }

  /** Connects at the first use. */
  async #peer(session: number): Promise<ImapPeer> {
    const known = this.#peers.get(session)
    if (known !== undefined) return known
    const peer = ImapPeer.connect(this.#options)
    this.#peers.set(session, peer)
    expect(await peer.readLine()).toMatch(/^\* OK \[CAPABILITY IMAP4rev1 [^\]]+\] ./)
    return peer
  }

  async #line(session: number): Promise<string> {
    const line = await (await this.#peer(session)).readLine()
    if (line === undefined) throw new Error('the server has closed')
    return line
  }

  #compare(received: string, pattern: RegExp): void {
    const match = pattern.exec(received)
    if (match === null) throw new Error(`received ${JSON.stringify(received)}, expected ${pattern}`)
    for (const [name, value] of Object.entries(match.groups ?? {})) this.#names.set(name, value)
  }

  #fill(text: string): string {
    return text.replace(/\$([A-Za-z]\w*)/g, (whole, name: string) => this.#names.get(name) ?? whole)
  }

  #regex(source: string): RegExp {
    return new RegExp(
      `^(?:${source.replace(/\$([A-Za-z]\w*)/g, (whole, name: string) => this.#value(whole, name))})$`,
    )
  }

  #exact(text: string): RegExp {
    const escaped = text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
    return new RegExp(
      `^${escaped.replace(/\\\$([A-Za-z]\w*)/g, (whole, name: string) => this.#value(whole, name))}$`,
    )
  }

  /** What a `$name` stands for in a pattern: its value, or at the first use of a lower-case name whatever is there. */
  #value(whole: string, name: string): string {
    return this.#names.get(name) ?? (/^[a-z]/.test(name) ? `(?<${name}>[^ \\])]+)` : whole)
  }

  async finish(): Promise<void> {
    for (const [session, peer] of this.#peers) {
      const rest = await peer.leave()
      if (rest.length > 0) throw new Error(`session ${session} has lines left: ${JSON.stringify(rest)}`)
    }
    expect(this.#options.errors).toEqual([])
  }
}

/** `\r`, `\n`, `\\`, `\0` and `\xhh`. */
function octetsOf(text: string): string {
  const simple: Readonly<Record<string, string>> = { r: '\r', n: '\n', '\\': '\\', '0': '\0' }
  return text.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (_whole, hex: string | undefined, char: string) =>
    hex === undefined ? (simple[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
