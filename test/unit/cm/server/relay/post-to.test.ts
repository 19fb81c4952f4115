import { describe, expect, it } from 'vitest'
import { parsePostTo } from '../../../../../src/cm/server/relay/post-to.ts'

const BLOCK = 'Type: acknowledgment\nDate: 2026-11-25T09:48:24Z\n'

const TAKEN: readonly (readonly [string, string, readonly string[]])[] = [
  ['one server', 'Post-To: server=a.example:8081\n', ['server=a.example:8081']],
  ['alternatives', 'Post-To: server=a.example:1,b.example:2\n', ['server=a.example:1,b.example:2']],
  [
    'two targets in any case, once each',
    'post-to: SERVER=A.example:1\nPost-To: server=b.example:2\nPost-To: server=a.example:1\n',
    ['server=a.example:1', 'server=b.example:2'],
  ],
  ['an IPv6 address', 'Post-To: server=[2001:db8::1]:8081\n', ['server=[2001:db8::1]:8081']],
  [
    'what a stock client sends again of a delayed message (CM wire 8.5)',
    'Post-To: embargo:server=a.example:1\n',
    ['server=a.example:1'],
  ],
]

const REFUSED: readonly (readonly [string, string])[] = [
  ['no target', BLOCK],
  ['the peer', `Post-To: replicate\n${BLOCK}`],
  ['the DHT, which is not there', `Post-To: entangled\n${BLOCK}`],
  ['one good target and one that is none', `Post-To: server=a.example:1\nPost-To: nonsense\n${BLOCK}`],
  ['a host without port', `Post-To: server=a.example\n${BLOCK}`],
  ['port 0', `Post-To: server=a.example:0\n${BLOCK}`],
  ['a port that is none', `Post-To: server=a.example:65536\n${BLOCK}`],
  ['an empty list', `Post-To: server=\n${BLOCK}`],
  ['an IPv6 address without brackets', `Post-To: server=2001:db8::1:8081\n${BLOCK}`],
  ['a blank in the host', `Post-To: server=a .example:1\n${BLOCK}`],
  ['a path', `Post-To: server=a.example:1/x\n${BLOCK}`],
  ['a second one further down', `Post-To: server=a.example:1\n${BLOCK}Post-To: server=b.example:1\n`],
  ['an Embargo line', `Post-To: server=a.example:1\nEmbargo: 2026-11-25T09:48:24Z\n${BLOCK}`],
  ['seventeen alternatives', `Post-To: server=${Array(17).fill('a.example:1').join(',')}\n${BLOCK}`],
  [
    'more servers than may be connected to for one block',
    `${Array.from({ length: 13 }, (_, n) => `Post-To: server=${Array(16).fill(`h${n}.example:1`).join(',')}\n`).join('')}${BLOCK}`,
  ],
  [
    'more targets than a message has recipients',
    `${Array.from({ length: 101 }, (_, n) => `Post-To: server=h${n}.example:1\n`).join('')}${BLOCK}`,
  ],
]

describe('the targets of a STORE PROXY', () => {
  it.each(TAKEN)('takes %s', (_, lines, targets) => {
    expect(parsePostTo(lines + BLOCK)).toEqual({ targets, body: BLOCK })
  })

  it.each(REFUSED)('refuses %s', (_, text) => {
    expect(parsePostTo(text)).toBeUndefined()
  })
})
