import { crc32, deflateRawSync } from 'node:zlib'

/** Archives that no honest writer makes, byte by byte: every field can be made to lie. */

export interface RawEntry {
  readonly name: string | Uint8Array
  readonly content: Uint8Array
  readonly deflate?: boolean
  readonly flags?: number
  readonly method?: number
  /** Name in the local header when it is to differ. */
  readonly localName?: string
  /** CRC-32 in the directory when it is to be wrong. */
  readonly crc?: number
  /** Unpacked size in the directory when it is to be wrong. */
  readonly size?: number
  /** Offset of the local header in the directory when it is to be wrong. */
  readonly offset?: number
}

export function rawZip(entries: readonly RawEntry[], options: { readonly count?: number } = {}): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const packed = entry.deflate === true ? deflateRawSync(entry.content) : Buffer.from(entry.content)
    const name = Buffer.from(entry.name)
    const localName = Buffer.from(entry.localName ?? entry.name)
    const fields = {
      flags: entry.flags ?? 0,
      method: entry.method ?? (entry.deflate === true ? 8 : 0),
      crc: entry.crc ?? crc32(entry.content),
      packed: packed.length,
      size: entry.size ?? entry.content.length,
    }
    const local = Buffer.concat([localHeader(fields, localName.length), localName, packed])
    directory.push(directoryHeader(fields, name.length, entry.offset ?? offset), name)
    locals.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE((options.count ?? entries.length) & 0xffff, 8)
  end.writeUInt16LE((options.count ?? entries.length) & 0xffff, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, central, end])
}

interface Fields {
  readonly flags: number
  readonly method: number
  readonly crc: number
  readonly packed: number
  readonly size: number
}

function localHeader(fields: Fields, nameLength: number): Buffer {
  const header = Buffer.alloc(30)
  header.writeUInt32LE(0x04034b50, 0)
  header.writeUInt16LE(20, 4)
  writeFields(header, 6, fields)
  header.writeUInt16LE(nameLength, 26)
  return header
}

function directoryHeader(fields: Fields, nameLength: number, offset: number): Buffer {
  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE(20, 4)
  header.writeUInt16LE(20, 6)
  writeFields(header, 8, fields)
  header.writeUInt16LE(nameLength, 28)
  header.writeUInt32LE(offset, 42)
  return header
}

/** Flags to sizes stand in the same order in both headers. */
function writeFields(header: Buffer, at: number, fields: Fields): void {
  header.writeUInt16LE(fields.flags, at)
  header.writeUInt16LE(fields.method, at + 2)
  header.writeUInt32LE(fields.crc, at + 8)
  header.writeUInt32LE(fields.packed, at + 12)
  header.writeUInt32LE(fields.size, at + 16)
}
