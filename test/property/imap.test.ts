import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/imap/commands/index.ts'
import { Framer } from '../../src/imap/framer.ts'
import { MailboxView } from '../../src/imap/mailbox-view.ts'
import { Parser, type Segment } from '../../src/imap/parser.ts'
import type { MailboxChange, Uid } from '../../src/imap/port.ts'
import { ImapByeError, ImapReplyError, ImapSyntaxError } from '../../src/imap/reply-error.ts'

/** What a framer makes of the pieces, literals taken or refused by their size; literal octets are joined. */
function framesOf(pieces: readonly Uint8Array[]): readonly string[] {
  const framer = new Framer({ maxLineBytes: 30, maxSkippedLiteralBytes: 50 })
  const frames: string[] = []
  let literal = ''
  for (const piece of pieces) {
    framer.push(piece)
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      if (frame.kind === 'hopeless') return [...frames, 'hopeless']
      if (frame.kind === 'literal') {
        literal += Buffer.from(frame.bytes).toString('latin1')
        if (!frame.last) continue
        frames.push(`literal ${literal}`)
        literal = ''
        continue
      }
      frames.push(
        JSON.stringify(frame, (_key, value: unknown) =>
          value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
        ),
      )
      const pending = 'literal' in frame ? frame.literal : null
      if (pending === null) continue
      if (frame.kind === 'line' && pending.size < 10) framer.acceptLiteral()
      else framer.refuseLiteral()
    }
  }
  return frames
}

const WIRE = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'a NOOP',
        '\r\n',
        '\n',
        '\r',
        '{3}\r\n',
        '{3+}\r\n',
        '{12+}\r\n',
        '{12}\r\n',
        '{99+}\r\n',
        '{0+}\r\n',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 40 }),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.from(parts.join(''), 'latin1'))

describe('the framer', () => {
  it('gives the same frames however the octets are cut', () => {
    fc.assert(
      fc.property(WIRE, fc.array(fc.nat(40), { minLength: 1, maxLength: 20 }), (bytes, cuts) => {
        const pieces: Uint8Array[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const size = 1 + (cuts[turn % cuts.length] ?? 0)
          pieces.push(bytes.subarray(at, at + size))
          at += size
        }
        expect(framesOf(pieces)).toEqual(framesOf([bytes]))
      }),
    )
  })
})

describe('the parser', () => {
  const segments: fc.Arbitrary<Segment[]> = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ' ',
          '(',
          ')',
          '1:*',
          '"x"',
          'BODY[',
          ']',
          '<0.1>',
          'NOT',
          'OR',
          'UID',
          'FLAGS',
          '\\Seen',
          '*',
          '{',
          '0',
          'CHARSET',
          '+FLAGS',
        ),
        fc.string({ unit: 'binary', maxLength: 10 }).map((text) => Buffer.from(text).toString('latin1')),
      ),
      { maxLength: 12 },
    )
    .map((parts) =>
      parts.map((bytes, index) => ({ kind: index % 5 === 4 ? 'literal' : 'text', bytes }) as const),
    )

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    '%s is parsed or refused with a reply, whatever is sent',
    (_name, command) => {
      fc.assert(
        fc.property(segments, fc.boolean(), (parts, isUid) => {
          try {
            command.prepare(new Parser(parts), isUid)
          } catch (error) {
            const isReply =
              error instanceof ImapSyntaxError ||
              error instanceof ImapReplyError ||
              error instanceof ImapByeError
            if (!isReply) throw error
            expect(error.message).toMatch(/^[\x20-\x7e]+$/)
          }
        }),
      )
    },
  )
})

/** What happens in a mailbox, and when a session may hear of it. */
type Step =
  | { readonly kind: 'arrive' }
  | { readonly kind: 'expunge' | 'flag'; readonly which: number; readonly flag: number }
  | { readonly kind: 'flush'; readonly expunges: 'told' | 'held' }

const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ kind: 'arrive' } as const),
  fc.record({
    kind: fc.constantFrom('expunge' as const, 'flag' as const),
    which: fc.nat(20),
    flag: fc.nat(3),
  }),
  fc.record({
    kind: fc.constant('flush' as const),
    expunges: fc.constantFrom('told' as const, 'held' as const),
  }),
)

const FLAGS = ['\\Seen', '\\Flagged', '$a', '$b']

/** A client that knows only what it was told. */
class ToldClient {
  /** UIDs in order; undefined where only the number is known yet. */
  readonly messages: (readonly string[])[] = []

  hear(responses: ReturnType<MailboxView['flush']>): void {
    for (const response of responses) {
      if (response.kind === 'EXPUNGE') {
        expect(response.seqNum).toBeLessThanOrEqual(this.messages.length)
        this.messages.splice(response.seqNum - 1, 1)
      } else if (response.kind === 'EXISTS') {
        expect(response.count).toBeGreaterThan(this.messages.length)
        while (this.messages.length < response.count) this.messages.push([])
      } else if (response.kind === 'FETCH') {
        expect(response.seqNum).toBeLessThanOrEqual(this.messages.length)
        const flags = response.items.find((item) => item.kind === 'FLAGS')
        if (flags !== undefined && 'flags' in flags) this.messages[response.seqNum - 1] = flags.flags
      }
    }
  }
}

describe('the view', () => {
  it('a client that hears all it tells ends where the mailbox is, and numbers never move while held', () => {
    fc.assert(
      fc.property(fc.array(STEP, { maxLength: 60 }), (steps) => {
        const mailbox = new Map<number, readonly string[]>()
        let lastUid = 0
        let modSeq = 1
        const view = new MailboxView({ isReadOnly: false })
        view.start([], [])
        const client = new ToldClient()
        const apply = (change: MailboxChange): void => view.apply(change)
        for (const step of steps) {
          modSeq += 1
          if (step.kind === 'arrive') {
            lastUid += 1
            mailbox.set(lastUid, [])
            apply({ kind: 'added', message: { uid: lastUid as Uid, modSeq, flags: [] } })
          } else if (step.kind === 'flush') {
            const before = [...view.messages()].map(({ uid }) => uid)
            client.hear(view.flush({ expunges: step.expunges }))
            const after = [...view.messages()].map(({ uid }) => uid)
            if (step.expunges === 'held') expect(after.slice(0, before.length)).toEqual(before)
          } else {
            const uid = [...mailbox.keys()][step.which % Math.max(1, mailbox.size)]
            if (uid === undefined) continue
            if (step.kind === 'expunge') {
              mailbox.delete(uid)
              apply({ kind: 'expunged', uid: uid as Uid, modSeq })
            } else {
              const flags = [FLAGS[step.flag] ?? '$a']
              mailbox.set(uid, flags)
              apply({ kind: 'flags', message: { uid: uid as Uid, modSeq, flags } })
            }
          }
        }
        client.hear(view.flush({ expunges: 'told' }))
        expect(view.hasNews).toBe(false)
        const seen = [...view.messages()]
        expect(seen.map(({ uid }) => uid)).toEqual([...mailbox.keys()])
        expect(seen.map(({ flags }) => flags)).toEqual([...mailbox.values()])
        expect(seen.map(({ seqNum }) => seqNum)).toEqual(seen.map((_message, index) => index + 1))
        expect(client.messages).toHaveLength(mailbox.size)
      }),
      { numRuns: 500 },
    )
  })
})
