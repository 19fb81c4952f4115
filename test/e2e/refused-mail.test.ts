import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, Household } from '../support/bridge-household.ts'
import { compose, listMailbox, openImap, smtpPort, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'
import { playSmtpDialog } from '../support/smtp-dialog.ts'
import { SmtpPeer } from '../support/smtp-peer.ts'

/** What is not accepted leaves nothing behind (design 6, 7.1–7.5). */

const MAX_MESSAGE_BYTES = 100_000
const CASES = new URL('../golden/cases/', import.meta.url).pathname

describe.skipIf(!hasProgram('redis-server'))('mail that is refused', () => {
  let household: Household
  beforeAll(async () => {
    const settings = [`limits.messageBytes=${MAX_MESSAGE_BYTES}`]
    household = await Household.start({ people: ['alice', 'bob'], settings })
  })
  afterAll(() => household.stop())

  const letter = (text: string) =>
    compose({ from: 'alice@example.org', to: 'bob@example.net', subject: 'Never', text })

  async function expectNothingLeft(): Promise<void> {
    expect(household.rows('SELECT id FROM outbound_messages')).toEqual([])
    expect(household.rows('SELECT id FROM blobs')).toEqual([])
    await eventually('the spool is empty', () => readdirSync(join(household.data, 'spool')).length === 0)
    for (const mailbox of ['Outbox', 'Sent', 'Drafts']) {
      expect(
        await withImap(household, household.person('alice'), (client) => listMailbox(client, mailbox)),
      ).toEqual([])
    }
  }

  it('to an address without a key: 550 5.1.1', async () => {
    const refused = submit(household, {
      from: household.person('alice'),
      to: ['nobody@example.com'],
      raw: await letter('Hello.\n'),
    })
    await expect(refused).rejects.toMatchObject({
      responseCode: 550,
      response: '550 5.1.1 no key is announced for nobody@example.com',
    })
    await expectNothingLeft()
  })

  it('to a key that does not carry the address, pinned by the display name: 553 5.1.4', async () => {
    const { keyId } = household.person('alice')
    const raw = await compose({
      from: 'alice@example.org',
      to: `"Bob ${keyId}" <bob@example.net>`,
      subject: 'Never',
      text: 'Hello.\n',
    })
    const refused = submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
    await expect(refused).rejects.toMatchObject({
      responseCode: 553,
      response: `553 5.1.4 the key ${keyId} does not carry the address bob@example.net. Nothing was sent`,
    })
    await expectNothingLeft()
  })

  it('with a wrong password, by SMTP and by IMAP', async () => {
    const impostor = { ...household.person('alice'), password: household.person('bob').password }
    const raw = await letter('Hello.\n')
    await expect(submit(household, { from: impostor, to: ['bob@example.net'], raw })).rejects.toMatchObject({
      responseCode: 535,
    })
    await expect(openImap(household, impostor)).rejects.toMatchObject({ authenticationFailed: true })
    await expectNothingLeft()
  })

  it('from an address that is not the login’s own', async () => {
    const from = { ...household.person('bob'), address: 'alice@example.org' }
    const raw = await letter('Hello.\n')
    const peer = await SmtpPeer.connect(smtpPort(household))
    await peer.logIn('bob@example.net', from.password)
    expect(await peer.command('MAIL FROM:<alice@example.org>')).toMatch(/^553 5\.7\.1 /)
    await peer.command('MAIL FROM:<bob@example.net>')
    await peer.command('RCPT TO:<alice@example.org>')
    await peer.command('DATA')
    peer.send(Buffer.concat([raw, Buffer.from('\r\n.\r\n')]))
    expect(await peer.reply()).toMatch(/^550 5\.7\.1 /)
    peer.destroy()
    await expectNothingLeft()
  })

  it('over the limit: 552, whether its size is declared or not', async () => {
    const raw = await letter('long '.repeat(MAX_MESSAGE_BYTES / 5))
    const whole = submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
    await expect(whole).rejects.toMatchObject({ responseCode: 552 })
    const peer = await SmtpPeer.connect(smtpPort(household))
    await peer.logIn('alice@example.org', household.person('alice').password)
    expect(await peer.command(`MAIL FROM:<alice@example.org> SIZE=${raw.length}`)).toMatch(/^552 5\.3\.4 /)
    await peer.command('MAIL FROM:<alice@example.org>')
    await peer.command('RCPT TO:<bob@example.net>')
    await peer.command('DATA')
    peer.send(Buffer.concat([raw, Buffer.from('\r\n.\r\n')]))
    expect(await peer.reply()).toMatch(/^552 5\.3\.4 /)
    peer.destroy()
    await expectNothingLeft()
  })

  it('cut off before its final dot', async () => {
    const peer = await SmtpPeer.connect(smtpPort(household))
    await peer.logIn('alice@example.org', household.person('alice').password)
    await peer.command('MAIL FROM:<alice@example.org>')
    await peer.command('RCPT TO:<bob@example.net>')
    expect(await peer.command('DATA')).toMatch(/^354/)
    peer.send((await letter('Hello.\n')).subarray(0, -3))
    peer.socket.end()
    await peer.closed()
    await expectNothingLeft()
  })

  it('to recipients that were all refused, DATA pipelined (S11)', async () => {
    await playSmtpDialog(join(CASES, 'S11.dialog'), {
      port: smtpPort(household),
      values: { PASS: household.person('alice').password },
    })
    await expectNothingLeft()
  })
})
