import { describe, expect, it } from 'vitest'
import type { AccountMail } from '../../src/imap/port.ts'
import { append, appendUid, MESSAGE, names, readText, select } from './account-mail-session.ts'

/** Names: CREATE, DELETE, RENAME, subscriptions. */
export function describeMailboxes(account: () => AccountMail): void {
  describe('mailboxes', () => {
    it('a new account has the eight default mailboxes, subscribed, with their special use', async () => {
      const infos = await account().listMailboxes()
      expect(infos.map((info) => [info.name, info.specialUse])).toEqual([
        ['Archive', '\\Archive'],
        ['Drafts', '\\Drafts'],
        ['INBOX', null],
        ['Junk', '\\Junk'],
        ['Notices', null],
        ['Outbox', null],
        ['Sent', '\\Sent'],
        ['Trash', '\\Trash'],
      ])
      expect(infos.every((info) => info.subscribed && info.selectable)).toBe(true)
    })

    it('CREATE makes missing parents as names only, which can be made mailboxes later', async () => {
      expect(await account().createMailbox('a/b/c')).toEqual({ kind: 'ok' })
      expect((await names(account())).slice(-3)).toEqual(['(a)', '(a/b)', 'a/b/c'])
      expect(await account().status('a')).toBeUndefined()
      expect(await account().open('a', () => {})).toBeUndefined()
      expect(await append(account(), 'a')).toEqual({ kind: 'no-such-mailbox' })
      expect(await account().createMailbox('a')).toEqual({ kind: 'ok' })
      expect(await account().status('a')).toMatchObject({ messages: 0, uidNext: 1 })
    })

    it('CREATE refuses what is there, INBOX in any case, and names that cannot be', async () => {
      expect(await account().createMailbox('Sent')).toEqual({ kind: 'already-exists' })
      expect(await account().createMailbox('inBox')).toEqual({ kind: 'already-exists' })
      for (const name of ['', '/', '/a', 'a//b', 'a\u0000', 'a\nb', '\ud800', 'x'.repeat(1001)]) {
        expect(await account().createMailbox(name), JSON.stringify(name)).toMatchObject({ kind: 'refused' })
      }
    })

    it('a separator at the end of CREATE is dropped, and names are compared in NFC', async () => {
      expect(await account().createMailbox('projects/')).toEqual({ kind: 'ok' })
      expect(await account().status('projects')).toBeDefined()
      expect(await account().createMailbox('cafe\u0301')).toEqual({ kind: 'ok' })
      expect(await account().createMailbox('caf\u00e9')).toEqual({ kind: 'already-exists' })
    })

    it('a mailbox made again under the same name has another UIDVALIDITY and no mail', async () => {
      await account().createMailbox('x')
      await append(account(), 'x')
      const before = await account().status('x')
      await account().deleteMailbox('x')
      await account().createMailbox('x')
      const after = await account().status('x')
      expect(after?.messages).toBe(0)
      expect(after?.uidValidity).toBeGreaterThan(before?.uidValidity ?? Number.POSITIVE_INFINITY)
    })

    it('DELETE of a mailbox with names below keeps the name as a parent, and then is refused', async () => {
      await account().createMailbox('a')
      await account().createMailbox('a/b')
      await append(account(), 'a')
      expect(await account().deleteMailbox('a')).toEqual({ kind: 'ok' })
      expect((await names(account())).slice(-2)).toEqual(['(a)', 'a/b'])
      expect(await account().deleteMailbox('a')).toMatchObject({ kind: 'refused' })
      expect(await account().deleteMailbox('a/b')).toEqual({ kind: 'ok' })
      expect(await account().deleteMailbox('a')).toEqual({ kind: 'ok' })
      expect(await account().deleteMailbox('a')).toEqual({ kind: 'no-such-mailbox' })
    })

    it('a parent made a mailbox again starts empty with another UIDVALIDITY', async () => {
      await account().createMailbox('a')
      await account().createMailbox('a/b')
      await append(account(), 'a')
      const before = await account().status('a')
      await account().deleteMailbox('a')
      await account().createMailbox('a')
      expect(await account().status('a')).toMatchObject({ messages: 0, size: 0 })
      expect((await account().status('a'))?.uidValidity).not.toBe(before?.uidValidity)
    })

    it('default mailboxes can be neither deleted nor renamed', async () => {
      for (const name of ['INBOX', 'Drafts', 'Sent', 'Archive', 'Junk', 'Trash', 'Outbox', 'Notices']) {
        expect(await account().deleteMailbox(name)).toMatchObject({ kind: 'refused' })
        if (name !== 'INBOX') {
          expect(await account().renameMailbox(name, 'other')).toMatchObject({ kind: 'refused' })
        }
      }
    })

    it('RENAME keeps UIDVALIDITY and UIDs and takes along what lies below', async () => {
      await account().createMailbox('a/b')
      await account().createMailbox('ab')
      const uid = await appendUid(account(), 'a/b')
      const before = await account().status('a/b')
      expect(await account().renameMailbox('a', 'z/y')).toEqual({ kind: 'ok' })
      expect((await names(account())).slice(-4)).toEqual(['ab', '(z)', '(z/y)', 'z/y/b'])
      expect(await account().status('z/y/b')).toEqual(before)
      const { mailbox } = await select(account(), 'z/y/b')
      expect(await readText(mailbox, uid)).toBe(MESSAGE)
    })

    it('RENAME refuses missing, existing and impossible names, and a place below itself', async () => {
      await account().createMailbox('a')
      await account().createMailbox('b')
      expect(await account().renameMailbox('none', 'c')).toEqual({ kind: 'no-such-mailbox' })
      expect(await account().renameMailbox('a', 'b')).toEqual({ kind: 'already-exists' })
      expect(await account().renameMailbox('a', 'a/b')).toMatchObject({ kind: 'refused' })
      expect(await account().renameMailbox('a', 'c//d')).toMatchObject({ kind: 'refused' })
      expect((await names(account())).slice(-2)).toEqual(['a', 'b'])
    })

    it('RENAME of INBOX moves its messages to the new mailbox and leaves INBOX and what lies below', async () => {
      await account().createMailbox('INBOX/sub')
      const uid = await appendUid(account(), 'INBOX', { flags: ['\\Seen', 'work'] })
      const session = await select(account(), 'inbox')
      expect(await account().renameMailbox('Inbox', 'old')).toEqual({ kind: 'ok' })
      expect(session.changes).toMatchObject([{ kind: 'expunged', uid }])
      expect(await account().status('INBOX')).toMatchObject({ messages: 0, uidNext: Number(uid) + 1 })
      expect(await account().status('INBOX/sub')).toBeDefined()
      const { mailbox } = await select(account(), 'old')
      expect(mailbox.messages.map((message) => message.flags)).toEqual([['\\Seen', 'work']])
    })

    it('subscriptions outlive mailboxes and precede them', async () => {
      await account().setSubscribed('later', true)
      await account().setSubscribed('Junk', false)
      expect(await account().listSubscriptions()).toContain('later')
      expect(await account().listSubscriptions()).not.toContain('Junk')
      await account().createMailbox('later')
      expect((await account().listMailboxes()).find((info) => info.name === 'later')?.subscribed).toBe(true)
      await account().deleteMailbox('later')
      expect(await account().listSubscriptions()).toContain('later')
      expect(await account().setSubscribed('never', false)).toEqual({ kind: 'ok' })
      expect(await account().setSubscribed('a//b', true)).toMatchObject({ kind: 'refused' })
    })

    it('sessions of a deleted mailbox are told', async () => {
      await account().createMailbox('x')
      const session = await select(account(), 'x')
      await account().deleteMailbox('x')
      expect(session.changes).toEqual([{ kind: 'deleted' }])
    })
  })
}
