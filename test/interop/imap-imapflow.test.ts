import { once } from 'node:events'
import { connect } from 'node:net'
import { ImapFlow } from 'imapflow'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ImapServer, startImapServer } from '../../src/imap/server.ts'
import type { ServerTlsContext } from '../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../src/net/certificates.ts'
import { createServerTls } from '../../src/net/server-tls.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { createMemoryAccount, createTestAuthenticator, PASSWORD, USER } from '../support/imap-peer.ts'

let tls: ServerTlsContext
let server: ImapServer | undefined
const clients: ImapFlow[] = []

beforeAll(async () => {
  tls = createServerTls(await createCmServerCertificate({ names: ['localhost'], nowMs: Date.now() }))
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await server?.close()
  server = undefined
})

async function startServer(maxConnections = 10): Promise<{ starttls: number; implicit: number }> {
  const errors: unknown[] = []
  server = await startImapServer({
    listeners: [
      { addresses: [{ host: '127.0.0.1', port: 0 }], tls: 'starttls' },
      { addresses: [{ host: '127.0.0.1', port: 0 }], tls: 'implicit' },
    ],
    tlsContext: () => tls,
    authenticator: createTestAuthenticator(createMemoryAccount(16 * 1024 * 1024)),
    clock: systemClock,
    log: { debug: () => undefined, error: (fields) => errors.push(fields) },
    greetingHost: 'localhost',
    maxConnections,
  })
  const port = (kind: string): number => server?.addresses.find((address) => address.tls === kind)?.port ?? 0
  return { starttls: port('starttls'), implicit: port('implicit') }
}

async function connectClient(port: number, secure: boolean): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure,
    auth: { user: USER, pass: PASSWORD },
    tls: { rejectUnauthorized: false },
    logger: false,
  })
  clients.push(client)
  await client.connect()
  return client
}

const MESSAGE = [
  'From: Alice <alice@example.org>',
  'To: Bob <bob@example.net>',
  'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
  'Message-ID: <one@example.org>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=x',
  '',
  '--x',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'hello there',
  '--x',
  'Content-Type: application/octet-stream; name=a.bin',
  'Content-Disposition: attachment; filename=a.bin',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.alloc(200_000, 7).toString('base64').replace(/.{76}/g, '$&\r\n'),
  '--x--',
  '',
].join('\r\n')

