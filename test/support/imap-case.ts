import { readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { ImapSessionOptions } from '../../src/imap/session.ts'
import { ImapPeer, PASSWORD, USER } from './imap-peer.ts'

const CASES = fileURLToPath(new URL('../golden/cases/', import.meta.url))

/** The octets of one file of the cases, a byte string. */
export function caseFile(name: string): string {
  return readFileSync(`${CASES}${name}`, 'latin1')
}

/** Plays one `.dialog` of the hard cases (their README names the verbs) against a server with those options. */
export async function playCase(id: string, options: ImapSessionOptions): Promise<void> {
  const player = new CasePlayer(options)
  for (const line of readFileSync(`${CASES}${id}.dialog`, 'utf8').split('\n')) {
    if (line === '' || /^[#@]|^SETUP/.test(line)) continue
    await player.play(line)
  }
  await player.finish()
}

class CasePlayer {
  readonly #options: ImapSessionOptions
  readonly #peers = new Map<number, ImapPeer>()
  readonly #values = new Map([
    ['USER', USER],
    ['PASS', PASSWORD],
  ])
  /** Lines read since the last send, by connection. */
  readonly #seen = new Map<number, string[]>()
  #current = 1

  constructor(options: ImapSessionOptions) {
    this.#options = options
  }

  async play(line: string): Promise<void> {
    const verb = line.split(' ', 1)[0] ?? ''
    const argument = line.slice(verb.length + 1)
    switch (verb) {
      case 'CONN':
        this.#current = Number(argument)
        await this.#peer()
        return
      case 'LOGIN':
        await (await this.#peer()).command(`LOGIN "${USER}" "${PASSWORD}"`)
        return
      case 'C:':
        await this.#send(`${Buffer.from(this.#fill(argument)).toString('latin1')}\r\n`)
        return
      case 'C\\':
        await this.#send(JSON.parse(`"${this.#fill(argument).replaceAll('"', '\\"')}"`) as string)
        return
      case 'C<':
        await (await this.#peer()).send(caseFile(argument.trim()))
        return
      case 'S~': {
        // The cases' patterns are Python's, where `[^]]` needs no backslash.
        const source = this.#fill(argument, (bytes) => `${bytes}`).replaceAll('[^]]', '[^\\]]')
        const pattern = new RegExp(source)
        const lines = await (await this.#peer()).linesUpTo((candidate) => pattern.test(candidate))
        this.#seen.set(this.#current, [...(this.#seen.get(this.#current) ?? []), ...lines])
        return
      }
      case 'S!':
        for (const seen of this.#seen.get(this.#current) ?? []) expect(seen).not.toMatch(new RegExp(argument))
        return
      case 'LET':
        this.#keep(argument)
        return
      default:
        throw new Error(`unknown verb ${verb}`)
    }
  }

  async finish(): Promise<void> {
    for (const peer of this.#peers.values()) await peer.leave().catch(() => peer.checkGrammar())
  }

  async #peer(): Promise<ImapPeer> {
    const known = this.#peers.get(this.#current)
    if (known !== undefined) return known
    const peer = ImapPeer.connect(this.#options)
    this.#peers.set(this.#current, peer)
    await peer.readLine()
    return peer
  }

  async #send(bytes: string): Promise<void> {
    this.#seen.set(this.#current, [])
    await (await this.#peer()).send(bytes)
  }

  #keep(argument: string): void {
    const [name = '', ...pattern] = argument.split(' ')
    const matches = (this.#seen.get(this.#current) ?? []).map((line) =>
      new RegExp(pattern.join(' ')).exec(line),
    )
    const found = matches.findLast((match) => match !== null)?.[1]
    if (found === undefined) throw new Error(`nothing to keep as ${name}`)
    this.#values.set(name, found)
  }

  #fill(text: string, size = (bytes: number): string => `{${bytes}}`): string {
    return text
      .replace(/\{#([\w.-]+)\}/g, (_whole, name: string) => size(statSync(`${CASES}${name}`).size))
      .replace(/\$([A-Z][A-Z0-9]*)/g, (whole, name: string) => this.#values.get(name) ?? whole)
  }
}
