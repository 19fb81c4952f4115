/**
 * Python pickles of protocol 2, as far as folder sync writes them: lists, tuples and strings (CM message 7.3). A closed set
 * of opcodes and no other: a pickle is a program, and what it could call is never looked up.
 */

/** `bytes` and `text` are Python's two strings; lists and tuples are one thing here. */
export type PickleValue =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'list'; readonly items: PickleValue[] }

/** Values one pickle may make: a message tuple has a few for each recipient and attachment. */
const MAX_VALUES = 20_000
/** Lists in lists: a message tuple has two levels. */
const MAX_DEPTH = 4

const OPCODE = {
  protocol: 0x80,
  mark: 0x28, // (
  stop: 0x2e, // .
  none: 0x4e, // N
  shortBytes: 0x55, // U
  bytes: 0x54, // T
  text: 0x58, // X
  emptyList: 0x5d, // ]
  append: 0x61, // a
  appends: 0x65, // e
  tuple: 0x74, // t
  put: 0x71, // q
  longPut: 0x72, // r
  get: 0x68, // h
  longGet: 0x6a, // j
} as const

/** The one value of a pickle; undefined for anything that is not exactly of this form to its last octet. */
export function readSyncPickle(pickle: Uint8Array): PickleValue | undefined {
  try {
    return new PickleReader(pickle).read()
  } catch (error) {
    if (error instanceof ForeignPickleError) return undefined
    throw error
  }
}

/** The pickle is something else; never leaves this file. */
class ForeignPickleError extends Error {
  override readonly name = 'ForeignPickleError'
}

type List = Extract<PickleValue, { readonly kind: 'list' }>

class PickleReader {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  #position: number = 0
  #values: number = 0
  readonly #stack: (PickleValue | 'mark')[] = []
  readonly #memo = new Map<number, PickleValue>()

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  read(): PickleValue {
    if (this.#octet() !== OPCODE.protocol || this.#octet() !== 2) throw new ForeignPickleError()
    for (;;) {
      const opcode = this.#octet()
      if (opcode === OPCODE.stop) return this.#finish()
      if (!(this.#pushes(opcode) || this.#collects(opcode) || this.#remembers(opcode))) {
        throw new ForeignPickleError()
      }
    }
  }

  #finish(): PickleValue {
    const value = this.#pop()
    if (this.#stack.length > 0 || this.#position < this.#bytes.length) throw new ForeignPickleError()
    if (depthOf(value) > MAX_DEPTH) throw new ForeignPickleError()
    return value
  }

  #pushes(opcode: number): boolean {
    switch (opcode) {
      case OPCODE.mark:
        this.#push('mark')
        return true
      case OPCODE.none:
        this.#push({ kind: 'none' })
        return true
      case OPCODE.emptyList:
        this.#push({ kind: 'list', items: [] })
        return true
      case OPCODE.shortBytes:
        this.#push({ kind: 'bytes', bytes: this.#take(this.#octet()) })
        return true
      case OPCODE.bytes:
        this.#push({ kind: 'bytes', bytes: this.#take(this.#length()) })
        return true
      case OPCODE.text:
        this.#push({ kind: 'text', text: this.#text(this.#length()) })
        return true
      default:
        return false
    }
  }

  #collects(opcode: number): boolean {
    switch (opcode) {
      case OPCODE.append: {
        const item = this.#pop()
        this.#list().items.push(item)
        return true
      }
      case OPCODE.appends: {
        const items = this.#popToMark()
        this.#list().items.push(...items)
        return true
      }
      case OPCODE.tuple:
        this.#push({ kind: 'list', items: this.#popToMark() })
        return true
      default:
        return false
    }
  }

  #remembers(opcode: number): boolean {
    switch (opcode) {
      case OPCODE.put:
        this.#memo.set(this.#octet(), this.#top())
        return true
      case OPCODE.longPut:
        this.#memo.set(this.#length(), this.#top())
        return true
      case OPCODE.get:
        this.#recall(this.#octet())
        return true
      case OPCODE.longGet:
        this.#recall(this.#length())
        return true
      default:
        return false
    }
  }

  /** Strings only: a list that stands in itself, or a thousand times, is nothing a client writes. */
  #recall(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined || value.kind === 'list') throw new ForeignPickleError()
    this.#push(value)
  }

  #push(value: PickleValue | 'mark'): void {
    this.#values += 1
    if (this.#values > MAX_VALUES) throw new ForeignPickleError()
    this.#stack.push(value)
  }

  #pop(): PickleValue {
    const value = this.#stack.pop()
    if (value === undefined || value === 'mark') throw new ForeignPickleError()
    return value
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1)
    if (value === undefined || value === 'mark') throw new ForeignPickleError()
    return value
  }

  #list(): List {
    const value = this.#top()
    if (value.kind !== 'list') throw new ForeignPickleError()
    return value
  }

  #popToMark(): PickleValue[] {
    const mark = this.#stack.lastIndexOf('mark')
    if (mark < 0) throw new ForeignPickleError()
    const items = this.#stack.splice(mark)
    return items.filter((item) => item !== 'mark')
  }

  #octet(): number {
    return this.#take(1)[0] ?? 0
  }

  /** Four octets, little-endian; Python writes a signed number. */
  #length(): number {
    const at = this.#position
    this.#take(4)
    return this.#view.getUint32(at, true)
  }

  #take(count: number): Uint8Array {
    const end = this.#position + count
    if (end > this.#bytes.length) throw new ForeignPickleError()
    const taken = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return taken
  }

  #text(count: number): string {
    const bytes = this.#take(count)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      // The decoder has no other failure than malformed input.
      throw new ForeignPickleError()
    }
  }
}

/** No list stands in itself (`#recall`), and no list is deeper than there are values. */
function depthOf(value: PickleValue): number {
  let depth = 0
  let level: readonly PickleValue[] = [value]
  while (level.length > 0 && depth <= MAX_DEPTH) {
    const below = level.flatMap((one) => (one.kind === 'list' ? [one.items] : []))
    if (below.length > 0) depth += 1
    level = below.flat()
  }
  return depth
}
