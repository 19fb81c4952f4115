import { DATE_FORM, filledLines, HEX_ID_FORM, HeaderFields, PROOF_OF_WORK_FORM } from './header-fields.ts'
import { idBytes } from './ids.ts'

/** `acknowledgment`: reveals the secret that a message asked for (CM wire 2.5). */

export interface Acknowledgment {
  /** CM date text as received; undefined when missing. */
  readonly date: string | undefined
  readonly proofOfWork: string | undefined
  /** The 20-byte acknowledgment secret as 40 hex, lower case; undefined when missing. */
  readonly secret: string | undefined
}

const KNOWN_NAMES: ReadonlySet<string> = new Set(['type', 'date', 'version', 'proofofwork', 'hash'])

/** Reads an acknowledgment; of repeated headers the last one counts. `text` is what may be stored. */
export function parseAcknowledgment(text: string): {
  readonly acknowledgment: Acknowledgment
  readonly text: string
} {
  const lines = filledLines(text)
  const fields = new HeaderFields(lines)
  return {
    acknowledgment: {
      date: fields.last('date', DATE_FORM),
      proofOfWork: fields.last('proofofwork', PROOF_OF_WORK_FORM),
      secret: fields.last('hash', HEX_ID_FORM)?.toLowerCase(),
    },
    text: `${fields.knownLines(KNOWN_NAMES).join('\n')}\n`,
  }
}

/** Date || secret, as bytes (CM wire 2.5). */
export function acknowledgmentProofInput(acknowledgment: Pick<Acknowledgment, 'date' | 'secret'>): Buffer {
  return Buffer.concat([
    Buffer.from(acknowledgment.date ?? '', 'latin1'),
    idBytes(acknowledgment.secret ?? ''),
  ])
}

/** The block's text in the reference's order; `secret` is 20 bytes. */
export function encodeAcknowledgment(acknowledgment: {
  readonly date: string
  readonly proofOfWork: string
  readonly secret: Uint8Array
}): string {
  return [
    'Type: acknowledgment',
    `Date: ${acknowledgment.date}`,
    'Version: 1',
    `ProofOfWork: ${acknowledgment.proofOfWork}`,
    `Hash: ${Buffer.from(acknowledgment.secret).toString('hex')}`,
    '',
  ].join('\n')
}
