import { describe, expect, it } from 'vitest'
import {
  type DeliveryReport,
  encodeDeliveryReport,
  MAX_RETURNED_BYTES,
} from '../../../../src/bridge/reports/delivery-report.ts'
import { readMail } from '../../../support/read-mail.ts'

const header = Buffer.from(
  'From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\nMessage-ID: <m1@alice.example.org>\r\n\r\n',
)
const report: DeliveryReport = {
  kind: 'failed',
  id: 'ab'.repeat(16),
  to: { name: 'Alice Example', address: 'alice@example.org' },
  dateMs: Date.UTC(2026, 1, 6, 9, 15),
  message: { header, content: null, acceptedMs: Date.UTC(2026, 1, 3, 9, 15), envelopeId: 'q+1' },
  recipients: [
    {
      address: 'bob@example.net',
      originalRecipient: 'rfc822;Bob@example.net',
      enhancedStatusCode: '5.1.1',
      reason: 'No key is announced for bob@example.net; its owner may not have announced it lately.',
      lastAttemptMs: Date.UTC(2026, 1, 6, 9, 14),
    },
  ],
  givesUpMs: null,
}
const text = (changes: Partial<DeliveryReport> = {}) =>
  Buffer.from(encodeDeliveryReport({ ...report, ...changes })).toString('latin1')

function statusGroups(octets: string): string[] {
  const part = octets.split('Content-Type: message/delivery-status\r\n\r\n')[1] ?? ''
  return part.split('\r\n\r\n--')[0]?.split('\r\n\r\n') ?? []
}

describe('a delivery report', () => {
  it('has the three parts of RFC 3464: words, status, header', async () => {
    const octets = text()
    expect(octets).toContain('Content-Type: multipart/report; report-type=delivery-status;')
    const [perMessage, perRecipient] = statusGroups(octets)
    expect(perMessage).toBe(
      'Reporting-MTA: dns; cmbridge.invalid\r\nOriginal-Envelope-Id: q+1\r\nArrival-Date: Tue, 03 Feb 2026 09:15:00 +0000',
    )
    expect(perRecipient?.split(/\r\n(?! )/)).toEqual([
      'Original-Recipient: rfc822; Bob@example.net',
      'Final-Recipient: rfc822; bob@example.net',
      'Action: failed',
      'Status: 5.1.1',
      expect.stringMatching(/^Diagnostic-Code: x-cm; No key is announced/),
      'Last-Attempt-Date: Fri, 06 Feb 2026 09:14:00 +0000',
    ])
    const parsed = await readMail(Buffer.from(octets, 'latin1'))
    expect(parsed.structure).toMatchObject({
      subtype: 'report',
      parts: [{ subtype: 'plain' }, { subtype: 'delivery-status' }, { subtype: 'rfc822-headers' }],
    })
    expect(parsed.subject).toBe('Not delivered: Grüße')
    expect(parsed.inReplyTo).toBe('<m1@alice.example.org>')
    expect(parsed.text).toContain('No key is announced for bob@example.net; its owner')
    expect(octets).toContain('Content-Type: text/rfc822-headers')
    expect(octets).toContain('\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n')
    expect(octets).toContain('Auto-Submitted: auto-generated\r\n')
  })

  it('says until when a delayed message is tried', () => {
    const octets = text({
      kind: 'delayed',
      givesUpMs: Date.UTC(2026, 1, 6, 9, 15),
      recipients: [{ ...report.recipients[0]!, enhancedStatusCode: '4.4.1' }],
    })
    expect(octets).toContain('Action: delayed\r\n')
    expect(octets).toContain('Will-Retry-Until: Fri, 06 Feb 2026 09:15:00 +0000\r\n')
    expect(octets).toContain('Subject: =?UTF-8?B?')
    expect(octets).toContain('need not send it again')
  })

  it('of a delivery says what that means, without a diagnostic', () => {
    const octets = text({
      kind: 'delivered',
      recipients: [{ ...report.recipients[0]!, enhancedStatusCode: '2.0.0', reason: 'Acknowledged' }],
    })
    expect(octets).toContain('Action: delivered\r\nStatus: 2.0.0\r\n')
    expect(octets).not.toContain('Diagnostic-Code')
    expect(octets).toContain('does not say that it was read')
  })

  it('of a message nobody confirmed is a failure with 4.4.7', () => {
    const octets = text({
      kind: 'not-confirmed',
      recipients: [
        { ...report.recipients[0]!, enhancedStatusCode: '4.4.7', reason: 'No acknowledgment came.' },
      ],
    })
    expect(octets).toContain('Action: failed\r\nStatus: 4.4.7\r\n')
    expect(octets).toContain('did not confirm it')
  })

  it('has one group per recipient', () => {
    const octets = text({
      recipients: [report.recipients[0]!, { ...report.recipients[0]!, address: 'carol@example.net' }],
    })
    expect(statusGroups(octets)).toHaveLength(3)
  })

  it('brings the whole message back for RET=FULL, unless it is large', () => {
    const content = Buffer.concat([header, Buffer.from('the body\r\n')])
    expect(text({ message: { ...report.message, content } })).toContain('Content-Type: message/rfc822')
    expect(text({ message: { ...report.message, content } })).toContain('\r\nthe body\r\n')
    const large = Buffer.concat([header, Buffer.alloc(MAX_RETURNED_BYTES, 'x')])
    const octets = text({ message: { ...report.message, content: large } })
    expect(octets).toContain('Content-Type: text/rfc822-headers')
    expect(octets.length).toBeLessThan(10_000)
  })

  it('writes addresses beyond ASCII in the forms of RFC 6533', () => {
    const of = (address: string) =>
      text({ recipients: [{ ...report.recipients[0]!, address, originalRecipient: null }] })
    expect(of('ann@bücher.example')).toContain('Final-Recipient: rfc822; ann@xn--bcher-kva.example\r\n')
    expect(of('änn@example.net')).toContain('Final-Recipient: utf-8; \\x{E4}nn@example.net\r\n')
  })

  it('lets nothing of the message start a field or a part', () => {
    const evil = 'x\r\nStatus: 2.0.0\r\n\r\n--=_cmb_report_abab\r\nBcc: eve@example.com'
    const octets = text({
      message: { ...report.message, header: Buffer.from(`Subject: ${evil}\r\n\r\n`), envelopeId: evil },
      recipients: [{ ...report.recipients[0]!, address: evil, originalRecipient: evil, reason: evil }],
    })
    expect(octets.match(/^Status: /gm)).toHaveLength(1 + (octets.match(/^Status: 2\.0\.0/gm)?.length ?? 0))
    expect(statusGroups(octets)[1]).not.toMatch(/^Bcc:/m)
    expect(octets.slice(0, octets.indexOf('\r\n\r\n'))).not.toMatch(/^Bcc:/m)
  })

  it('is the same for the same report', () => {
    expect(text()).toBe(text())
  })
})
