import { afterEach, describe, expect, it } from 'vitest'
import { type LookupOutcome, RCPT_SOURCE_MS } from '../../src/bridge/key-lookup.ts'
import { createAuthority, createLeaf } from '../../src/net/certificates.ts'
import type { TxtAnswer } from '../../src/net/dns-txt.ts'
import { createServerTls } from '../../src/net/server-tls.ts'
import { type AnnouncedPerson, announcePerson, joinClaims } from '../support/announced-person.ts'
import { type BlockServer, type BlockServerOptions, startBlockServer } from '../support/block-server.ts'
import { dnsOf, LookupBench } from '../support/lookup-bench.ts'

/** Where keys are looked for, who is asked what, and what is believed (CM wire 8.9, design 9). */

const BOB = 'bob@example.net'
const NOBODY_LISTENS = '127.0.0.1:1'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function serverWith(options: BlockServerOptions = {}): Promise<BlockServer> {
  const server = await startBlockServer(options)
  ends.push(() => server.close())
  return server
}

async function benchWith(...given: Parameters<typeof LookupBench.open>): Promise<LookupBench> {
  const bench = await LookupBench.open(...given)
  ends.push(() => bench.close())
  return bench
}

const keyIds = ({ found }: LookupOutcome): string[] => found.map(({ keyId }) => keyId).sort()
const systemDns = (...given: Parameters<typeof dnsOf>) =>
  ({ kind: 'system', resolveTxt: dnsOf(...given) }) as const

