import { duration } from '../base/clock.ts'

/** Every bound of the IMAP server, each with its unit and reason. */

const KIB = 1024
const MIB = 1024 * KIB

/** What a connection may send in one command; small until somebody is logged in. */
export interface CommandLimits {
  /** Octets of one line without CRLF. */
  readonly maxLineBytes: number
  /** Octets of one literal that is an argument (not the message of APPEND). */
  readonly maxLiteralBytes: number
  /** Octets of all lines and argument literals of one command together. */
  readonly maxCommandBytes: number
  /** Octets of a refused non-synchronizing literal that are read and dropped; a longer one ends the connection. */
  readonly maxSkippedLiteralBytes: number
}

/** Room for AUTHENTICATE PLAIN with three 255-octet fields in base64, and for LOGIN with literals. */
export const LIMITS_BEFORE_LOGIN: CommandLimits = {
  maxLineBytes: 8 * KIB,
  maxLiteralBytes: KIB,
  maxCommandBytes: 16 * KIB,
  maxSkippedLiteralBytes: 64 * KIB,
}

/**
 * Clients send long UID sets (RFC 7162 4 asks for 8192 octets at least). A refused APPEND literal is read to its end,
 * as large as a client may announce it (RFC 3501 `number`: 32 bits).
 */
export const LIMITS_AFTER_LOGIN: CommandLimits = {
  maxLineBytes: 64 * KIB,
  maxLiteralBytes: 64 * KIB,
  maxCommandBytes: 256 * KIB,
  maxSkippedLiteralBytes: 4096 * MIB,
}

/** Octets of an over-long line that are read and dropped while its end is looked for; then the connection is closed. */
export const MAX_DISCARDED_LINE_BYTES = MIB
/** Octets kept of a line that is not taken: enough for the tag of the BAD. */
export const KEPT_LINE_START_BYTES = 64
/** Octets: `{4294967295+}` and some leading zeros; what a literal header may take at the end of a line. */
export const MAX_LITERAL_HEADER_BYTES = 32

/** Milliseconds a connection may take from its greeting to a login. */
export const LOGIN_DEADLINE_MS = 5 * duration.minute
/** Milliseconds without a byte before login. */
export const IDLE_BEFORE_LOGIN_MS = 2 * duration.minute
/** Milliseconds without a byte after login; at least 30 minutes (RFC 9051 5.4), and clients renew IDLE after 29. */
export const IDLE_AFTER_LOGIN_MS = 35 * duration.minute

/** BAD answers in a row before the connection is closed: whoever speaks another protocol is stopped early. */
export const MAX_BAD_COMMANDS_BEFORE_LOGIN = 20
export const MAX_BAD_COMMANDS_AFTER_LOGIN = 100
/** Refused logins on one connection; the back-off per address and account is the Authenticator's. */
export const MAX_REFUSED_LOGINS = 5

/** Levels of parentheses, NOT and OR in one SEARCH; clients chain an OR for each of many addresses. */
export const MAX_NESTING_DEPTH = 256
/** Keys of one SEARCH: each is asked of each message. */
export const MAX_SEARCH_KEYS = 1000
/** Items of one parenthesized list, ranges of one sequence set. */
export const MAX_LIST_ITEMS = 8192
/** Levels of a part number (`1.2.3`); the MIME depth we accept is 50 (design 7.4). */
export const MAX_SECTION_DEPTH = 64

/** Octets of a keyword; longer ones are refused, so that flag lists stay small. */
export const MAX_KEYWORD_BYTES = 255
/** Keywords in one STORE or APPEND. */
export const MAX_KEYWORDS = 64

/** RFC 2971 3.3: field names up to 30 octets, values up to 1024, at most 30 pairs. */
export const MAX_ID_PAIRS = 30

/** Messages whose records are asked for at once: bounds what a long FETCH holds. */
export const FETCH_BATCH_MESSAGES = 200
/** The same where fetching sets `\Seen`: so few at most are marked when the connection breaks before they were sent. */
export const FETCH_SEEN_BATCH_MESSAGES = 10
/** Octets of decoded text of one part that SEARCH BODY and TEXT look at. */
export const MAX_SEARCHED_PART_BYTES = 8 * MIB
/** Octets of a header that are read to pick fields from, when the index does not hold it whole. */
export const MAX_HEADER_READ_BYTES = MIB
/** Octets the writer collects before it hands them to the channel. */
export const WRITE_BUFFER_BYTES = 16 * KIB

/** Connections of one listener set; more are closed with BYE at once. */
export const DEFAULT_MAX_CONNECTIONS = 200
