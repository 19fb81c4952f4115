// biome-ignore format: a table reads better in rows
const TYPES: ReadonlyMap<string, string> = new Map(Object.entries({
  txt: 'text/plain', csv: 'text/csv', ics: 'text/calendar', vcf: 'text/vcard', htm: 'text/html', html: 'text/html',
  css: 'text/css', md: 'text/markdown', diff: 'text/x-diff', patch: 'text/x-diff',
  png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', bmp: 'image/bmp',
  tif: 'image/tiff', tiff: 'image/tiff', svg: 'image/svg+xml', heic: 'image/heic', avif: 'image/avif',
  mp3: 'audio/mpeg', ogg: 'audio/ogg', opus: 'audio/ogg', flac: 'audio/flac', wav: 'audio/wav', m4a: 'audio/mp4',
  mp4: 'video/mp4', webm: 'video/webm', mov: 'video/quicktime', mkv: 'video/x-matroska', avi: 'video/x-msvideo',
  pdf: 'application/pdf', json: 'application/json', xml: 'application/xml', zip: 'application/zip',
  gz: 'application/gzip', tar: 'application/x-tar', '7z': 'application/x-7z-compressed', rtf: 'application/rtf',
  epub: 'application/epub+zip', asc: 'application/pgp-keys', gpg: 'application/octet-stream',
  doc: 'application/msword', xls: 'application/vnd.ms-excel', ppt: 'application/vnd.ms-powerpoint',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  odt: 'application/vnd.oasis.opendocument.text', ods: 'application/vnd.oasis.opendocument.spreadsheet',
  odp: 'application/vnd.oasis.opendocument.presentation',
}))

/**
 * The media type by the name's extension alone, never by the content's own claims (CM message 3.6). `.eml` stays
 * `application/octet-stream`: `message/rfc822` must not be base64 (RFC 2046 5.2.1).
 */
export function mediaTypeOf(fileName: string): string {
  const extension = /\.([^.]{1,8})$/.exec(fileName)?.[1]?.toLowerCase() ?? ''
  return TYPES.get(extension) ?? 'application/octet-stream'
}
