import { decodeHeaderText } from '../../mail/encoded-words.ts'
import type { FilePlan } from './plan-parts.ts'

/** Extensions for parts without a name; CM has no media types, so the name is all the receiver gets. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'text/plain': '.txt',
  'text/html': '.html',
  'text/calendar': '.ics',
  'text/csv': '.csv',
  'text/vcard': '.vcf',
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/gif': '.gif',
  'image/webp': '.webp',
  'image/svg+xml': '.svg',
  'application/pdf': '.pdf',
  'application/ics': '.ics',
  'application/json': '.json',
  'application/zip': '.zip',
  'application/pgp-signature': '.asc',
  'application/pgp-keys': '.asc',
  'application/pkcs7-signature': '.p7s',
  'application/pkcs7-mime': '.p7m',
  'message/delivery-status': '.txt',
  'message/disposition-notification': '.txt',
}

/** The name for one planned file, as the sender gave it or by its type; not made safe. `index` counts from 0. */
export function proposedName(plan: FilePlan, index: number): string {
  const { part, fileName } = plan
  if (part.kind === 'message') {
    const name = fileName ?? (decodeHeaderText(part.envelope.subject ?? '').trim() || 'message')
    return /\.eml$/i.test(name) ? name : `${name}.eml`
  }
  if (fileName !== undefined) return fileName
  if (part.type === 'text' && part.subtype === 'calendar') return 'invite.ics'
  return `attachment-${index + 1}${EXTENSIONS[`${part.type}/${part.subtype}`] ?? '.bin'}`
}
