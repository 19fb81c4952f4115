import { awaitMessage, openImap, type Person, saveSentCopy, shownHeaders, submit } from './people.ts'
import { check, show, step } from './screen.ts'

/** The scenes of the demo: each says what it does, does it as a mail program would, and checks what came of it. */

export interface Stage {
  readonly alice: Person
  readonly bob: Person
  readonly mallory: Person
}

const SUBJECT = 'Grüße aus Köln – první zpráva ✓'

/** Alice writes to Bob, Bob answers, and Alice sees that her letter was delivered. */
export async function playFirstMail({ alice, bob }: Pick<Stage, 'alice' | 'bob'>): Promise<void> {
  const alicesMail = await openImap(alice)
  const bobsMail = await openImap(bob)
  try {
    step('Alice sends Bob a message: UTF-8 subject, HTML and an attachment')
    const picture = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256))
    const sent = await submit(alice, {
      from: `${alice.name} <${alice.address}>`,
      to: `${bob.name} <${bob.address}>`,
      subject: SUBJECT,
      text: 'Hello Bob,\n\nthis came over Confidant Mail.\n\nAlice\n',
      html: '<p>Hello <b>Bob</b>,</p><p>this came over Confidant Mail.</p><p>Alice</p>',
      attachments: [{ filename: 'přehled.bin', content: picture }],
    })
    show([`server: ${sent.response}`])
    await saveSentCopy(alicesMail, sent.raw)

    step('Bob’s mail program is in IDLE and sees it arrive')
    const arrived = await awaitMessage(bobsMail, 'INBOX', ({ envelope }) => envelope?.subject === SUBJECT)
    show(shownHeaders(arrived.source))
    check(arrived.flags.has('$CMVerified'), 'the message carries the keyword $CMVerified')
    check(
      arrived.source.includes(picture.toString('base64').slice(0, 70)),
      'the attachment is there, byte for byte',
    )

    step('Bob replies')
    const answer = await submit(bob, {
      from: `${bob.name} <${bob.address}>`,
      to: `${alice.name} <${alice.address}>`,
      subject: `Re: ${SUBJECT}`,
      text: 'Got it, thank you.\n',
    })
    show([`server: ${answer.response}`])
    await awaitMessage(alicesMail, 'INBOX', ({ envelope }) => envelope?.subject === `Re: ${SUBJECT}`)
    check(true, 'the reply is in Alice’s INBOX')

    step('Bob’s bridge acknowledged the first message: Alice’s Sent copy says so')
    const delivered = await awaitMessage(
      alicesMail,
      'Sent',
      ({ flags }) => flags?.has('$CMDelivered') === true,
    )
    check(delivered.flags.has('$CMDelivered'), 'the Sent copy turned $CMDelivered')
    const copies = await countWithSubject(alicesMail, 'Sent', SUBJECT)
    check(copies === 1, 'there is exactly one copy in Sent')
  } finally {
    await alicesMail.logout()
    await bobsMail.logout()
  }
}

/** Two keys claim one address: mail of both says so, and nobody chooses for Alice. */
export async function playCollision({ alice, bob, mallory }: Stage): Promise<void> {
  const alicesMail = await openImap(alice)
  try {
    step('Mallory mails Alice as Bob')
    const lure = 'Please use my new key'
    await submit(mallory, {
      from: `${mallory.name} <${mallory.address}>`,
      to: `${alice.name} <${alice.address}>`,
      subject: lure,
      text: 'It is me, Bob.\n',
    })
    const forged = await awaitMessage(alicesMail, 'INBOX', ({ envelope }) => envelope?.subject === lure)
    show(shownHeaders(forged.source))
    check(hasCollision(forged.source, bob.keyId), 'Mallory’s message names Bob’s key as a collision')

    step('Bob writes again')
    const again = 'Did you get my second letter?'
    await submit(bob, {
      from: `${bob.name} <${bob.address}>`,
      to: `${alice.name} <${alice.address}>`,
      subject: again,
      text: 'Just asking.\n',
    })
    const genuine = await awaitMessage(alicesMail, 'INBOX', ({ envelope }) => envelope?.subject === again)
    show(shownHeaders(genuine.source))
    check(hasCollision(genuine.source, mallory.keyId), 'Bob’s message names Mallory’s key as a collision')

    step('Alice writes to plain bob@example.net: refused, with both fingerprints')
    const refusal = await refused(alice, `${bob.name} <${bob.address}>`)
    show([`server: ${refusal}`])
    check(refusal.startsWith('553') && refusal.includes('5.1.4'), 'the reply is 553 5.1.4')
    check(refusal.includes(bob.keyId) && refusal.includes(mallory.keyId), 'it names both fingerprints')

    step('Alice writes to the key she trusts: the fingerprint ends the name')
    const pinned = await submit(alice, {
      from: `${alice.name} <${alice.address}>`,
      to: `"${bob.name} ${bob.keyId}" <${bob.address}>`,
      subject: 'Pinned',
      text: 'To the real Bob.\n',
    })
    show([`server: ${pinned.response}`])
    await saveSentCopy(alicesMail, pinned.raw)
    const bobsMail = await openImap(bob)
    try {
      await awaitMessage(bobsMail, 'INBOX', ({ envelope }) => envelope?.subject === 'Pinned')
    } finally {
      await bobsMail.logout()
    }
    check(true, 'it is in Bob’s INBOX')
  } finally {
    await alicesMail.logout()
  }
}

function hasCollision(source: Buffer, keyId: string): boolean {
  return shownHeaders(source).some((line) => line.startsWith('X-CM-Key-Collision:') && line.includes(keyId))
}

async function refused(person: Person, to: string): Promise<string> {
  try {
    const sent = await submit(person, {
      from: `${person.name} <${person.address}>`,
      to,
      subject: 'Which Bob?',
      text: 'Hello.\n',
    })
    return sent.response
  } catch (error) {
    if (error instanceof Error && 'response' in error && typeof error.response === 'string')
      return error.response
    throw error
  }
}

async function countWithSubject(
  client: Awaited<ReturnType<typeof openImap>>,
  mailbox: string,
  subject: string,
): Promise<number> {
  const lock = await client.getMailboxLock(mailbox)
  try {
    let count = 0
    for await (const message of client.fetch('1:*', { envelope: true })) {
      if (message.envelope?.subject === subject) count += 1
    }
    return count
  } finally {
    lock.release()
  }
}
