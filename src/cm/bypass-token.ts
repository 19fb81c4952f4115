import { createHmac, timingSafeEqual } from 'node:crypto'
import type { KeyId } from './ids.ts'
import type { BypassGrant } from './message/ack-file.ts'
import { parseUtcTime } from './utc-time.ts'

/** Bypass tokens: people I wrote to may skip my proof of work (CM wire 6). */

/** A secret with the key it was issued to, or received from. */
export interface BypassSecret extends BypassGrant {
  readonly keyId: KeyId
}

/**
 * How far a foreign token's dates may be off: the reference stamps local time with a Z, and clocks of the world are
 * up to 26 hours apart (CM wire 6).
 */
export const BYPASS_CLOCK_SLACK_MS = 26 * 3_600_000

/** Value of the `BypassToken` header: HMAC-SHA1 over the record's proof-of-work input, 40 hex (CM wire 6). */
export function bypassToken(secretHex: string, proofInput: Uint8Array): string {
  return createHmac('sha1', Buffer.from(secretHex, 'hex')).update(proofInput).digest('hex')
}

interface Window {
  readonly nowMs: number
  readonly slackMs: number
}

function isUsable(grant: BypassGrant, { nowMs, slackMs }: Window): boolean {
  const created = parseUtcTime(grant.created)
  if (created === undefined || created > nowMs + slackMs) return false
  if (grant.expires === 'never') return true
  const expires = parseUtcTime(grant.expires)
  return expires !== undefined && expires > nowMs - slackMs
}

/**
 * The secret we issued that a token was made with, or undefined; the last one given when several are the same. Its key id is whom we gave it to: the caller compares
 * it with the sender once the message is open, which the reference forgets (CM wire 6).
 */
export function findBypassSecret(
  token: string,
  proofInput: Uint8Array,
  issued: {
    readonly secrets: readonly BypassSecret[]
    readonly nowMs: number
    /** For secrets that another client of ours stamped in its local time. */
    readonly slackMs?: number
  },
): BypassSecret | undefined {
  const given = Buffer.from(token, 'hex')
  return issued.secrets.findLast((secret) => {
    if (!isUsable(secret, { nowMs: issued.nowMs, slackMs: issued.slackMs ?? 0 })) return false
    const expected = Buffer.from(bypassToken(secret.secret, proofInput), 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

/**
 * The newest secret received from a recipient that it will still take: its current announcement must carry
 * `BypassTokenAccepted`, not later than the secret (the reference does not look, and its mail is lost; CM wire 6).
 */
export function chooseBypassSecret(
  received: readonly BypassSecret[],
  recipient: { readonly keyId: KeyId; readonly accepted: string | undefined },
  nowMs: number,
): BypassSecret | undefined {
  const { accepted } = recipient
  if (accepted === undefined) return undefined
  let newest: BypassSecret | undefined
  for (const secret of received) {
    const fits = secret.keyId === recipient.keyId && secret.created >= accepted.toUpperCase()
    if (!fits || !isUsable(secret, { nowMs, slackMs: BYPASS_CLOCK_SLACK_MS })) continue
    if (newest === undefined || secret.created > newest.created) newest = secret
  }
  return newest
}
