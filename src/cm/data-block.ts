import { decodeBlockText, MAX_HEADER_TEXT_BYTES } from './block-text.ts'
import { DATE_FORM, filledLines, HeaderFields, PROOF_OF_WORK_FORM } from './header-fields.ts'

/** `data`: one piece of ciphertext, stored under its own hash (CM wire 2.3). */

export interface DataBlockHeader {
  /** CM date text; of repeated ones the first (CM wire 2.1). */
  readonly date: string | undefined
  /** Of repeated ones the last. */
  readonly proofOfWork: string | undefined
  /** Octets that `Data: n` announces; undefined without such a line. */
  readonly payloadBytes: number | undefined
}

/** `Data: n` as both ends read it: no zero, no leading zeros (CM wire 2.3). */
export const DATA_LINE = /^data: ([1-9]\d{0,14})$/i
const DATA_VALUE = /^[1-9]\d{0,14}$/
const KNOWN_NAMES: ReadonlySet<string> = new Set(['type', 'date', 'version', 'proofofwork'])

/** Reads header lines with `Data: n` as the last one. `text` is what may be stored. */
export function parseDataBlockHeader(text: string): {
  readonly header: DataBlockHeader
  readonly text: string
} {
  const lines = filledLines(text)
  const fields = new HeaderFields(lines)
  const length = fields.last('data', DATA_VALUE)
  return {
    header: {
      date: fields.first('date', DATE_FORM),
      proofOfWork: fields.last('proofofwork', PROOF_OF_WORK_FORM),
      payloadBytes: length === undefined ? undefined : Number(length),
    },
    text: `${fields.knownLines(KNOWN_NAMES).join('\n')}\nData: ${length ?? '0'}\n`,
  }
}

export interface DataBlockBytes {
  /** Header lines up to and with the `Data` line. */
  readonly headerText: string
  /** Everything behind that line's end: must be exactly as long as it says. */
  readonly payload: Uint8Array
}

/** Splits a data block as it lies in a file; undefined when no `Data: n` line ends its header. */
export function splitDataBlock(block: Uint8Array): DataBlockBytes | undefined {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  for (let start = 0; start < Math.min(bytes.length, MAX_HEADER_TEXT_BYTES); ) {
    const lineFeed = bytes.indexOf(0x0a, start)
    if (lineFeed < 0) return undefined
    const line = bytes.toString('latin1', start, lineFeed).replaceAll('\r', '')
    if (DATA_LINE.test(line)) {
      const headerText = decodeBlockText(bytes.subarray(0, lineFeed + 1))
      return headerText === undefined ? undefined : { headerText, payload: bytes.subarray(lineFeed + 1) }
    }
    start = lineFeed + 1
  }
  return undefined
}

/** Date || payload, in pieces (CM wire 2.3). */
export function dataProofInput(date: string, payload: Uint8Array): readonly [Uint8Array, Uint8Array] {
  return [Buffer.from(date, 'latin1'), payload]
}

/** The header text in the reference's order, up to and with the `Data` line; the payload follows as it is. */
export function encodeDataBlockHeader(header: {
  readonly date: string
  readonly proofOfWork: string
  readonly payloadBytes: number
}): string {
  return [
    'Type: data',
    `Date: ${header.date}`,
    'Version: 1',
    `ProofOfWork: ${header.proofOfWork}`,
    `Data: ${header.payloadBytes}`,
    '',
  ].join('\n')
}
