import { afterEach, describe, expect, it } from 'vitest'
import {
  type CmNetworkSettings,
  createCmClientEnvironment,
} from '../../../../src/cm/client/client-environment.ts'
import { describeFailures } from '../../../../src/cm/client/describe-failures.ts'
import { preferredNetwork, proxyCredentials, routeTo } from '../../../../src/cm/client/proxy-route.ts'
import { type ServersRequest, withServers } from '../../../../src/cm/client/with-servers.ts'
import { anyAddress, publicAddressesExcept } from '../../../../src/net/address-guard.ts'
import {
  MemoryCertificates,
  realClock,
  type ScriptedServer,
  startScriptedServer,
} from '../../../support/cm-client-support.ts'
import { type SocksServer, startSocksServer } from '../../../support/socks-server.ts'

const SETTINGS: CmNetworkSettings = {
  torProxy: '',
  i2pProxy: '',
  socksProxy: '',
  exitNode: false,
  preferred: 'direct',
  timeoutSeconds: 15,
  uploadKilobytesPerSecond: 0,
}

function environmentOf(settings: Partial<CmNetworkSettings>) {
  return createCmClientEnvironment(
    { ...SETTINGS, ...settings },
    { clock: realClock(), certificateMemory: new MemoryCertificates(), isolationKey: new Uint8Array(32) },
  )
}

function routeOf(host: string, settings: Partial<CmNetworkSettings>): string {
  const route = routeTo({ host, port: 8081 }, environmentOf(settings).proxies)
  return route.kind === 'proxy' ? `${route.proxy.host}:${route.proxy.port}` : route.kind
}

describe('the way to a server', () => {
  const all = { torProxy: 'tor:9050', i2pProxy: 'i2p:4447', socksProxy: 'socks:1080' }
  it.each([
    ['x.onion', {}, 'no-proxy'],
    ['x.i2p', {}, 'no-proxy'],
    ['cm.example', {}, 'direct'],
    ['x.onion', { socksProxy: 'socks:1080' }, 'no-proxy'],
    ['x.i2p', { torProxy: 'tor:9050', exitNode: true }, 'no-proxy'],
    ['x.onion', all, 'tor:9050'],
    ['x.i2p', all, 'i2p:4447'],
    ['cm.example', all, 'socks:1080'],
    ['cm.example', { ...all, exitNode: true }, 'tor:9050'],
    ['cm.example', { torProxy: 'tor:9050' }, 'direct'],
    // The owner wants not to be seen: without the proxy nothing goes out.
    ['cm.example', { exitNode: true }, 'no-proxy'],
    ['cm.example', { exitNode: true, socksProxy: 'socks:1080' }, 'no-proxy'],
  ])('to %s with %j: %s', (host, settings, way) => {
    expect(routeOf(host, settings)).toBe(way)
  })

  it('prefers Tor with an exit node, unless I2P is preferred', () => {
    expect(preferredNetwork(environmentOf({}).proxies)).toBe('direct')
    expect(preferredNetwork(environmentOf({ exitNode: true }).proxies)).toBe('tor')
    expect(preferredNetwork(environmentOf({ exitNode: true, preferred: 'i2p' }).proxies)).toBe('i2p')
    expect(preferredNetwork(undefined)).toBe('direct')
  })

  it('refuses a proxy that is no HOST:PORT instead of connecting without it', () => {
    expect(() => environmentOf({ torProxy: 'socks5://x' })).toThrow('no HOST:PORT')
  })
})

describe('credentials at a proxy', () => {
  const proxies = { exitNode: false, preferred: 'direct', isolationKey: Buffer.alloc(32, 1) } as const

  it('differ by account and by installation, are stable in one, and name neither', () => {
    const first = proxyCredentials(proxies, 'bob@example.net')
    expect(first).toEqual(proxyCredentials(proxies, 'bob@example.net'))
    const others = [
      proxyCredentials(proxies, 'alice@example.net'),
      proxyCredentials({ ...proxies, isolationKey: Buffer.alloc(32, 2) }, 'bob@example.net'),
    ]
    for (const other of others) {
      expect(other.user).not.toBe(first.user)
      expect(other.password).not.toBe(first.password)
    }
    expect(`${first.user} ${first.password}`).toMatch(/^[0-9a-f]{32} [0-9a-f]{32}$/)
  })
})

