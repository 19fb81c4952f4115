import type { KeyId } from '../../cm/ids.ts'
import { singleLine } from '../../mail/encoded-words.ts'
import { cleanName } from '../render/display-name.ts'
import { type BridgeMail, bridgeMailHeader, plainTextEntity, timeForPeople } from './report-mail.ts'

/** What the owner should know, as readable messages in the mailbox Notices, each saying what to do (design 10). */

export interface NoticedKey {
  readonly keyId: KeyId
  readonly userId: string
  /** Null when it was never used here. */
  readonly firstSeenMs: number | null
}

interface NoticedCertificate {
  /** SHA-256, lower-case hex. */
  readonly sha256: string
  /** Lines for people. */
  readonly description: string
}

export type Notice =
  /** Two or more keys claim the address of somebody else. */
  | { readonly kind: 'key-collision'; readonly address: string; readonly keys: readonly NoticedKey[] }
  /** A key nobody used here before claims the address of a contact. */
  | {
      readonly kind: 'new-key-for-contact'
      readonly address: string
      readonly known: NoticedKey
      readonly found: NoticedKey
    }
  /** Another key claims the account's own address. */
  | { readonly kind: 'rival-of-own-address'; readonly address: string; readonly rival: NoticedKey }
  | {
      readonly kind: 'unreadable-mail'
      readonly announcementId: string
      /** One word of the closed list of decode-message. */
      readonly reason: string
      readonly receivedMs: number
      readonly receivedFrom: string | null
    }
  | {
      readonly kind: 'server-certificate-changed'
      readonly hostPort: string
      readonly remembered: NoticedCertificate
      readonly seen: NoticedCertificate
      /** True: public authorities vouch for the new one, which is used from now on. */
      readonly isReplaced: boolean
    }
  | { readonly kind: 'disk-full'; readonly freeBytes: number; readonly directory: string }
  | { readonly kind: 'clock-in-doubt'; readonly nowMs: number; readonly newestMs: number }
  | OwnServerNotice

interface OwnServerNotice {
  /** The account's own servers do not keep its key, or give no mail. */
  readonly kind: 'own-key-not-announced' | 'own-mail-not-fetched'
  readonly address: string
  readonly sinceMs: number
  /** One line: which server, why. */
  readonly reason: string
}

interface Words {
  readonly subject: string
  /** Paragraphs; LF inside of one breaks a line. */
  readonly paragraphs: readonly string[]
  /** What to do. */
  readonly advice: readonly string[]
}

/** The whole message; pure, so the same notice gives the same octets. */
export function encodeNotice(notice: Notice, mail: BridgeMail): Uint8Array {
  const { subject, paragraphs, advice } = wordsOf(notice)
  const text = [...paragraphs, 'What to do:', ...advice, ''].join('\n\n')
  return Buffer.from(bridgeMailHeader(mail, subject) + plainTextEntity(text), 'latin1')
}

/** One fingerprint in groups of four, as people compare it, and as it is copied. */
function keyLines(key: NoticedKey): string {
  const groups = (key.keyId.match(/.{4}/g) ?? []).join(' ')
  const seen =
    key.firstSeenMs === null ? 'never used here before' : `first used here ${timeForPeople(key.firstSeenMs)}`
  return `  ${cleanName(key.userId)}\n  ${groups}\n  ${key.keyId}\n  ${seen}`
}

function wordsOf(notice: Notice): Words {
  switch (notice.kind) {
    case 'key-collision':
      return keyCollision(notice)
    case 'new-key-for-contact':
      return newKeyForContact(notice)
    case 'rival-of-own-address':
      return rivalOfOwnAddress(notice)
    case 'unreadable-mail':
      return unreadableMail(notice)
    case 'server-certificate-changed':
      return certificateChanged(notice)
    case 'disk-full':
      return {
        subject: 'The disk is full',
        paragraphs: [
          `There are ${notice.freeBytes} octets left for ${singleLine(notice.directory)}. New mail cannot be taken: what you send is refused for now, and what others sent stays on the server. Reading, deleting and emptying the trash work.`,
        ],
        advice: ['Free some space. Everything goes on by itself then.'],
      }
    case 'clock-in-doubt':
      return {
        subject: 'The clock of this computer is in doubt',
        paragraphs: [
          `It says ${timeForPeople(notice.nowMs)}, while the newest time that was seen is ${timeForPeople(notice.newestMs)}. Until this is settled no mail is judged, acknowledged or given up; what is here can be read.`,
        ],
        advice: ['Set the clock. If it is right, say so:', '  cmbridge doctor --accept-clock'],
      }
    case 'own-key-not-announced':
    case 'own-mail-not-fetched':
      return ownServerFails(notice)
  }
}

