import { blockLines, blockType, isForbiddenLine, isReservedLine, MAX_RECORDS } from './block-text.ts'
import type { ClearSigned } from './clear-signed.ts'
import { parseClearSigned } from './clear-signed.ts'
import { DATE_FORM, HEX_ID_FORM, HeaderFields, PROOF_OF_WORK_FORM, WORD_FORM } from './header-fields.ts'
import type { KeyId } from './ids.ts'
import { idBytes, parseKeyId } from './ids.ts'
import { RECORD_SEPARATORS } from './server/port.ts'

/** `address-claim`: "this address is mine", signed by the key that says so (CM wire 4). */

/** One claim; a part that is missing or does not fit its grammar is undefined. */
export interface AddressClaim {
  /** CM date text as received. */
  readonly date: string | undefined
  readonly proofOfWork: string | undefined
  readonly keyId: KeyId | undefined
  /** As written: it is hashed as it is. */
  readonly address: string | undefined
}

export type AddressClaimRecord =
  | {
      readonly kind: 'signed'
      readonly claim: AddressClaim
      readonly signed: ClearSigned
      /** As it may be stored: one empty line at the end, as the reference stores it. */
      readonly text: string
    }
  | { readonly kind: 'unsigned'; readonly claim: AddressClaim }
  | { readonly kind: 'malformed' }
  /** A signed line that means something to the protocol itself (S5). */
  | { readonly kind: 'forbidden-header' }

const NEXT_CLAIM = /^nextclaim$/i

function readClaim(lines: readonly string[]): AddressClaim {
  const fields = new HeaderFields(lines)
  return {
    date: fields.last('date', DATE_FORM),
    proofOfWork: fields.last('proofofwork', PROOF_OF_WORK_FORM),
    keyId: parseKeyId(fields.last('keyid', HEX_ID_FORM) ?? ''),
    address: fields.last('address', WORD_FORM),
  }
}

function trimEmptyLines(lines: readonly string[]): readonly string[] {
  const first = lines.findIndex((line) => line.trim() !== '')
  const last = lines.findLastIndex((line) => line.trim() !== '')
  return first < 0 ? [] : lines.slice(first, last + 1)
}

function readRecord(lines: readonly string[]): AddressClaimRecord {
  const result = parseClearSigned(lines)
  if (result.kind === 'malformed') return result
  if (result.kind === 'unsigned') return { kind: 'unsigned', claim: readClaim(lines) }
  const { signed } = result
  if (signed.lines.some((line) => isReservedLine(line) || isForbiddenLine(line))) {
    return { kind: 'forbidden-header' }
  }
  // Another signed text that happens to have the fields is no claim, and a stored block without a type is none either.
  if (blockType(`${signed.lines.join('\n')}\n`) !== 'address-claim') return { kind: 'malformed' }
  return { kind: 'signed', claim: readClaim(signed.lines), signed, text: `${lines.join('\n')}\n\n` }
}

/** The claims of a block, one per part between `NextClaim` lines; undefined when there are more than MAX_RECORDS. */
export function parseAddressClaims(text: string): readonly AddressClaimRecord[] | undefined {
  const parts: string[][] = [[]]
  for (const line of blockLines(text)) {
    if (NEXT_CLAIM.test(line)) parts.push([])
    else parts.at(-1)?.push(line)
  }
  const filled = parts.map(trimEmptyLines).filter((part) => part.length > 0)
  return filled.length > MAX_RECORDS ? undefined : filled.map(readRecord)
}

/** Joins record texts into one block (CM wire 4). */
export function joinAddressClaims(records: readonly string[]): string {
  return records.join(RECORD_SEPARATORS['address-claim'])
}

/** Date || key id as 20 bytes || address (CM wire 4). */
export function claimProofInput(claim: Pick<AddressClaim, 'date' | 'keyId' | 'address'>): Buffer {
  return Buffer.concat([
    Buffer.from(claim.date ?? '', 'latin1'),
    idBytes(claim.keyId ?? ''),
    Buffer.from(claim.address ?? ''),
  ])
}

/** The text to be clear-signed: no empty line at its end (CM wire 4). */
export function encodeAddressClaim(claim: {
  readonly date: string
  readonly proofOfWork: string
  readonly keyId: KeyId
  readonly address: string
}): string {
  return [
    'Type: address-claim',
    'Version: 1',
    `Date: ${claim.date}`,
    `ProofOfWork: ${claim.proofOfWork}`,
    `Keyid: ${claim.keyId.toUpperCase()}`,
    `Address: ${claim.address}`,
    '',
  ].join('\n')
}
