import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createResolveTxt, type ResolveTxt } from '../../../src/net/dns-txt.ts'
import { startTestDns, type TestDnsServer } from '../../support/dns-server.ts'

describe('createResolveTxt', () => {
  let dns: TestDnsServer
  let resolveTxt: ResolveTxt
  const never = new AbortController().signal

  beforeAll(async () => {
    dns = await startTestDns({
      'cmsvr.example.net': [['v=spf1 -all'], ['server=cm.example.net:8081', ',other.example.net:8081']],
      'cmsvr.empty.example': [],
      'cmsvr.broken.example': 'servfail',
      'cmsvr.silent.example': 'silence',
      'cmsvr.many.example': Array.from({ length: 35 }, (_, index) => [`${index}`]),
      'cmsvr.octets.example': [['\xff\x00é']],
    })
    resolveTxt = createResolveTxt({ resolvers: [dns.hostPort] })
  })
  afterAll(() => dns.close())

  it('gives the records with their strings apart, one character an octet', async () => {
    expect(await resolveTxt('cmsvr.example.net', never)).toEqual({
      kind: 'records',
      records: [['v=spf1 -all'], ['server=cm.example.net:8081', ',other.example.net:8081']],
    })
    expect(await resolveTxt('cmsvr.octets.example', never)).toEqual({
      kind: 'records',
      records: [['\xff\x00é']],
    })
  })

  it('tells a name without TXT records from no such name and from no answer', async () => {
    expect(await resolveTxt('cmsvr.empty.example', never)).toEqual({ kind: 'records', records: [] })
    expect(await resolveTxt('cmsvr.nobody.example', never)).toEqual({ kind: 'none' })
    expect(await resolveTxt('cmsvr.broken.example', never)).toEqual({ kind: 'failed' })
  })

  it('says when there is no resolver at all', async () => {
    const nowhere = createResolveTxt({ resolvers: ['127.0.0.1:1'] })
    expect(await nowhere('cmsvr.example.net', never)).toEqual({ kind: 'failed', noResolver: true })
  })

  it('ends when it is told to', async () => {
    const stop = new AbortController()
    const answer = resolveTxt('cmsvr.silent.example', stop.signal)
    stop.abort()
    expect(await answer).toEqual({ kind: 'failed' })
    expect(await resolveTxt('cmsvr.example.net', stop.signal)).toEqual({ kind: 'failed' })
  })

  it('ends by itself when nobody answers', { timeout: 10_000 }, async () => {
    expect(await resolveTxt('cmsvr.silent.example', never)).toEqual({ kind: 'failed' })
    // For a while nobody waits for that name again.
    const asked = dns.asked.length
    expect(await resolveTxt('cmsvr.silent.example', never)).toEqual({ kind: 'failed' })
    expect(dns.asked.length).toBe(asked)
  })

  it('gives out no more records than an honest name has', async () => {
    const answer = await resolveTxt('cmsvr.many.example', never)
    expect(answer.kind === 'records' && answer.records.length).toBe(32)
  })

  it.each([
    ['cmsvr..example'],
    ['a b.example'],
    ['cmsvr.bücher.example'],
    [''],
    [`${'a'.repeat(64)}.example`],
  ])('asks nobody about %j', async (name) => {
    const before = dns.asked.length
    expect(await resolveTxt(name, never)).toEqual({ kind: 'none' })
    expect(dns.asked.length).toBe(before)
  })
})
