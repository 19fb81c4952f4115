import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { ZipDamagedError } from '../../cm/message/zip-read.ts'
import { RecipeMismatchError } from '../mime/mime-recipe.ts'
import { type MessageToRender, renderMessage } from './render-message.ts'

/**
 * Renders a message into a new private file, by its recipe when that fits, else from its parts (design 8.6). The file
 * is removed when rendering fails.
 */
export async function renderToFile(message: MessageToRender, path: string): Promise<void> {
  try {
    await write(message, path)
  } catch (error) {
    await rm(path, { force: true })
    const { recipe, ...withoutRecipe } = message
    const isRecipesFault = error instanceof RecipeMismatchError || error instanceof ZipDamagedError
    if (recipe === undefined || !isRecipesFault) throw error
    await write(withoutRecipe, path)
  }
}

async function write(message: MessageToRender, path: string): Promise<void> {
  await pipeline(renderMessage(message), createWriteStream(path, { mode: 0o600, flush: true }))
}