describe('the sources of a look-up', () => {
  it('are all asked, and each contributes: a rival at one does not hide behind a key at another', async () => {
    const [own, atDomain] = [await announcePerson(BOB), await announcePerson(BOB)]
    const ownServer = await serverWith({ blocks: own.blocks })
    const domainServer = await serverWith({ blocks: atDomain.blocks })
    const bench = await benchWith({
      ownServers: [ownServer.hostPort],
      privateServers: [domainServer.hostPort],
    })
    const dns = systemDns({ 'cmsvr.example.net': ['v=spf1 -all', `server=${domainServer.hostPort}`] })
    const outcome = await bench.byAddress(BOB, { dns })
    expect(outcome.kind).toBe('answered')
    expect(keyIds(outcome)).toEqual([own.keyId, atDomain.keyId].sort())
  })

  it('are the servers of a contact’s last announcement too, asked for that very key', async () => {
    const home = await serverWith()
    const bob = await announcePerson(BOB, { servers: [home.hostPort] })
    const ownServer = await serverWith({ blocks: bob.blocks })
    const bench = await benchWith({ ownServers: [ownServer.hostPort], privateServers: [home.hostPort] })
    const first = await bench.byAddress(BOB)
    await bench.store.write('recordContacts', { accountId: bench.accountId, contacts: first.found })
    expect(home.asked).toEqual([])
    await bench.byAddress(BOB)
    expect(home.asked).toContain(`GET SERVER ${bob.keyId}`)
  })

  it('are the servers the owner names, wherever they are', async () => {
    const bob = await announcePerson(BOB)
    const named = await serverWith({ blocks: bob.blocks })
    const [host = '', port = ''] = named.hostPort.split(':')
    const bench = await benchWith({ ownServers: [] })
    const outcome = await bench.byAddress(BOB, {}, { servers: [{ host, port: Number(port) }] })
    expect(keyIds(outcome)).toEqual([bob.keyId])
  })

  it('are one where they are the same servers, and pass a question on in their list', async () => {
    const bob = await announcePerson(BOB)
    const empty = await serverWith()
    const full = await serverWith({ blocks: bob.blocks })
    const bench = await benchWith({ ownServers: [empty.hostPort, full.hostPort] })
    const dns = systemDns({ 'cmsvr.example.net': [`server=${full.hostPort},${empty.hostPort}`] })
    expect(keyIds(await bench.byAddress(BOB, { dns }))).toEqual([bob.keyId])
    expect(full.asked.filter((line) => line === `GET SERVER ${bob.claim.key}`)).toHaveLength(1)
  })

  it('leave nothing unsaid: one that cannot be asked makes it unreachable, with what the others found', async () => {
    const bob = await announcePerson(BOB)
    const ownServer = await serverWith({ blocks: bob.blocks })
    const bench = await benchWith({
      ownServers: [ownServer.hostPort],
      privateServers: [NOBODY_LISTENS],
    })
    const outcome = await bench.byAddress(BOB, {
      dns: systemDns({ 'cmsvr.example.net': [`server=${NOBODY_LISTENS}`] }),
    })
    expect(outcome).toMatchObject({ kind: 'unreachable', reason: '127.0.0.1:1 unreachable' })
    expect(keyIds(outcome)).toEqual([bob.keyId])
  })

  it('count as asked when one server of the list answered', async () => {
    const bench = await benchWith({ ownServers: [(await serverWith()).hostPort, NOBODY_LISTENS] })
    expect(await bench.byAddress(BOB)).toMatchObject({ kind: 'answered', found: [] })
  })

  it('do not count as asked when they only say FAILED', async () => {
    const bob = await announcePerson(BOB)
    const failing = await serverWith({ blocks: { [bob.claim.key]: { line: 'FAILED' } } })
    const bench = await benchWith({ ownServers: [failing.hostPort] })
    expect(await bench.byAddress(BOB)).toMatchObject({
      kind: 'unreachable',
      reason: `${failing.hostPort} refused`,
    })
  })

  it('get two seconds each while somebody waits', { timeout: 10_000 }, async () => {
    const bob = await announcePerson(BOB)
    const silent = await serverWith({ blocks: { [bob.claim.key]: 'silence' } })
    const full = await serverWith({ blocks: bob.blocks })
    const bench = await benchWith({ ownServers: [silent.hostPort], privateServers: [full.hostPort] })
    const startedMs = performance.now()
    const outcome = await bench.byAddress(
      BOB,
      { dns: systemDns({ 'cmsvr.example.net': [`server=${full.hostPort}`] }) },
      { sourceMs: RCPT_SOURCE_MS },
    )
    expect(performance.now() - startedMs).toBeLessThan(4000)
    expect(outcome).toMatchObject({ kind: 'unreachable', reason: `${silent.hostPort}: no answer in time` })
    expect(keyIds(outcome)).toEqual([bob.keyId])
  })

  it('end when the caller ends, with what was found by then', async () => {
    const bob = await announcePerson(BOB)
    const silent = await serverWith({ blocks: { [bob.claim.key]: 'silence' } })
    const bench = await benchWith({ ownServers: [silent.hostPort] })
    const stop = new AbortController()
    const pending = bench.byAddress(BOB, {}, { signal: stop.signal })
    stop.abort()
    expect(await pending).toMatchObject({ kind: 'unreachable', found: [] })
  })
})

