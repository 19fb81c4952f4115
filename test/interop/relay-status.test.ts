import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { relayLines, relayStatusOf } from '../../src/cli/relay-status.ts'
import {
  dataBlock,
  freePort,
  loggedIn,
  peerAt,
  postTo,
  type RelayServer,
  startRelayServer,
  upload,
} from '../support/cm-relay-support.ts'

let directory: string
let server: RelayServer | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-relay-status-'))
})

afterEach(async () => {
  await server?.close()
  server = undefined
  rmSync(directory, { recursive: true })
})

describe('the status of the relay', () => {
  it('is not there without a CM server', () => {
    expect(relayStatusOf(directory)).toBeUndefined()
    expect(relayLines(undefined)).toEqual([])
  })

  it.each([
    ['of a bridge', 'cm-server'],
    ['that runs alone', '.'],
  ])('tells what waits at a server %s, and what fails', async (_, place) => {
    const [gone, peer] = [await freePort(), await freePort()]
    server = await startRelayServer({
      directory: join(directory, place),
      nowMs: Date.UTC(2026, 10, 25, 12),
      allowed: [`127.0.0.1:${gone}`],
      peer: peerAt(peer),
    })
    const client = await loggedIn(server)
    const block = dataBlock('waits', server.clock.now())
    const proxied = postTo(block, `server=127.0.0.1:${gone}`, 'server=later.example:1')
    const command = `STORE PROXY ${block.key} AFTER 2026-11-25T12:00:00Z`
    expect(await upload(client, command, proxied)).toBe('DONE')
    expect(await upload(client, `STORE SERVER ${block.key}`, block)).toBe('DONE')
    client.destroy()
    await server.pass()
    const octets = Buffer.byteLength(block.text) + 5
    expect(relayLines(relayStatusOf(directory))).toEqual([
      `relay     for other servers: 1 waiting, ${octets} octets, targets: 2`,
      'relay     for the replication peer: 1 waiting',
      'failing   the replication peer, 1 times; again at 2026-11-25T12:02:00.000Z',
      `failing   server=127.0.0.1:${gone}, 1 times; again at 2026-11-25T12:02:00.000Z`,
      'failing   server=later.example:1, 1 times; again at 2026-11-25T12:02:00.000Z',
    ])
  })
})