describe('imapflow', () => {
  it('appends, reads, searches, flags, copies, moves and removes, over STARTTLS', async () => {
    const { starttls } = await startServer()
    const client = await connectClient(starttls, false)
    expect(client.secureConnection).toBe(true)
    const appended = await client.append(
      'Sent',
      Buffer.from(MESSAGE),
      ['\\Seen', '$Label1'],
      new Date('2026-02-03T04:05:06Z'),
    )
    expect(appended).toMatchObject({ uid: 1 })
    const lock = await client.getMailboxLock('Sent')
    try {
      const message = await client.fetchOne('1', {
        uid: true,
        flags: true,
        envelope: true,
        bodyStructure: true,
        source: true,
        size: true,
        internalDate: true,
        headers: ['subject'],
      })
      if (message === false) throw new Error('no message')
      expect(message.envelope?.subject).toBe('Grüße')
      expect(message.source?.toString()).toBe(MESSAGE)
      expect(message.size).toBe(MESSAGE.length)
      expect(message.bodyStructure?.childNodes?.map(({ type }) => type)).toEqual([
        'text/plain',
        'application/octet-stream',
      ])
      expect(message.flags).toEqual(new Set(['$Label1', '\\Seen']))
      expect(new Date(message.internalDate ?? 0).toISOString()).toBe('2026-02-03T04:05:06.000Z')
      const { content } = await client.download('1', '2')
      if (content === undefined) throw new Error('no attachment')
      const chunks: Buffer[] = []
      for await (const chunk of content) chunks.push(Buffer.from(chunk as Uint8Array))
      expect(Buffer.concat(chunks)).toEqual(Buffer.alloc(200_000, 7))
      expect(await client.search({ subject: 'grüße' })).toEqual([1])
      expect(await client.search({ body: 'hello' }, { uid: true })).toEqual([1])
      expect(await client.search({ header: { 'message-id': 'nobody' } })).toEqual([])
      expect(await client.messageFlagsAdd('1', ['\\Flagged'])).toBe(true)
      const copied = await client.messageCopy('1', 'Archive')
      expect(copied).toMatchObject({ uidMap: new Map([[1, 1]]) })
      const moved = await client.messageMove('1', 'Trash')
      expect(moved).toMatchObject({ uidMap: new Map([[1, 1]]) })
      expect(client.mailbox).toMatchObject({ exists: 0 })
    } finally {
      lock.release()
    }
    const trash = await client.getMailboxLock('Trash')
    try {
      expect(await client.messageDelete('1:*')).toBe(true)
    } finally {
      trash.release()
    }
    expect(await client.status('Trash', { messages: true })).toMatchObject({ messages: 0 })
    await client.logout()
  })

  it('sees special-use, makes, renames and removes mailboxes, over implicit TLS', async () => {
    const { implicit } = await startServer()
    const client = await connectClient(implicit, true)
    const uses = new Map((await client.list()).map(({ path, specialUse }) => [path, specialUse]))
    expect(uses.get('Sent')).toBe('\\Sent')
    expect(uses.get('Trash')).toBe('\\Trash')
    expect(await client.mailboxCreate(['Ärger', 'Neu'])).toMatchObject({ path: 'Ärger/Neu', created: true })
    expect(await client.mailboxRename('Ärger/Neu', 'Ärger/Alt')).toMatchObject({ newPath: 'Ärger/Alt' })
    await client.mailboxSubscribe('Ärger/Alt')
    expect((await client.list()).find(({ path }) => path === 'Ärger/Alt')).toMatchObject({ subscribed: true })
    await client.mailboxDelete('Ärger/Alt')
    expect((await client.list()).some(({ path }) => path === 'Ärger/Alt')).toBe(false)
    await client.logout()
  })

  it('hears of new mail, flags and removals while it idles', async () => {
    const { starttls } = await startServer()
    const watcher = await connectClient(starttls, false)
    await watcher.mailboxOpen('INBOX')
    const idling = watcher.idle()
    const actor = await connectClient(starttls, false)
    const exists = once(watcher, 'exists')
    await actor.append('INBOX', 'Subject: x\r\n\r\nbody')
    expect(await exists).toMatchObject([{ path: 'INBOX', count: 1, prevCount: 0 }])
    await actor.mailboxOpen('INBOX')
    const flags = once(watcher, 'flags')
    await actor.messageFlagsAdd('1', ['\\Flagged'])
    expect(await flags).toMatchObject([{ path: 'INBOX', seq: 1, flags: new Set(['\\Flagged']) }])
    const expunged = once(watcher, 'expunge')
    await actor.messageDelete('1')
    expect(await expunged).toMatchObject([{ path: 'INBOX', seq: 1 }])
    await watcher.noop()
    await idling
    await watcher.logout()
    await actor.logout()
  })

  it('is told when the password is wrong', async () => {
    const { starttls } = await startServer()
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: starttls,
      secure: false,
      auth: { user: USER, pass: 'wrong' },
      tls: { rejectUnauthorized: false },
      logger: false,
    })
    await expect(client.connect()).rejects.toMatchObject({ authenticationFailed: true })
  })
})

describe('the IMAP server', () => {
  it('says BYE to a connection over the limit, and to open ones when it closes', async () => {
    const { starttls } = await startServer(1)
    const first = connect(starttls, '127.0.0.1')
    const [greeting] = (await once(first, 'data')) as [Buffer]
    expect(greeting.toString()).toMatch(/^\* OK \[CAPABILITY IMAP4rev1 [^\]]*STARTTLS[^\]]*\] localhost /)
    const second = connect(starttls, '127.0.0.1')
    const [refusal] = (await once(second, 'data')) as [Buffer]
    expect(refusal.toString()).toBe('* BYE Too many connections\r\n')
    second.destroy()
    const farewell = once(first, 'data')
    const closed = server?.close()
    expect(((await farewell) as [Buffer])[0].toString()).toBe('* BYE The server is shutting down\r\n')
    first.destroy()
    await closed
  })
})
