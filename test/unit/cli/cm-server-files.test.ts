import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../../src/base/clock.ts'
import { followCertificate, followNotifyFile } from '../../../src/cli/cm-server-files.ts'
import { createLog } from '../../../src/cli/log.ts'
import { Notifier } from '../../../src/cm/server/notifier.ts'
import { type CertifiedKey, createCmServerCertificate } from '../../../src/net/certificates.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const LOOK_MS = 5 * duration.second

let directory: string
let clock: ManualClock
let errors: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-cm-files-'))
  clock = new ManualClock()
  errors = ''
})
afterEach(() => rmSync(directory, { recursive: true }))

function put(name: 'cm-server.pem' | 'cm-server.key', content: string): void {
  writeFileSync(join(directory, name), content)
}

/** After the files were looked at again. */
function looked<T>(value: () => T): T {
  clock.advance(LOOK_MS)
  return value()
}

function newPair(): Promise<CertifiedKey> {
  return createCmServerCertificate({ names: ['another'], nowMs: clock.now() })
}

async function follow(): ReturnType<typeof followCertificate> {
  const log = createLog({ level: 'error', format: 'json' }, (text) => {
    errors += text
  })
  return followCertificate({ directory, clock, log }, ['one'])
}

describe('the certificate of the CM server', () => {
  it('is replaced while the server runs, whichever of its files comes last', async () => {
    const { tls, end } = await follow()
    for (const order of [
      ['cm-server.pem', 'cm-server.key'] as const,
      ['cm-server.key', 'cm-server.pem'] as const,
    ]) {
      const { certificatePem, privateKeyPem } = await newPair()
      errors = ''
      for (const name of order) {
        put(name, name === 'cm-server.pem' ? certificatePem : privateKeyPem)
        // The first alone does not fit what is there.
        if (name === order[0]) await expect.poll(() => looked(() => errors)).toContain('the old one stays')
      }
      await expect.poll(() => looked(() => tls().certificatePem)).toBe(certificatePem)
    }
    await end()
  })

  it('is not made anew over a key that was just put there', async () => {
    const { tls, end } = await follow()
    const { certificatePem } = tls()
    const { privateKeyPem } = await newPair()
    rmSync(join(directory, 'cm-server.pem'))
    put('cm-server.key', privateKeyPem)
    clock.advance(LOOK_MS)
    await end()
    expect(readFileSync(join(directory, 'cm-server.key'), 'utf8')).toBe(privateKeyPem)
    expect(existsSync(join(directory, 'cm-server.pem'))).toBe(false)
    expect(tls().certificatePem).toBe(certificatePem)
    expect(errors).toBe('')
  })
})

describe('the notification file', () => {
  it('is told by its path and line when it is wrong, and when it is read again', async () => {
    let lines = ''
    const log = createLog({ level: 'info', format: 'json' }, (text) => {
      lines += text
    })
    const notifier = new Notifier({ clock, randomBytes, send: async () => undefined, log })
    const path = join(directory, 'notify.txt')
    const end = await followNotifyFile({ directory, clock, log }, '', notifier)
    writeFileSync(path, 'nonsense\n')
    await expect.poll(() => looked(() => lines)).toContain('"why":"line 1 is not')
    expect(lines).toContain(path)
    expect(lines).not.toContain('    at ')
    writeFileSync(path, 'fromaddr=cm@example.org\n')
    await expect.poll(() => looked(() => lines)).toContain('the notification file was read again')
    await end()
  })
})
