import { expect } from 'vitest'
import type { SmtpPeer } from './smtp-peer.ts'

/** Logs in and goes on to the 354 of one message to bob. */
export async function untilData(peer: SmtpPeer): Promise<void> {
  await peer.logIn()
  await peer.command('MAIL FROM:<alice@example.org>')
  await peer.command('RCPT TO:<bob@example.net>')
  expect(await peer.command('DATA')).toMatch(/^354/)
}

/** Something to wait for that the test opens. */
export function gate(): { readonly wait: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { wait: promise, open: resolve }
}