describe('who is asked what', () => {
  it('nobody beyond the settings: no own servers, no DNS', async () => {
    const ownServer = await serverWith()
    const bench = await benchWith({ ownServers: [ownServer.hostPort] })
    const outcome = await bench.byAddress(BOB, { ownServers: false })
    expect(outcome).toMatchObject({ kind: 'unreachable', reason: 'no server to ask' })
    expect(ownServer.asked).toEqual([])
  })

  it('DNS for the domain alone, as A-label; servers for hashes alone, and without login', async () => {
    const asked: string[] = []
    const ownServer = await serverWith()
    const bench = await benchWith({ ownServers: [ownServer.hostPort] })
    await bench.byAddress('Ann@Bücher.example', { dns: systemDns({}, asked) })
    expect(asked).toEqual(['cmsvr.xn--bcher-kva.example'])
    expect(ownServer.asked.every((line) => /^GET SERVER [0-9a-f]{40}$/.test(line))).toBe(true)
  })

  it('nobody in DNS for what has no domain with a dot', async () => {
    const asked: string[] = []
    const bench = await benchWith({ ownServers: [(await serverWith()).hostPort] })
    await bench.byAddress('bob@localhost', { dns: systemDns({}, asked) })
    expect(asked).toEqual([])
  })

  it('no private address because DNS named it', async () => {
    const inside = await serverWith()
    const bench = await benchWith({ ownServers: [(await serverWith()).hostPort] })
    const dns = systemDns({ 'cmsvr.example.net': [`server=${inside.hostPort}`] })
    expect(await bench.byAddress(BOB, { dns })).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringMatching(`^${inside.hostPort} has a private address.*cm\\.privateServers`),
    })
    expect(inside.asked).toEqual([])
  })

  it('a machine without DNS has no such source; one whose DNS is silent has', async () => {
    const bench = await benchWith({ ownServers: [(await serverWith()).hostPort] })
    const failing = (answer: TxtAnswer) => ({ kind: 'system', resolveTxt: async () => answer }) as const
    const without = failing({ kind: 'failed', noResolver: true })
    expect(await bench.byAddress(BOB, { dns: without })).toMatchObject({ kind: 'answered', found: [] })
    const silent = failing({ kind: 'failed' })
    expect(await bench.byAddress(BOB, { dns: silent })).toMatchObject({
      kind: 'unreachable',
      reason: 'no answer from DNS for cmsvr.example.net',
    })
  })
})

describe('DNS by a CM server', () => {
  const throughServers = (...servers: string[]) => ({ dns: { kind: 'server', servers } }) as const

  it('takes the first line alone, and passes on what FAILED or is not found', async () => {
    const bob = await announcePerson(BOB)
    const domainServer = await serverWith({ blocks: bob.blocks })
    const failing = await serverWith({ txt: { 'cmsvr.example.net': { line: 'FAILED' } } })
    const empty = await serverWith({ txt: { 'cmsvr.example.net': [] } })
    const knowing = await serverWith({
      txt: { 'cmsvr.example.net': [`server=${domainServer.hostPort}`, `server=${NOBODY_LISTENS}`] },
    })
    const bench = await benchWith({ ownServers: [], privateServers: [domainServer.hostPort] })
    const servers = [failing.hostPort, empty.hostPort, knowing.hostPort]
    expect(keyIds(await bench.byAddress(BOB, throughServers(...servers)))).toEqual([bob.keyId])
    const onlyFirst = await serverWith({
      txt: { 'cmsvr.example.net': ['v=spf1', `server=${domainServer.hostPort}`] },
    })
    expect(await bench.byAddress(BOB, throughServers(onlyFirst.hostPort))).toMatchObject({ found: [] })
  })

  it('is asked at the own servers when none are named; FAILED everywhere is no answer', async () => {
    const ownServer = await serverWith({ txt: { 'cmsvr.example.net': { line: 'FAILED' } } })
    const bench = await benchWith({ ownServers: [ownServer.hostPort] })
    const outcome = await bench.byAddress(BOB, throughServers())
    expect(ownServer.asked).toContain('DNS TXT cmsvr.example.net')
    expect(outcome).toMatchObject({ kind: 'unreachable' })
    const ignorant = await serverWith()
    expect(await bench.byAddress(BOB, throughServers(ignorant.hostPort))).toMatchObject({
      kind: 'answered',
    })
  })
})

