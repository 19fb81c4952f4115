import type { KeyId } from '../cm/ids.ts'
import type { SmtpReply } from '../smtp/port.ts'
import type { SubmissionRefusal } from './mime/submission-scan.ts'
import { shownAddress } from './shown-address.ts'

/** Every reply of the submission server that is ours to word (design 7, RFC 5321 4.2, RFC 3463). */

function reply(replyCode: number, enhancedStatusCode: string, text: string): SmtpReply {
  return { replyCode, enhancedStatusCode, text }
}

/** What the owner does about a key they blocked (docs/decisions/0010). */
const HOW_TO_UNBLOCK = '"cmbridge contact unblock FINGERPRINT" takes it back'

export const replies = {
  senderOk: reply(250, '2.1.0', 'sender ok'),
  recipientOk: (address: string) => reply(250, '2.1.5', `${shownAddress(address)} ok`),
  recipientLater: (address: string) =>
    reply(250, '2.1.5', `${shownAddress(address)} accepted, its key is looked up later`),
  queued: (outboundId: number) => reply(250, '2.0.0', `queued as om${outboundId}`),
  alreadyQueued: (outboundId: number) => reply(250, '2.0.0', `already queued as om${outboundId}`),

  notOwnSender: (address: string, own: string) =>
    reply(553, '5.7.1', `${address} is not an address of this login; use ${own}`),
  unreachable: (address: string, reason: string) =>
    reply(550, '5.1.2', `${shownAddress(address)} cannot be reached over Confidant Mail: ${reason}`),
  noKey: (address: string, lastFound: string | null) =>
    reply(
      550,
      '5.1.1',
      lastFound === null
        ? `no key is announced for ${shownAddress(address)}`
        : `no key is announced for ${shownAddress(address)} now, the last was found on ${lastFound}; its owner may not have announced lately`,
    ),
  unusableKey: (address: string, reason: string) =>
    reply(550, '5.7.5', `${shownAddress(address)} has no key that can be used: ${reason}`),
  blocked: (address: string) =>
    reply(550, '5.7.1', `you blocked every key of ${shownAddress(address)}; ${HOW_TO_UNBLOCK}`),
  pinBlocked: (address: string, pin: KeyId) =>
    reply(
      553,
      '5.7.1',
      `you blocked the key ${pin} named for ${shownAddress(address)}. Nothing was sent; ${HOW_TO_UNBLOCK}`,
    ),
  collision: (address: string, keyIds: readonly KeyId[]) =>
    reply(
      553,
      '5.1.4',
      `${keyIds.length} keys claim ${shownAddress(address)}: ${keyIds.join(' and ')}. Nothing was sent. Compare fingerprints with the owner, ` +
        `then put the right one at the end of the recipient's name, or write to FINGERPRINT@cm.invalid`,
    ),
  pinConflict: (address: string, pins: readonly KeyId[]) =>
    reply(
      553,
      '5.1.4',
      `two different fingerprints are given for ${shownAddress(address)}: ${pins.join(' and ')}. Nothing was sent`,
    ),
  pinMisfit: (address: string, pin: KeyId) =>
    reply(
      553,
      '5.1.4',
      `the key ${pin} does not carry the address ${shownAddress(address)}. Nothing was sent`,
    ),
  noRecipients: reply(554, '5.5.1', 'no valid recipients'),
  wrongRelease: (problem: string) => reply(550, '5.6.0', problem),
  wrongForward: (problem: string) => reply(550, '5.6.0', problem),
  tooLarge: (maxBytes: number) => reply(552, '5.3.4', `the message is larger than ${maxBytes} octets`),
  diskFull: reply(452, '4.3.1', 'no room on the disk of the bridge; free some and send again'),
  refused: (refusal: SubmissionRefusal, own: string) => refusalReply(refusal, own),
} as const

function refusalReply(refusal: SubmissionRefusal, own: string): SmtpReply {
  switch (refusal.kind) {
    case 'nul':
      return reply(554, '5.6.0', 'the message has a NUL octet, which no mail may have')
    case 'repeated-field':
      return reply(554, '5.6.0', `the message has more than one ${refusal.field} field`)
    case 'over-limit':
      return reply(554, '5.6.0', `the message goes over the limit for its ${refusal.limit}`)
    case 'not-own-address': {
      const found = refusal.found.length === 0 ? 'no address' : refusal.found.slice(0, 3).join(', ')
      return reply(550, '5.7.1', `the ${refusal.field} field has ${found}; it must be exactly one of: ${own}`)
    }
  }
}