describe('withServers through a proxy', () => {
  let server: ScriptedServer | undefined
  let proxy: SocksServer | undefined

  afterEach(async () => {
    await server?.close()
    await proxy?.close()
  })

  function request(settings: Partial<CmNetworkSettings>, host: string): ServersRequest {
    return {
      servers: [{ host, port: 8081 }],
      judge: publicAddressesExcept([]),
      environment: environmentOf(settings),
      randomInt: () => 0,
      isolation: 'an account',
    }
  }

  it('reaches an onion server that has no address here, remembers its certificate under its name', async () => {
    server = await startScriptedServer(async (connection) => {
      await connection.greet()
      await connection.line()
      await connection.send('GOODBYE\r\n')
    })
    proxy = await startSocksServer({ method: 2, targetPort: server.port, isLate: true })
    const asked = request({ torProxy: `127.0.0.1:${proxy.port}` }, 'abcdefgh.onion')
    const outcome = await withServers(asked, async () => ({ kind: 'done', value: 'talked' }))
    expect(outcome).toMatchObject({ kind: 'done', value: 'talked', hostPort: 'abcdefgh.onion:8081' })
    expect(proxy.talks[0]?.request.toString('latin1')).toContain('abcdefgh.onion')
    expect(proxy.talks[0]?.credentials?.user).toMatch(/^[0-9a-f]{32}$/)
    const certificates = asked.environment.certificateMemory as MemoryCertificates
    expect([...certificates.records.keys()]).toEqual(['abcdefgh.onion:8081'])
    await asked.environment.sessions?.close()
  })

  it('skips servers without a proxy, and names a proxy that is down', async () => {
    const gone = await startSocksServer({})
    await gone.close()
    const skipped = await withServers(request({}, 'abcdefgh.i2p'), async () => ({ kind: 'done', value: 0 }))
    expect(describeFailures(skipped.failures)).toBe(
      'abcdefgh.i2p:8081 is reached through a proxy only: set cm.torProxy for .onion, cm.i2pProxy for .i2p',
    )
    const down = await withServers(
      request({ socksProxy: `127.0.0.1:${gone.port}` }, 'cm.example.org'),
      async () => ({ kind: 'done', value: 0 }),
    )
    expect(down.kind).toBe('all-failed')
    expect(describeFailures(down.failures)).toBe(
      `cm.example.org:8081 is not asked: the proxy is down (proxy 127.0.0.1:${gone.port})`,
    )
  })

  it('gives a server twice the time', async () => {
    server = await startScriptedServer(async (connection) => {
      const timer = Promise.withResolvers<void>()
      setTimeout(timer.resolve, 150)
      await timer.promise
      await connection.greet()
      await connection.rest()
    })
    proxy = await startSocksServer({ targetPort: server.port })
    const patience = { replyMs: 100 }
    const target = { ...request({ torProxy: `127.0.0.1:${proxy.port}` }, 'slow.onion') }
    const slow = { ...target, environment: { ...target.environment, timeouts: patience } }
    const done = await withServers(slow, async () => ({ kind: 'done', value: 'in time' }))
    expect(done.kind).toBe('done')
    const direct = { ...slow, judge: anyAddress, servers: [{ host: '127.0.0.1', port: server.port }] }
    const late = await withServers(direct, async () => ({ kind: 'done', value: 'in time' }))
    expect(describeFailures(late.failures)).toBe(`127.0.0.1:${server.port} did not answer in time`)
    await slow.environment.sessions?.close()
  })
})
