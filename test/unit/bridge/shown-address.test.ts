import { describe, expect, it } from 'vitest'
import { shownAddress } from '../../../src/bridge/shown-address.ts'

describe('shownAddress (S19)', () => {
  it.each([
    ['ann@example.net', 'ann@example.net'],
    ['Ann@EXAMPLE.net', 'Ann@EXAMPLE.net'],
    ['ann@bücher.example', 'ann@bücher.example'],
    ['ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example'],
    ['ann@ex\u0430mple.net', 'ann@ex\u0430mple.net (xn--exmple-4nf.net)'],
    ['\u0430nn@example.net', '\u0430nn@example.net'],
    ['ann@例え.テスト', 'ann@例え.テスト (xn--r8jz45g.xn--zckzah)'],
    ['例え@例え.テスト', '例え@例え.テスト'],
  ])('%s is %s', (address, shown) => {
    expect(shownAddress(address)).toBe(shown)
  })
})
