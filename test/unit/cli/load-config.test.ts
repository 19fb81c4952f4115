import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/bridge/config.ts'
import { parseJsonc } from '../../../src/cli/jsonc.ts'
import { type ConfigSources, environmentName, loadConfig } from '../../../src/cli/load-config.ts'

let dataDirectory: string
beforeEach(() => {
  dataDirectory = mkdtempSync(join(tmpdir(), 'cmb-config-'))
})
afterEach(() => {
  rmSync(dataDirectory, { recursive: true })
})

function sources(some: Partial<ConfigSources>): ConfigSources {
  return { configFile: undefined, dataDirectory, environment: {}, settings: [], ...some }
}

function writeSettings(text: string): string {
  const path = join(dataDirectory, 'cmbridge.jsonc')
  writeFileSync(path, text)
  return path
}

function errorOf(some: Partial<ConfigSources>): string {
  try {
    loadConfig(sources(some))
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('the settings were accepted')
}

describe('settings', () => {
  it('has defaults for all, and the example file is exactly those', () => {
    const example = readFileSync(new URL('../../../config/cmbridge.example.jsonc', import.meta.url), 'utf8')
    const outcome = parseConfig({})
    expect(outcome).toEqual({ kind: 'ok', config: parseJsonc(example) })
  })

  it('lets the flag win over the environment, and the environment over the file', () => {
    writeSettings('{ "smtp": { "port": 1 }, "imap": { "port": 1, }, "poll": { "seconds": 1 } } // end')
    const config = loadConfig(
      sources({
        environment: { CMBRIDGE_IMAP_PORT: '2', CMBRIDGE_POLL_SECONDS: '2' },
        settings: ['poll.seconds=0.5'],
      }),
    )
    expect([config.smtp.port, config.imap.port, config.poll.seconds]).toEqual([1, 2, 0.5])
    expect(config.smtp.tlsPort).toBe(1465)
  })

  it('reads lists, truth values and switched-off ports from text', () => {
    const config = loadConfig(
      sources({
        environment: { CMBRIDGE_SMTP_HOSTS: '127.0.0.1, 127.0.0.2', CMBRIDGE_CM_PRIVATE_SERVERS: '' },
        settings: ['cmServer.enabled=true', 'smtp.tlsPort=off'],
      }),
    )
    expect(config.smtp.hosts).toEqual(['127.0.0.1', '127.0.0.2'])
    expect(config.cm.privateServers).toEqual([])
    expect(config.cmServer.enabled).toBe(true)
    expect(config.smtp.tlsPort).toBeNull()
  })

  it('spells the variable of a setting with underscores', () => {
    expect(environmentName('smtp.tlsPort')).toBe('CMBRIDGE_SMTP_TLS_PORT')
    expect(environmentName('cm.privateServers')).toBe('CMBRIDGE_CM_PRIVATE_SERVERS')
  })
})

describe('a wrong setting', () => {
  it.each([
    [
      'smtp.port=abc',
      'smtp.port = "abc" (--set): give a whole number from 1 to 65535, or 0 for any free port, or null (off in --set and the environment) to not listen there',
    ],
    [
      'smtp.port=65536',
      'smtp.port = 65536 (--set): give a whole number from 1 to 65535, or 0 for any free port, or null (off in --set and the environment) to not listen there',
    ],
    ['smtp.prot=1', 'smtp.prot = "1" (--set): there is no such setting; smtp has hosts, port, tlsPort'],
    ['imap.hosts=127.0.0.1,localhost', 'imap.hosts.1 = "localhost" (--set): give an IP address'],
    ['redis.url=http://me:secret@host', 'redis.url = (hidden) (--set): give redis://HOST:PORT'],
    ['cm.privateServers=cm.example.org', 'cm.privateServers.0 = "cm.example.org" (--set): give HOST:PORT'],
    ['cm.privateServers=a:70000', 'cm.privateServers.0 = "a:70000" (--set): give HOST:PORT'],
    ['cm.exitNode=true', 'cm.exitNode = true (--set): give cm.torProxy too'],
    ['cm.torProxy=tor', 'cm.torProxy = "tor" (--set): give HOST:PORT'],
    ['log.level=loud', 'log.level = "loud" (--set): give one of debug, info, warn, error'],
    ['cmServer.enabled=yes', 'cmServer.enabled = "yes" (--set): give true or false'],
    ['nonsense', '--set nonsense: give SECTION.NAME=VALUE, such as smtp.port=2525'],
  ])('%s is named with its value and the fix', (setting, message) => {
    expect(errorOf({ settings: [setting] })).toContain(message)
  })

  it('in the file is named with the file', () => {
    const path = writeSettings('{\n  // a comment with "quotes"\n  "poll": { "seconds": "soon" }\n}')
    expect(errorOf({})).toBe(`poll.seconds = "soon" (${path}): give a number of seconds from 0.1 to 86400`)
  })

  it('in the environment is named with the variable, also when there is no such variable', () => {
    expect(errorOf({ environment: { CMBRIDGE_LIMITS_JOBS: '0' } })).toContain(
      'limits.jobs = 0 (CMBRIDGE_LIMITS_JOBS): give a number of jobs from 1 to 100',
    )
    expect(errorOf({ environment: { CMBRIDGE_SMTP_PROT: '1' } })).toContain(
      'CMBRIDGE_SMTP_PROT: there is no such setting',
    )
  })

  it('names the line where the file is not JSON', () => {
    const path = writeSettings('{\n  "smtp": { "port" 1025 }\n}')
    expect(errorOf({})).toContain(`${path}: `)
    expect(errorOf({})).toContain('line 2')
  })

  it('of a kind that is no object is refused', () => {
    writeSettings('[1]')
    expect(errorOf({})).toContain('the settings must be one object')
    writeSettings('{ "smtp": 7 }')
    expect(errorOf({})).toContain('smtp = 7')
    expect(errorOf({ configFile: '/does/not/exist' })).toBe('/does/not/exist: no such settings file')
  })

  it('lists every wrong one, a line each', () => {
    expect(errorOf({ settings: ['smtp.port=a', 'imap.port=b'] }).split('\n')).toHaveLength(2)
  })
})

describe('JSON with comments', () => {
  it.each([
    ['{"a": "// not a comment /* */"}', { a: '// not a comment /* */' }],
    ['{"a": [1, 2, /* x */ ], // y\n}', { a: [1, 2] }],
    ['{"a": "\\",}" ,}', { a: '",}' }],
    ['\uFEFF{}', {}],
  ])('%s', (text, value) => {
    expect(parseJsonc(text)).toEqual(value)
  })
})
