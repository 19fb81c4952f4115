import { ZipDamagedError } from '../../cm/message/zip-read.ts'
import { RecipeMismatchError } from '../mime/mime-recipe.ts'
import type { MessageToRender } from './render-message.ts'

/**
 * Renders by the recipe when that fits, else from the parts (design 8.6). `attempt` renders to its end and must leave
 * nothing behind when it throws.
 */
export async function withRecipeFallback<T>(
  message: MessageToRender,
  attempt: (message: MessageToRender) => Promise<T>,
): Promise<T> {
  try {
    return await attempt(message)
  } catch (error) {
    const { recipe, ...withoutRecipe } = message
    const isRecipesFault = error instanceof RecipeMismatchError || error instanceof ZipDamagedError
    if (recipe === undefined || !isRecipesFault) throw error
    return attempt(withoutRecipe)
  }
}