describe('what is believed', () => {
  async function ask(blocks: BlockServerOptions['blocks']): Promise<LookupOutcome> {
    const server = await serverWith({ blocks: blocks ?? {} })
    const bench = await benchWith({ ownServers: [server.hostPort] })
    return bench.byAddress(BOB)
  }
  const twoBobs = (): Promise<AnnouncedPerson[]> => Promise.all([announcePerson(BOB), announcePerson(BOB)])

  it('not a key under another’s fingerprint', async () => {
    const [bob, eve] = await twoBobs()
    if (bob === undefined || eve === undefined) throw new Error('two')
    const outcome = await ask({ ...bob.blocks, [bob.keyId]: eve.announcement.text })
    expect(outcome).toMatchObject({ kind: 'answered', found: [], unusable: [] })
  })

  it('nothing of claims that are too many to look through', async () => {
    const bob = await announcePerson(BOB)
    const flood = `${'NextClaim\n'.repeat(110_000)}${bob.blocks[bob.claim.key]}`
    const server = await serverWith({ blocks: { ...bob.blocks, [bob.claim.key]: flood } })
    const bench = await benchWith({ ownServers: [server.hostPort] })
    expect(await bench.byAddress(BOB)).toMatchObject({ kind: 'unreachable', found: [] })
  })

  it('not a claim the key did not sign, nor one without a signature', async () => {
    const [bob, eve] = await twoBobs()
    if (bob === undefined || eve === undefined) throw new Error('two')
    const forged = bob.claim.text.replace(/Keyid: \w+/, `Keyid: ${eve.keyId.toUpperCase()}`)
    const both = { [bob.keyId]: bob.announcement.text, [eve.keyId]: eve.announcement.text }
    expect(await ask({ ...both, [bob.claim.key]: forged })).toMatchObject({ found: [] })
    const unsigned = `Type: address-claim\nVersion: 1\nKeyid: ${bob.keyId}\nAddress: ${BOB}\n`
    expect(await ask({ ...both, [bob.claim.key]: unsigned })).toMatchObject({ found: [] })
    expect(keyIds(await ask({ ...both, [bob.claim.key]: joinClaims(bob, eve) }))).toHaveLength(2)
  })

  it('not a key that does not carry the address', async () => {
    const carol = await announcePerson('carol@example.net')
    const asBob = await announcePerson(BOB, { secretKey: carol.secretKey })
    expect(await ask(asBob.blocks)).toMatchObject({ kind: 'answered', found: [], unusable: [] })
  })

  it('not what stands around the signed part of an announcement', async () => {
    const bob = await announcePerson(BOB)
    const text = `Transport: server=evil.example:1\n${bob.announcement.text}`
    const outcome = await ask({ ...bob.blocks, [bob.keyId]: text })
    expect(outcome.found).toEqual([])
  })

  it('of two announcements of a key the newer one, wherever it is', async () => {
    const nowMs = Math.floor(Date.now() / 1000) * 1000
    const before = await announcePerson(BOB, { nowMs: nowMs - 60_000, servers: ['old.example:1'] })
    const { secretKey } = before
    const after = await announcePerson(BOB, { nowMs, secretKey, servers: ['new.example:1'] })
    const [old, fresh] = [await serverWith(before), await serverWith(after)]
    const bench = await benchWith({ ownServers: [fresh.hostPort], privateServers: [old.hostPort] })
    const dns = systemDns({ 'cmsvr.example.net': [`server=${old.hostPort}`] })
    const { found } = await bench.byAddress(BOB, { dns })
    expect(found).toHaveLength(1)
    expect(found[0]?.announcement).toContain('server=new.example:1')
  })
})

