import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePostTo } from '../../src/cm/server/relay/post-to.ts'
import { encodeTransport, parseTransport } from '../../src/cm/transport.ts'

const word = fc.constantFrom(
  'Post-To: ',
  'post-to: ',
  'server=',
  'entangled',
  'replicate',
  'embargo:',
  'a.example:1',
  '[::1]:2',
  ',',
  ':',
  '\n',
  '\r\n',
  'Type: data\n',
  'Embargo: 2026-11-25T10:00:00Z\n',
  '-----BEGIN PGP SIGNED MESSAGE-----\n',
)
const text = fc
  .array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 40 })
  .map((parts) => parts.join(''))

describe('the targets of a STORE PROXY', () => {
  it('are server lists that read as they are written, whatever was sent (S3)', () => {
    fc.assert(
      fc.property(text, (block) => {
        const found = parsePostTo(block)
        if (found === undefined) return
        expect(found.targets.length).toBeGreaterThan(0)
        for (const target of found.targets) {
          const transport = parseTransport(target)
          expect(transport?.kind).toBe('servers')
          expect(transport && encodeTransport(transport)).toBe(target)
        }
        expect(found.body).not.toMatch(/^post-to: /im)
        expect(block.endsWith(found.body)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})
