import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fetchDocument } from '../../../src/net/fetch-document.ts'
import { loadInstallCertificates } from '../../../src/net/install-certificates.ts'
import { createTempDirectory } from '../../support/store.ts'

/** The autoconfig document's way here (CM message 10.2): the reference neither validates nor bounds it. */

const LIMITS = { maxBytes: 1000, timeoutMs: 5000 }
let directory: { path: string; remove(): Promise<void> }
let plain: Server
let secure: Server
let authority: string
let secureUrl: string
let plainUrl: string

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

/** `/text`, `/long/SIZE`, `/to/URL`, `/slow`. */
const answer: RequestListener = (request, response) => {
  const [, verb, argument = ''] = /^\/([a-z]+)\/?(.*)$/.exec(request.url ?? '') ?? []
  if (verb === 'text') response.end('hello')
  else if (verb === 'long') response.end('x'.repeat(Number(argument)))
  else if (verb === 'to') response.writeHead(302, { location: decodeURIComponent(argument) }).end()
  else if (verb === 'slow') response.write('x')
  else response.writeHead(404).end()
}

beforeAll(async () => {
  directory = await createTempDirectory()
  const made = await loadInstallCertificates(directory.path, {
    hostName: 'localhost',
    extraNames: [],
    nowMs: Date.now(),
  })
  authority = made.authorityPem
  secure = createHttpsServer({ key: made.leaf.privateKeyPem, cert: made.leaf.certificatePem })
  plain = createHttpServer()
  for (const server of [secure, plain]) server.on('request', answer)
  secureUrl = `https://localhost:${await listen(secure)}`
  plainUrl = `http://127.0.0.1:${await listen(plain)}`
})

afterAll(async () => {
  for (const server of [plain, secure]) {
    server.closeAllConnections()
    server.close()
  }
  await directory.remove()
})

const fetchIt = (url: string, limits: Partial<typeof LIMITS> = {}) =>
  fetchDocument(url, { ...LIMITS, ...limits, authority })
const failure = (words: string) => ({ kind: 'failed', reason: expect.stringContaining(words) })

describe('a document', () => {
  it('comes over https from a server whose certificate is valid', async () => {
    expect(await fetchIt(`${secureUrl}/text`)).toEqual({ kind: 'ok', bytes: Buffer.from('hello') })
  })

  it('does not come from a server whose certificate is not', async () => {
    expect(await fetchDocument(`${secureUrl}/text`, LIMITS)).toMatchObject(
      failure('certificate is not valid'),
    )
    // The certificate says nothing of this name, though it resolves to the same machine.
    const other = secureUrl.replace('localhost', '127.0.0.2')
    expect(await fetchIt(`${other}/text`)).toMatchObject({ kind: 'failed' })
  })

  it('comes over plain http from this machine alone', async () => {
    expect(await fetchIt(`${plainUrl}/text`)).toMatchObject({ kind: 'ok' })
    for (const url of [
      'http://example.org/x',
      'http://127.0.0.1.example.org/x',
      'http://10.0.0.1/',
      'ftp://127.0.0.1/',
    ])
      expect(await fetchIt(url)).toMatchObject(failure('only https'))
    expect(await fetchIt('no address')).toMatchObject(failure('no address'))
  })

  it('follows a redirect, but not from https to plain http, and not for ever', async () => {
    const to = (from: string, target: string): string => `${from}/to/${encodeURIComponent(target)}`
    expect(await fetchIt(to(secureUrl, `${secureUrl}/text`))).toMatchObject({ kind: 'ok' })
    expect(await fetchIt(to(secureUrl, '/text'))).toMatchObject({ kind: 'ok' })
    expect(await fetchIt(to(plainUrl, `${secureUrl}/text`))).toMatchObject({ kind: 'ok' })
    expect(await fetchIt(to(secureUrl, `${plainUrl}/text`))).toMatchObject(failure('only https'))
    let loop = `${secureUrl}/text`
    for (let hop = 0; hop < 6; hop += 1) loop = to(secureUrl, loop)
    expect(await fetchIt(loop)).toMatchObject(failure('more than 5 times'))
  })

  it.each([
    ['1000', 'ok'],
    ['1001', 'failed'],
    ['10000000', 'failed'],
  ])('of %s octets is %s', async (size, kind) => {
    expect((await fetchIt(`${secureUrl}/long/${size}`)).kind).toBe(kind)
  })

  it('that does not come in time is given up', async () => {
    expect(await fetchIt(`${secureUrl}/slow`, { timeoutMs: 300 })).toMatchObject(failure('too slow'))
  })

  it('that is not there, or whose server is not, says so', async () => {
    expect(await fetchIt(`${secureUrl}/missing`)).toMatchObject(failure('answers 404'))
    expect(await fetchIt('https://localhost:1/')).toMatchObject(failure('cannot be reached'))
  })
})
