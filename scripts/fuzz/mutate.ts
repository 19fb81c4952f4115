/** Changes good inputs in the ways parsers break at; the same seed gives the same inputs. */

const MAX_CHANGES = 6
const MAX_INPUT_BYTES = 256 * 1024
const MAX_PIECE_BYTES = 512
/** Octets with a meaning somewhere: line ends, separators, borders of numbers. */
const WORDS = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\0',
    '\xff',
    ' ',
    ':',
    ',',
    '-',
    '"',
    '(',
    ')',
    '{',
    '}',
    '<',
    '>',
    '\u2028',
    '\x80',
  ],
  ...['0', '1', '-1', '65535', '65536', '2147483648', '4294967296', '99999999999999999999', 'NaN'],
  ...[
    'EndBlock\r\n',
    'Data: 0\r\n',
    'Data: 9\r\n',
    'NextMessage\r\n',
    'NextClaim\r\n',
    'Padding: x\r\n',
    'Post-To: ',
  ],
  ...['-----BEGIN PGP SIGNED MESSAGE-----\n', '-----END PGP SIGNATURE-----\n', '- -----', 'bd,', 'Date: '],
  ...['PK\x03\x04', 'PK\x01\x02', 'PK\x05\x06', '../', '\x80\x02]q', '&#x0;', '<!DOCTYPE x [', ']]>', '--'],
].map((word) => Buffer.from(word, 'latin1'))

type Change = (bytes: Buffer, other: Buffer) => Buffer

/** Returns a function that gives one new input each time. */
export function createMutator(seeds: readonly Uint8Array[], seed: number): () => Uint8Array {
  const random = createRandom(seed)
  const below = (limit: number): number => Math.floor(random() * Math.max(limit, 1))
  const pick = <T>(items: readonly T[], fallback: T): T => items[below(items.length)] ?? fallback
  const cut = (bytes: Buffer): readonly [number, number] => {
    const start = below(bytes.length + 1)
    return [start, Math.min(bytes.length, start + below(MAX_PIECE_BYTES))]
  }
  const changes: readonly Change[] = [
    (bytes) => {
      const at = below(bytes.length)
      return replaced(bytes, [at, at + 1], Buffer.from([below(256)]))
    },
    (bytes) => replaced(bytes, cut(bytes), Buffer.alloc(0)),
    (bytes) => replaced(bytes, [below(bytes.length), 0], pick(WORDS, Buffer.alloc(0))),
    (bytes) => {
      const [start, end] = cut(bytes)
      return replaced(bytes, [end, end], bytes.subarray(start, end))
    },
    (bytes, other) => {
      const [start, end] = cut(other)
      return replaced(bytes, cut(bytes), other.subarray(start, end))
    },
    (bytes) => bytes.subarray(0, below(bytes.length)),
    (bytes) => {
      const copy = Buffer.from(bytes)
      const at = below(copy.length)
      if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << below(8))
      return copy
    },
  ]
  const given = seeds.map((bytes) => Buffer.from(bytes))
  const nothing = Buffer.alloc(0)
  return () => {
    let bytes: Buffer = pick(given, nothing)
    for (let left = 1 + below(MAX_CHANGES); left > 0; left -= 1) {
      bytes = pick(changes, (same: Buffer) => same)(bytes, pick(given, nothing))
    }
    return bytes.subarray(0, MAX_INPUT_BYTES)
  }
}

function replaced(bytes: Buffer, [start, end]: readonly [number, number], by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, start), by, bytes.subarray(Math.max(start, end))])
}

/** mulberry32: small, and the same on every machine. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
