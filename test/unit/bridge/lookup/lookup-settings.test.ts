import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../../src/bridge/config.ts'
import { lookupSettings } from '../../../../src/bridge/lookup/lookup-settings.ts'

function settingsOf(given: unknown) {
  const parsed = parseConfig(given)
  if (parsed.kind !== 'ok') throw new Error(parsed.issues.map(({ key }) => key).join())
  return lookupSettings(parsed.config)
}

describe('whom look-ups may ask', () => {
  it('is this machine’s DNS and the own servers, unless the owner says otherwise', () => {
    expect(settingsOf({})).toMatchObject({ ownServers: true, dns: { kind: 'system' } })
    expect(settingsOf({ lookup: { dns: false, ownServers: false } })).toEqual({
      ownServers: false,
      dns: { kind: 'off' },
    })
    expect(settingsOf({ lookup: { dnsBy: 'server', dnsServers: ['a.example:1'] } }).dns).toEqual({
      kind: 'server',
      servers: ['a.example:1'],
    })
  })

  it.each([[{ socksProxy: '127.0.0.1:9050' }], [{ torProxy: '127.0.0.1:9050', exitNode: true }]])(
    'is never this machine’s DNS with %j, which would show what the proxy hides',
    (cm) => {
      expect(settingsOf({ cm }).dns).toEqual({ kind: 'server', servers: [] })
    },
  )

  it('is this machine’s DNS beside a proxy for .onion alone', () => {
    expect(settingsOf({ cm: { torProxy: '127.0.0.1:9050' } }).dns.kind).toBe('system')
  })
})