describe('the word of a domain', () => {
  const names = ['cmsvr.example.net', '127.0.0.1']

  async function authorityAndServer(blocks: BlockServerOptions['blocks'], certified = names) {
    const authority = await createAuthority({ names: certified, label: 'test', nowMs: Date.now() })
    const leaf = await createLeaf({ authority, names: certified, nowMs: Date.now() })
    const server = await serverWith({ blocks: blocks ?? {}, tls: createServerTls(leaf) })
    return { authorities: [authority.certificatePem], server }
  }

  it('is given to a key from a server of its TXT record with a certificate for cmsvr.DOMAIN', async () => {
    const bob = await announcePerson(BOB)
    const { authorities, server } = await authorityAndServer(bob.blocks)
    const bench = await benchWith({ ownServers: [], privateServers: [server.hostPort], authorities })
    const dns = systemDns({ 'cmsvr.example.net': [`server=${server.hostPort}`] })
    const { found } = await bench.byAddress(BOB, { dns })
    expect(found).toMatchObject([{ keyId: bob.keyId, vouchedAddresses: [BOB] }])
  })

  it('is given also when that server is one of the account’s own, which is asked once', async () => {
    const bob = await announcePerson(BOB)
    const { authorities, server } = await authorityAndServer(bob.blocks)
    const bench = await benchWith({ ownServers: [server.hostPort], authorities })
    const dns = systemDns({ 'cmsvr.example.net': [`server=${server.hostPort}`] })
    expect((await bench.byAddress(BOB, { dns })).found).toMatchObject([{ vouchedAddresses: [BOB] }])
    expect(server.asked.filter((line) => line.endsWith(bob.claim.key))).toHaveLength(1)
  })

  it.each([
    ['the server is not in the TXT record', names, ['server=other.example:8081'], true],
    ['the certificate is for another name', ['cmsvr.example.org', '127.0.0.1'], undefined, true],
    ['no authority vouches for the certificate', names, undefined, false],
  ])('is not given when %s', async (_when, certified, texts, isTrusted) => {
    const bob = await announcePerson(BOB)
    const { authorities, server } = await authorityAndServer(bob.blocks, certified)
    const bench = await benchWith({
      ownServers: [server.hostPort],
      privateServers: [server.hostPort],
      ...(isTrusted ? { authorities } : {}),
    })
    const dns = systemDns({ 'cmsvr.example.net': texts ?? [`server=${server.hostPort}`] })
    const { found } = await bench.byAddress(BOB, { dns })
    expect(found).toMatchObject([{ keyId: bob.keyId }])
    expect(found[0]?.vouchedAddresses).toBeUndefined()
  })
})

describe('an international domain (S19)', () => {
  const [ascii, unicode] = ['ann@xn--bcher-kva.example', 'ann@bücher.example']

  it.each([
    [ascii, unicode],
    [unicode, ascii],
    [unicode, 'ANN@BÜCHER.example'],
    [ascii, ascii],
  ])('announced as %s is found as %s', async (announced, asked) => {
    const ann = await announcePerson(announced)
    const bench = await benchWith({ ownServers: [(await serverWith({ blocks: ann.blocks })).hostPort] })
    expect(keyIds(await bench.byAddress(asked))).toEqual([ann.keyId])
  })

  it('announced in both spellings by two keys has two', async () => {
    const [one, other] = [await announcePerson(ascii), await announcePerson(unicode)]
    const server = await serverWith({ blocks: { ...one.blocks, ...other.blocks } })
    const bench = await benchWith({ ownServers: [server.hostPort] })
    expect(keyIds(await bench.byAddress(ascii))).toEqual([one.keyId, other.keyId].sort())
  })

  it.each([
    ['İstanbul@example.org', 'İstanbul@example.org'],
    ['ΟΔΥΣΣΕΥΣ@example.org', 'ΟΔΥΣΣΕΥΣ@example.org'],
    ['Straße@example.org', 'STRAßE@example.org'],
    ['ışık@example.org', 'IŞIK@example.org', 'not found: a dotless i is another letter'],
    ['xn--bcher-kva@example.org', 'xn--bcher-kva@example.org'],
    ['xn--bcher-kva@example.org', 'bücher@example.org', 'not found: a local part is left alone'],
  ])('the local part of %s, asked as %s', async (announced, asked, notFound?: string) => {
    const person = await announcePerson(announced)
    const bench = await benchWith({ ownServers: [(await serverWith({ blocks: person.blocks })).hostPort] })
    expect(keyIds(await bench.byAddress(asked))).toEqual(notFound === undefined ? [person.keyId] : [])
  })
})
