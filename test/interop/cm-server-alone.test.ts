import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { parseKeyId } from '../../src/cm/ids.ts'
import { createCmServerCertificate } from '../../src/net/certificates.ts'
import { WireClient } from '../support/cm-server-support.ts'
import { upload, wireAcknowledgment, wireAnnouncement } from '../support/cm-wire-blocks.ts'
import { cmbridge } from '../support/command-line.ts'
import { type Served, startServe } from '../support/serve.ts'

const ALICE = 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'

let data = ''

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'cmb-alone-'))
})

afterEach(() => rmSync(data, { recursive: true }))

function start(...flags: readonly string[]): Promise<Served> {
  return startServe(['--data', data, 'cm-server', '--listen', '127.0.0.1:0', ...flags])
}

async function secure({ ready }: Served): Promise<WireClient> {
  const client = await WireClient.connectSecure(ready.cmServer[0]!.port)
  onTestFinished(() => client.destroy())
  return client
}

describe('cm-server', () => {
  it('takes keys by ADDLOGIN and from the account file while it runs, and ends by SHUTDOWN', async () => {
    writeFileSync(join(data, 'auth.txt'), '# accounts\nadministrator ADMINKEY00000001\n')
    const served = await start()
    const administrator = await secure(served)
    expect(await administrator.ask('LOGIN administrator ADMINKEY00000001')).toBe('DONE')
    expect(await administrator.ask('ADDLOGIN NEWKEY0001')).toBe('DONE')
    const first = await secure(served)
    expect(await first.ask(`LOGIN ${ALICE} NEWKEY0001`)).toBe('DONE')
    appendFileSync(join(data, 'auth.txt'), `${ALICE} FILEKEY0001 2026-11-25\n`)
    const reply = async (): Promise<string> => {
      const client = await secure(served)
      const said = await client.ask(`LOGIN ${ALICE} FILEKEY0001`)
      client.destroy()
      return said
    }
    await expect.poll(reply, { timeout: 20_000, interval: 500 }).toBe('DONE')
    expect(await administrator.ask('SELFTEST')).toBe('PASS')
    expect(await administrator.line()).toBe('EndBlock')
    expect((await cmbridge(['status', '--data', data])).stdout).toMatch(
      /^CM server runs as process \d+ since /,
    )
    const ended = served.ended()
    expect(await administrator.ask('SHUTDOWN')).toBe('GOODBYE')
    expect(await administrator.closed()).toBe('')
    administrator.destroy()
    expect(await ended).toBe(0)
    expect((await cmbridge(['status', '--data', data])).stdout).toContain('CM server does not run')
  }, 40_000)

  it('hands what it stores, and its accounts, to the server of its settings', async () => {
    const peerData = join(data, 'peer')
    mkdirSync(peerData)
    writeFileSync(join(peerData, 'auth.txt'), 'replication PEERKEY000000001\n')
    const given = await createCmServerCertificate({ names: ['peer.example.org'], nowMs: Date.now() })
    writeFileSync(join(peerData, 'cm-server.pem'), given.certificatePem)
    writeFileSync(join(peerData, 'cm-server.key'), given.privateKeyPem, { mode: 0o600 })
    const peer = await startServe(['--data', peerData, 'cm-server', '--listen', '127.0.0.1:0'])
    writeFileSync(join(data, 'auth.txt'), 'administrator ADMINKEY00000001\n')
    writeFileSync(join(data, 'peer.key'), 'PEERKEY000000001\n', { mode: 0o600 })
    const served = await start(
      '--replicate-to',
      `127.0.0.1:${peer.ready.cmServer[0]!.port}`,
      '--replication-key',
      join(data, 'peer.key'),
      '--replication-certificate',
      new X509Certificate(given.certificatePem).fingerprint,
    )
    const administrator = await secure(served)
    expect(await administrator.ask('LOGIN administrator ADMINKEY00000001')).toBe('DONE')
    expect(await administrator.ask(`ADDLOGIN ${ALICE} NEWKEY0001`)).toBe('DONE')
    const block = wireAcknowledgment(randomBytes(20), Date.now())
    administrator.send(upload(block))
    expect(await administrator.line()).toBe('DONE')
    expect(await administrator.ask('QUIT')).toBe('GOODBYE')
    administrator.destroy()
    const atPeer = async (): Promise<string> => {
      const client = await secure(peer)
      const login = await client.ask(`LOGIN ${ALICE} NEWKEY0001`)
      const [found = ''] = login === 'DONE' ? await client.get(`GET SERVER ${block.key}`) : [login]
      client.destroy()
      return found
    }
    await expect.poll(atPeer, { timeout: 20_000, interval: 500 }).toBe('Type: acknowledgment')
  }, 40_000)

  it('tells who is named in notify.txt of new mail', async () => {
    const told: string[] = []
    const smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData(stream, session, callback) {
        told.push(...session.envelope.rcptTo.map(({ address }) => address))
        stream.resume().on('end', () => callback())
      },
    })
    onTestFinished(() => smtp.close())
    smtp.listen(0, '127.0.0.1')
    await once(smtp.server, 'listening')
    const { port } = smtp.server.address() as AddressInfo
    writeFileSync(
      join(data, 'notify.txt'),
      `fromaddr=cm@example.org\nsmtpserver=127.0.0.1\nsmtpport=${port}\n${ALICE},email,alice@example.org\n`,
    )
    const client = await secure(await start())
    const recipient = parseKeyId(ALICE)
    if (recipient === undefined) throw new Error('no key id')
    client.send(upload(wireAnnouncement({ recipient, dateMs: Date.now() })))
    expect(await client.line()).toBe('DONE')
    await expect.poll(() => told, { timeout: 10_000 }).toEqual(['alice@example.org'])
  })

  it('shows the certificate that lies in its directory', async () => {
    const given = await createCmServerCertificate({ names: ['cm.example.org'], nowMs: Date.now() })
    writeFileSync(join(data, 'cm-server.pem'), given.certificatePem)
    writeFileSync(join(data, 'cm-server.key'), given.privateKeyPem, { mode: 0o600 })
    const client = await secure(await start())
    expect(client.tls?.getPeerX509Certificate()?.subject).toBe('CN=cm.example.org')
  })

  it.each([
    [
      'a certificate that is none',
      'cm-server.pem',
      'nonsense',
      ['--dns-txt', 'false'],
      'cm-server.pem and cm-server.key cannot be used',
    ],
    [
      'a line of an account file',
      'auth.txt',
      'nonsense\n',
      [],
      'auth.txt: line 1 is not "userid authkey [date]"',
    ],
    [
      'a line of a notification file',
      'notify.txt',
      'nonsense\n',
      [],
      'notify.txt: line 1 is not "keyid,email,address"',
    ],
    ['a peer without a key', 'x', '', ['--replicate-to', 'peer.example:8081'], 'cmServer.replicationKeyFile'],
  ])('says in one line what is wrong with %s', async (_, name, text, flags, message) => {
    writeFileSync(join(data, name), text)
    if (name === 'cm-server.pem') writeFileSync(join(data, 'cm-server.key'), text, { mode: 0o600 })
    const { exitCode, stderr } = await cmbridge([
      '--data',
      data,
      'cm-server',
      '--listen',
      '127.0.0.1:0',
      ...flags,
    ])
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain(message)
    expect(stderr.split('\n').filter((line) => line.startsWith('cmbridge:'))).toHaveLength(1)
  })

  it('wants the key for its peer to be for its owner alone', async () => {
    mkdirSync(join(data, 'keys'))
    const file = join(data, 'keys', 'peer')
    writeFileSync(file, 'PEERKEY000000001\n', { mode: 0o644 })
    const flags = ['--replicate-to', '127.0.0.1:1', '--replication-key', file]
    const { exitCode, stderr } = await cmbridge([
      '--data',
      data,
      'cm-server',
      '--listen',
      '127.0.0.1:0',
      ...flags,
    ])
    expect(exitCode).toBe(2)
    expect(stderr).toContain(`chmod 600 ${file}`)
  })
})