function ownServerFails({ kind, address: given, sinceMs, reason }: OwnServerNotice): Words {
  const address = singleLine(given)
  const [since, why] = [timeForPeople(sinceMs), `  ${singleLine(reason)}`]
  const advice = [
    'See how things stand, ask the owner of the server, or move to another one:',
    `  cmbridge status\n  cmbridge account set ${address} --server HOST:PORT --auth-key KEY`,
  ]
  if (kind === 'own-key-not-announced') {
    const text = `Since ${since} the key of ${address} could not be put on your server. Servers forget a key after about a month; then nobody who does not know you yet can write to you. The last try ended so:`
    return { subject: `Your key is not announced: ${address}`, paragraphs: [text, why], advice }
  }
  const text = `Since ${since} no mail for ${address} could be fetched from your server. Servers keep mail for ten days; what is older is lost. The last try ended so:`
  return { subject: `No mail is fetched: ${address}`, paragraphs: [text, why], advice }
}

function keyCollision(notice: Extract<Notice, { kind: 'key-collision' }>): Words {
  const address = singleLine(notice.address)
  return {
    subject: `Two keys claim ${address}`,
    paragraphs: [
      `More than one key claims to be ${address}. Only one of them can be the person you mean; anybody can make a key that names any address.`,
      ...notice.keys.map(keyLines),
      'Until you choose, mail from any of these keys is shown as text with a warning, and mail to the plain address is refused.',
    ],
    advice: [
      'Ask the person for their fingerprint by telephone or in person, and compare all of it. Then say which is right, or which are wrong:\n  cmbridge contact verify FINGERPRINT\n  cmbridge contact block FINGERPRINT',
      `To write to one of them meanwhile, put the fingerprint at the end of the name:\n  "Name FINGERPRINT" <${address}>\nReplies do that by themselves.`,
    ],
  }
}

function newKeyForContact(notice: Extract<Notice, { kind: 'new-key-for-contact' }>): Words {
  const address = singleLine(notice.address)
  return {
    subject: `A new key claims ${address}`,
    paragraphs: [
      `You know ${address} by this key:`,
      keyLines(notice.known),
      'Now another key claims the same address:',
      keyLines(notice.found),
      'People do make new keys, and so do those who want to be taken for them. The new key does not replace the one you know.',
    ],
    advice: [
      `Ask the person, not by mail, whether the new key is theirs, and compare all of the fingerprint. If it is, it is used from now on after\n  cmbridge contact verify ${notice.found.keyId}\nIf it is not:\n  cmbridge contact block ${notice.found.keyId}`,
      `Until then mail to the plain address is refused; a reply to mail you have, or the fingerprint at the end of the name, still reaches the key you mean:\n  "Name ${notice.known.keyId}" <${address}>`,
    ],
  }
}

function rivalOfOwnAddress(notice: Extract<Notice, { kind: 'rival-of-own-address' }>): Words {
  const address = singleLine(notice.address)
  return {
    subject: `Another key claims your address ${address}`,
    paragraphs: [
      `Somebody announced a key that names your own address ${address}:`,
      keyLines(notice.rival),
      'It cannot read your mail. But who looks up your address now finds two keys, and must choose.',
    ],
    advice: [
      'If it is an old key or another device of yours, let it expire. If it is not yours, give those who write to you your fingerprint; it is shown by:\n  cmbridge info',
      `So that its mail goes to Junk:\n  cmbridge contact block ${notice.rival.keyId}`,
    ],
  }
}

function unreadableMail(notice: Extract<Notice, { kind: 'unreadable-mail' }>): Words {
  const from = notice.receivedFrom === null ? '' : ` from ${singleLine(notice.receivedFrom)}`
  return {
    subject: 'A message could not be read',
    paragraphs: [
      `A message that came${from} at ${timeForPeople(notice.receivedMs)} could not be opened. Its sender is not known, as that stands inside, and was not told that it arrived.`,
      `  Message: ${singleLine(notice.announcementId)}\n  Reason: ${singleLine(notice.reason)}`,
      'It is kept as it came, and nothing of it was deleted.',
    ],
    advice: [
      'If you replaced your key lately, import the old one: the message is tried again then.',
      'If you wait for a message, ask its sender to refresh your key and send it again.',
    ],
  }
}

function certificateChanged(notice: Extract<Notice, { kind: 'server-certificate-changed' }>): Words {
  const server = singleLine(notice.hostPort)
  const lines = (certificate: NoticedCertificate) =>
    [
      ...certificate.description.split('\n').map((line) => `  ${singleLine(line)}`),
      `  SHA-256 ${singleLine(certificate.sha256)}`,
    ].join('\n')
  return {
    subject: `The certificate of ${server} has changed`,
    paragraphs: [
      `The server ${server} showed another certificate than the one it had before.`,
      `Remembered:\n${lines(notice.remembered)}`,
      `Shown now:\n${lines(notice.seen)}`,
      notice.isReplaced
        ? 'A public authority vouches for the new one, so it is used from now on.'
        : 'Nobody vouches for the new one, so you are not logged in there any more. Sending and looking up keys need no trust in the server and go on.',
    ],
    advice: notice.isReplaced
      ? ['Nothing, unless you know that the server did not get a new certificate.']
      : [
          'Ask whoever runs the server whether it has a new certificate, and compare the SHA-256.',
          `If it is the right one, accept it:\n  cmbridge cert accept ${server}`,
        ],
  }
}
