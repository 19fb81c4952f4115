import type { MessageIndex } from './message-index.ts'
import { MessageScanner } from './mime-split.ts'

/**
 * Everything the store keeps of a message besides its bytes, in one pass and bounded memory. Never throws for what a
 * message holds: malformed MIME becomes something plain (cases M01–M07). Rejects only when the source does.
 */
export async function indexMessage(source: AsyncIterable<Uint8Array>): Promise<MessageIndex> {
  const scanner = new MessageScanner()
  for await (const chunk of source) scanner.push(chunk)
  return scanner.finish().index
}
