import { createRequire } from 'node:module'
import { SMTPServer } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import { describe, expect, it } from 'vitest'

/**
 * src/smtp/smtp-server-adapter.ts overrides what is no public API of smtp-server. A new version must be read
 * before this version number is raised: what is listed here, and what the dialogs in test/dialog/smtp show.
 */
describe('smtp-server, whose insides the adapter overrides', () => {
  it('is the version that was read', () => {
    const { version } = createRequire(import.meta.url)('smtp-server/package.json') as { version: string }
    expect(version).toBe('3.21.6')
  })

  it.each([
    'init',
    'connectionReady',
    'send',
    'close',
    '_createParser',
    '_setListeners',
    '_onCommand',
    '_parseAddressCommand',
    '_resetSession',
    'handler_EHLO',
    'handler_HELO',
    'handler_MAIL',
    'handler_RCPT',
    'handler_STARTTLS',
  ] as const)('has SMTPConnection.%s', (name) => {
    expect(SMTPConnection.prototype[name]).toBeTypeOf('function')
  })

  it.each(['connect', 'onAuth', 'onMailFrom', 'onRcptTo', 'onData', 'onClose', 'onConnect'] as const)(
    'has SMTPServer.%s',
    (name) => {
      expect(SMTPServer.prototype[name]).toBeTypeOf('function')
    },
  )

  it('has SMTPStream._write and _flushData', () => {
    expect(SMTPStream.prototype._write).toBeTypeOf('function')
    expect(SMTPStream.prototype._flushData).toBeTypeOf('function')
  })

  it('knows no BDAT of its own', () => {
    expect('handler_BDAT' in SMTPConnection.prototype).toBe(false)
  })
})
