import { describe, expect, it } from 'vitest'
import type { AccountMail, MessageRecord, Uid } from '../../src/imap/port.ts'
import {
  append,
  appendUid,
  collect,
  MESSAGE,
  modSeqOf,
  readText,
  type Session,
  select,
  uidOf,
} from './account-mail-session.ts'

/** Messages: APPEND, reading, flags, EXPUNGE, COPY, MOVE, and what other sessions see. */
export function describeMessages(account: () => AccountMail): void {
  describe('APPEND', () => {
    it('keeps the bytes as they are: bare CR and LF, an mbox From line, octets above 127', async () => {
      const bytes = Buffer.from('From nobody\r\nSubject: a\rb\r\n\r\nx\ny\r\xff\xfe', 'latin1')
      const uid = await appendUid(account(), 'INBOX', { text: bytes })
      const { mailbox } = await select(account(), 'INBOX')
      expect(await readText(mailbox, uid)).toBe(bytes.toString('latin1'))
      const [record] = await collect(mailbox.fetch([uid]))
      expect(record?.index.size).toBe(bytes.length)
    })

    it('stores flags in our spelling, internal date and index', async () => {
      const internalDate = new Date('2020-02-29T12:34:56Z')
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\SEEN', '$Work', '$work'], internalDate })
      const { mailbox } = await select(account(), 'INBOX')
      const [record] = await collect(mailbox.fetch([uid]))
      expect(record).toMatchObject({ uid, flags: ['\\Seen', '$Work'], internalDate })
      expect(record?.index.envelope).toMatchObject({ subject: 'hi', messageId: '<1@example.org>' })
      expect(Buffer.from(record?.index.headerBytes ?? []).toString()).toBe(
        MESSAGE.slice(0, MESSAGE.indexOf('body')),
      )
      expect(mailbox.knownFlags).toContain('$Work')
    })

    it('refuses NUL, a missing mailbox, the Outbox and what is too large, and changes nothing', async () => {
      expect(await append(account(), 'INBOX', { text: 'a: b\r\n\r\n\0' })).toMatchObject({ kind: 'refused' })
      expect(await append(account(), 'none')).toEqual({ kind: 'no-such-mailbox' })
      expect(await append(account(), 'Outbox')).toMatchObject({ kind: 'refused' })
      expect(await account().beginAppend('INBOX', 1024 * 1024 + 1)).toMatchObject({ kind: 'limit' })
      expect(await account().status('INBOX')).toMatchObject({ messages: 0, uidNext: 1 })
    })

    it('a mailbox deleted while the literal arrives answers no such mailbox', async () => {
      await account().createMailbox('x')
      const sink = await account().beginAppend('x', MESSAGE.length)
      if ('kind' in sink) throw new Error(sink.kind)
      await sink.write(Buffer.from(MESSAGE))
      await account().deleteMailbox('x')
      expect(await sink.commit({ flags: [], internalDate: null })).toEqual({ kind: 'no-such-mailbox' })
    })

    it('discarded, it leaves nothing', async () => {
      const sink = await account().beginAppend('INBOX', 10)
      if ('kind' in sink) throw new Error(sink.kind)
      await sink.write(Buffer.from('abc'))
      await sink.discard()
      expect(await account().status('INBOX')).toMatchObject({ messages: 0 })
    })

    it('an empty message and one of exactly the limit are kept', async () => {
      const empty = await appendUid(account(), 'INBOX', { text: '' })
      const largest = await appendUid(account(), 'INBOX', { text: Buffer.alloc(1024 * 1024, 'x') })
      const { mailbox } = await select(account(), 'INBOX')
      expect(await readText(mailbox, empty)).toBe('')
      expect((await readText(mailbox, largest))?.length).toBe(1024 * 1024)
    })
  })

  describe('reading', () => {
    it('gives ranges of a small and of a large message, empty past the end', async () => {
      const large = Buffer.from(MESSAGE + 'z'.repeat(200_000))
      for (const text of [Buffer.from(MESSAGE), large]) {
        const uid = await appendUid(account(), 'INBOX', { text })
        const { mailbox } = await select(account(), 'INBOX')
        const whole = text.toString()
        expect(await readText(mailbox, uid)).toBe(whole)
        expect(await readText(mailbox, uid, 0, 0)).toBe('')
        expect(await readText(mailbox, uid, 3, 9)).toBe(whole.slice(3, 9))
        expect(await readText(mailbox, uid, whole.length - 2, whole.length + 5)).toBe(whole.slice(-2))
        expect(await readText(mailbox, uid, whole.length, whole.length + 5)).toBe('')
        expect(await readText(mailbox, uid, whole.length + 10, whole.length + 20)).toBe('')
        mailbox.close()
      }
    })

    it('leaves out UIDs that are not there, in ascending order, each once', async () => {
      for (let count = 0; count < 130; count += 1) await append(account(), 'INBOX')
      const { mailbox } = await select(account(), 'INBOX')
      const asked = [130, 5, 999, 1, 5].map((uid) => uid as Uid)
      const records: MessageRecord[] = await collect(mailbox.fetch(asked))
      expect(records.map((record) => record.uid)).toEqual([1, 5, 130])
      const all = await collect(mailbox.fetch(mailbox.messages.map((message) => message.uid)))
      expect(all).toHaveLength(130)
      expect(await mailbox.readBody(999 as Uid, { start: 0, end: 1 })).toBeUndefined()
    })

    it('the body of a message expunged meanwhile can still be read', async () => {
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\Deleted'] })
      const watching = await select(account(), 'INBOX')
      const other = await select(account(), 'INBOX')
      await other.mailbox.expunge(undefined)
      expect(await readText(watching.mailbox, uid)).toBe(MESSAGE)
    })
  })

  describe('flags', () => {
    it('replace, add and remove; MODSEQ moves only when something changed', async () => {
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\Flagged', 'Red'] })
      const { mailbox, changes } = await select(account(), 'INBOX')
      const before = mailbox.messages[0]?.modSeq ?? 0
      const same = await mailbox.storeFlags([uid], 'add', ['\\flagged', 'RED'])
      expect(same).toEqual([{ uid, modSeq: before, flags: ['\\Flagged', 'Red'] }])
      expect(changes).toEqual([])
      const added = await mailbox.storeFlags([uid], 'add', ['\\Seen', 'Blue'])
      expect(added[0]?.flags).toEqual(['\\Flagged', '\\Seen', 'Red', 'Blue'])
      expect(added[0]?.modSeq).toBeGreaterThan(before)
      expect((await mailbox.storeFlags([uid], 'remove', ['red', '\\SEEN']))[0]?.flags).toEqual([
        '\\Flagged',
        'Blue',
      ])
      expect((await mailbox.storeFlags([uid], 'replace', ['\\Draft', 'red']))[0]?.flags).toEqual([
        '\\Draft',
        'Red',
      ])
      expect(changes).toHaveLength(3)
      expect((await account().status('INBOX'))?.highestModSeq).toBe(
        changes.at(-1)?.kind === 'flags' ? Math.max(...changes.map(modSeqOf)) : -1,
      )
    })

    it('\\Recent is never stored, UIDs that are gone are left out', async () => {
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\Recent'] })
      const { mailbox } = await select(account(), 'INBOX')
      expect(mailbox.messages[0]?.flags).toEqual([])
      expect(await mailbox.storeFlags([77 as Uid, uid], 'add', ['\\Seen'])).toHaveLength(1)
    })

    it('STATUS counts unseen, deleted and octets', async () => {
      const first = await appendUid(account(), 'INBOX')
      await append(account(), 'INBOX', { flags: ['\\Seen', '\\Deleted'] })
      expect(await account().status('INBOX')).toMatchObject({
        messages: 2,
        unseen: 1,
        deleted: 1,
        size: 2 * MESSAGE.length,
        uidNext: 3,
      })
      const { mailbox } = await select(account(), 'INBOX')
      await mailbox.storeFlags([first], 'replace', ['\\Seen', '\\Deleted'])
      expect(await account().status('INBOX')).toMatchObject({ unseen: 0, deleted: 2 })
      await mailbox.expunge(undefined)
      expect(await account().status('INBOX')).toMatchObject({
        messages: 0,
        unseen: 0,
        deleted: 0,
        size: 0,
        uidNext: 3,
      })
    })
  })

  describe('EXPUNGE, COPY and MOVE', () => {
    it('EXPUNGE removes only what is deleted, and of the given UIDs', async () => {
      const uids = [
        await appendUid(account(), 'INBOX', { flags: ['\\Deleted'] }),
        await appendUid(account(), 'INBOX'),
        await appendUid(account(), 'INBOX', { flags: ['\\Deleted'] }),
      ]
      const { mailbox } = await select(account(), 'INBOX')
      expect(await mailbox.expunge(uids.slice(1))).toEqual([uids[2]])
      expect(await mailbox.expunge(undefined)).toEqual([uids[0]])
      expect(await mailbox.expunge(undefined)).toEqual([])
      expect((await account().status('INBOX'))?.uidNext).toBe(4)
    })

    it('COPY keeps flags, keywords, date and bytes, and names source and target UIDs', async () => {
      const internalDate = new Date('2001-01-01T00:00:00Z')
      const first = await appendUid(account(), 'INBOX', { flags: ['\\Seen', 'work'], internalDate })
      const second = await appendUid(account(), 'INBOX')
      await append(account(), 'Archive')
      const { mailbox, changes } = await select(account(), 'INBOX')
      const target = await select(account(), 'Archive')
      const outcome = await mailbox.copyTo([second, 99 as Uid, first], 'Archive')
      expect(outcome).toEqual({
        kind: 'ok',
        uidValidity: target.mailbox.uidValidity,
        pairs: [
          { from: first, to: 2 },
          { from: second, to: 3 },
        ],
      })
      expect(changes).toEqual([])
      expect(target.changes.map((change) => change.kind)).toEqual(['added', 'added'])
      const [copy] = await collect(target.mailbox.fetch([2 as Uid]))
      expect(copy).toMatchObject({ flags: ['\\Seen', 'work'], internalDate })
      expect(await readText(target.mailbox, 2 as Uid)).toBe(MESSAGE)
      await mailbox.storeFlags([first], 'add', ['\\Deleted'])
      await mailbox.expunge(undefined)
      expect(await readText(target.mailbox, 2 as Uid)).toBe(MESSAGE)
    })

    it('COPY to a missing mailbox or the Outbox is refused, and copies nothing', async () => {
      const uid = await appendUid(account(), 'INBOX')
      const { mailbox } = await select(account(), 'INBOX')
      expect(await mailbox.copyTo([uid], 'none')).toEqual({ kind: 'no-such-mailbox' })
      expect(await mailbox.copyTo([uid], 'Outbox')).toMatchObject({ kind: 'refused' })
      expect(await mailbox.moveTo([uid], 'none')).toEqual({ kind: 'no-such-mailbox' })
      expect(await account().status('INBOX')).toMatchObject({ messages: 1 })
    })

    it('MOVE takes the message from one mailbox into the other', async () => {
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\Flagged'] })
      const { mailbox, changes } = await select(account(), 'INBOX')
      expect(await mailbox.moveTo([uid], 'Trash')).toMatchObject({
        kind: 'ok',
        pairs: [{ from: uid, to: 1 }],
      })
      expect(changes).toMatchObject([{ kind: 'expunged', uid }])
      expect((await select(account(), 'Trash')).mailbox.messages).toMatchObject([
        { uid: 1, flags: ['\\Flagged'] },
      ])
    })

    it('MOVE and COPY into the same mailbox give new UIDs and lose nothing', async () => {
      const uid = await appendUid(account(), 'INBOX')
      const { mailbox, changes } = await select(account(), 'INBOX')
      expect(await mailbox.moveTo([uid], 'INBOX')).toMatchObject({ pairs: [{ from: 1, to: 2 }] })
      expect(changes.map((change) => change.kind)).toEqual(['added', 'expunged'])
      expect(await mailbox.copyTo([2 as Uid], 'inbox')).toMatchObject({ pairs: [{ from: 2, to: 3 }] })
      expect(await account().status('INBOX')).toMatchObject({ messages: 2, uidNext: 4 })
    })
  })

  describe('two sessions', () => {
    it('a session sees what the other does, in order, and nothing after close', async () => {
      const watching = await select(account(), 'INBOX')
      const acting = await select(account(), 'INBOX')
      const uid = await appendUid(account(), 'INBOX')
      await acting.mailbox.storeFlags([uid], 'add', ['\\Deleted'])
      await acting.mailbox.expunge(undefined)
      expect(watching.changes.map((change) => change.kind)).toEqual(['added', 'flags', 'expunged'])
      expect(acting.changes).toEqual(watching.changes)
      watching.mailbox.close()
      await append(account(), 'INBOX')
      expect(watching.changes).toHaveLength(3)
    })

    it('the changes of a write are there before its answer', async () => {
      const { mailbox, changes } = await select(account(), 'INBOX')
      const uid = await appendUid(account(), 'INBOX')
      expect(changes).toHaveLength(1)
      const stored = mailbox.storeFlags([uid], 'add', ['\\Seen'])
      await stored
      expect(changes).toHaveLength(2)
    })

    it('a snapshot and its changes lose and double nothing while others write', async () => {
      const writes = Array.from({ length: 60 }, () => append(account(), 'INBOX'))
      const sessions: Session[] = []
      for (let count = 0; count < 20; count += 1) {
        sessions.push(await select(account(), 'INBOX'))
        await writes[count * 2]
      }
      await Promise.all(writes)
      for (const { mailbox, changes } of sessions) {
        const uids = [...mailbox.messages.map((message) => message.uid), ...changes.map(uidOf)]
        expect(uids).toEqual(Array.from({ length: 60 }, (_, index) => index + 1))
      }
    })
  })
}
