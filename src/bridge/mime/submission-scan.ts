import { isSameAddress, mailboxesNamed } from '../../mail/address.ts'
import { fieldsNamed, type HeaderField, MAX_HEADER_FIELDS, splitHeader } from '../../mail/header.ts'
import type { MessageIndex } from '../../mail/message-index.ts'
import { MAX_INDEXED_HEADER_BYTES, MessageScanner, type ScannedMessage } from '../../mail/mime-split.ts'
import { ContentDigest } from './content-digest.ts'
import { InputNormalizer } from './input-normalizer.ts'

/** Why a submitted message is refused at the end of DATA (design 7.1, 7.4). The words of the reply are the caller's. */
export type SubmissionRefusal =
  /** 554 5.6.0 */
  | { readonly kind: 'nul' }
  /** 554 5.6.0 */
  | { readonly kind: 'repeated-field'; readonly field: 'From' | 'Sender' }
  /** 554 5.6.0: the header is too long, or nested or divided too much to be sent and shown whole. */
  | { readonly kind: 'over-limit'; readonly limit: 'header' | 'depth' | 'parts' }
  /** 550 5.7.1: not exactly one address, or not one of the login's. */
  | {
      readonly kind: 'not-own-address'
      readonly field: 'From' | 'Sender'
      readonly found: readonly string[]
    }

/** A message as it is kept: everything learned in the one pass over its bytes. */
export interface ScannedSubmission {
  readonly index: MessageIndex
  readonly fields: readonly HeaderField[]
  /** See `ContentDigest`: 64 hex digits. */
  readonly contentDigest: string
  /** Undefined when the message may go out. */
  readonly refusal: SubmissionRefusal | undefined
}

/**
 * Reads the content of DATA once, while it is spooled: normalises it, indexes it and hashes what it says.
 * `push` and `end` return the octets to spool; `judge` tells what they are.
 */
export class SubmissionScan {
  readonly #normalizer = new InputNormalizer()
  readonly #digest = new ContentDigest()
  readonly #scanner = new MessageScanner(this.#digest)

  push(chunk: Uint8Array): Uint8Array {
    return this.#scanned(this.#normalizer.push(chunk))
  }

  /** What is missing of the last line break. */
  end(): Uint8Array {
    return this.#scanned(this.#normalizer.finish())
  }

  /** Once, after `end`. `ownAddresses` are those of the login. */
  judge(ownAddresses: readonly string[]): ScannedSubmission {
    const scanned = this.#scanner.finish()
    const fields = splitHeader(scanned.index.headerBytes)
    const refusal = this.#normalizer.hasNul
      ? ({ kind: 'nul' } as const)
      : (overLimit(scanned, fields) ?? wrongField(fields, ownAddresses))
    return {
      index: scanned.index,
      fields,
      contentDigest: this.#digest.finish(scanned.index.structure),
      refusal,
    }
  }

  #scanned(bytes: Uint8Array): Uint8Array {
    this.#scanner.push(bytes)
    return bytes
  }
}

function overLimit(scanned: ScannedMessage, fields: readonly HeaderField[]): SubmissionRefusal | undefined {
  // A field beyond what is read could be a second From, so a header that is not read whole is refused.
  if (scanned.headerBytes > MAX_INDEXED_HEADER_BYTES || fields.length >= MAX_HEADER_FIELDS) {
    return { kind: 'over-limit', limit: 'header' }
  }
  if (scanned.exceeded.depth) return { kind: 'over-limit', limit: 'depth' }
  return scanned.exceeded.parts ? { kind: 'over-limit', limit: 'parts' } : undefined
}

function wrongField(
  fields: readonly HeaderField[],
  ownAddresses: readonly string[],
): SubmissionRefusal | undefined {
  for (const field of ['From', 'Sender'] as const) {
    if (fieldsNamed(fields, field).length > 1) return { kind: 'repeated-field', field }
  }
  return (
    notOwnAddress(fields, 'From', ownAddresses) ??
    (fieldsNamed(fields, 'Sender').length === 0 ? undefined : notOwnAddress(fields, 'Sender', ownAddresses))
  )
}

function notOwnAddress(
  fields: readonly HeaderField[],
  field: 'From' | 'Sender',
  ownAddresses: readonly string[],
): SubmissionRefusal | undefined {
  const found = mailboxesNamed(fields, field).map((mailbox) => mailbox.address)
  const [address, ...others] = found
  const isOwn = address !== undefined && ownAddresses.some((own) => isSameAddress(own, address))
  return isOwn && others.length === 0 ? undefined : { kind: 'not-own-address', field, found }
}
