/**
 * The only rows of the reference's vectors where our verdict is another one, and why. `file/name` → our outcome:
 * a test fails for a deviation that is not here, and for one here that is none.
 */
export const SAFE_VERDICTS: Readonly<Record<string, { readonly outcome: string; readonly why: string }>> = {
  'validate.json/key-over-old-without-date': {
    outcome: 'stored',
    why: 'S3: the reference raises; a stored block without a date cannot be ours and stands in nobody’s way',
  },
  'validate.json/data-length-smaller': {
    outcome: 'length',
    why: 'S17: bytes between the Data line and the payload break the stream of whoever reads the block',
  },
  'acks.json/old-of-other-type': {
    outcome: 'stored',
    why: 'S2: a block of another type does not stand in the way of an acknowledgment',
  },
  'claims.json/forged-signature': { outcome: 'signature', why: 'S7: the claim is not signed by the key it names' },
  'claims.json/unsigned': { outcome: 'unsigned', why: 'S7: anybody could have written it' },
  'claims.json/future-date': { outcome: 'future', why: 'S11: three days ahead; it could not be replaced until then' },
  'claims.json/empty-line-growth-2': {
    outcome: 'user',
    why: 'CM wire 4: the posted claim is dropped; an answer about the old block is not one about the new claim',
  },
  'claims.json/empty-line-growth-3': { outcome: 'user', why: 'as empty-line-growth-2' },
}

/** The same for `verifyKeyAnnouncement` and the checks in announcements.json, by entry name. */
export const SAFE_ANNOUNCEMENT_VERDICTS: Readonly<Record<string, { readonly reason: string; readonly why: string }>> = {
  'text-around': {
    reason: 'malformed',
    why: 'S5: unsigned lines around the signed part decide the type for other readers (validate.json rejects it too)',
  },
}
