import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { type MessageToRender, renderMessage } from './render-message.ts'
import { withRecipeFallback } from './with-recipe-fallback.ts'

/** Renders a message into a new private file; it is removed when rendering fails. */
export function renderToFile(message: MessageToRender, path: string): Promise<void> {
  return withRecipeFallback(message, async (attempt) => {
    try {
      await pipeline(renderMessage(attempt), createWriteStream(path, { mode: 0o600, flush: true }))
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  })
}
