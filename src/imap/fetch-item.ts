/** What FETCH asks for (RFC 9051 6.4.5), as data. */

/** section-msgtext and section-text of RFC 9051 9. */
export type SectionText =
  | { readonly kind: 'HEADER' | 'TEXT' | 'MIME' }
  | { readonly kind: 'HEADER.FIELDS' | 'HEADER.FIELDS.NOT'; readonly names: readonly string[] }

/** What stands between the brackets of `BODY[…]`. */
export interface BodySection {
  /** Part numbers from the outside in; empty for the message itself. */
  readonly path: readonly number[]
  /** Null for the whole part or message. */
  readonly text: SectionText | null
}

/** `<origin.count>`, both in octets; `count` is at least 1. */
export interface PartialRange {
  readonly origin: number
  readonly count: number
}

/** fetch-att of RFC 9051 9 and RFC 3501 9, macros resolved. */
export type FetchAttribute =
  | {
      readonly kind: 'UID' | 'FLAGS' | 'INTERNALDATE' | 'RFC822.SIZE' | 'ENVELOPE' | 'BODY' | 'BODYSTRUCTURE'
    }
  | { readonly kind: 'RFC822' | 'RFC822.HEADER' | 'RFC822.TEXT' }
  | {
      readonly kind: 'section'
      readonly section: BodySection
      readonly partial: PartialRange | null
      /** True for BODY.PEEK: `\Seen` stays as it is. */
      readonly peek: boolean
    }

/** Macros of RFC 9051 6.4.5. */
export const FETCH_MACROS: ReadonlyMap<string, readonly FetchAttribute[]> = new Map([
  ['FAST', [{ kind: 'FLAGS' }, { kind: 'INTERNALDATE' }, { kind: 'RFC822.SIZE' }]],
  ['ALL', [{ kind: 'FLAGS' }, { kind: 'INTERNALDATE' }, { kind: 'RFC822.SIZE' }, { kind: 'ENVELOPE' }]],
  [
    'FULL',
    [
      { kind: 'FLAGS' },
      { kind: 'INTERNALDATE' },
      { kind: 'RFC822.SIZE' },
      { kind: 'ENVELOPE' },
      { kind: 'BODY' },
    ],
  ],
] as const)

/** True when fetching it sets `\Seen` (RFC 9051 6.4.5). */
export function setsSeen(attribute: FetchAttribute): boolean {
  switch (attribute.kind) {
    case 'section':
      return !attribute.peek
    case 'RFC822':
    case 'RFC822.TEXT':
      return true
    default:
      return false
  }
}
