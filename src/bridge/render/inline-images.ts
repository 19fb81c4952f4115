import type { HtmlWithImages, InlineImage } from './rich-text.ts'

/** Pictures of one message. */
const MAX_IMAGES = 200
const DATA_IMAGE =
  /\bsrc\s{0,8}=\s{0,8}(["'])data:image\/(png|jpeg|jpg|gif|bmp|tiff|webp);base64,([A-Za-z0-9+/=\s]*)\1/gi

/**
 * Pictures written into HTML as `data:` URIs become parts: the address in the HTML turns into `cid:` (CM message 3.6).
 * The HTML is not sanitised yet.
 */
export function takeDataImages(html: string, contentId: (number: number) => string): HtmlWithImages {
  const images: InlineImage[] = []
  const replaced = html.replace(DATA_IMAGE, (all, quote: string, type: string, base64: string) => {
    if (images.length >= MAX_IMAGES) return all
    const mediaType = `image/${type.toLowerCase().replace('jpg', 'jpeg')}`
    const image = { contentId: contentId(images.length + 1), mediaType, bytes: Buffer.from(base64, 'base64') }
    images.push(image)
    return `src=${quote}cid:${image.contentId}${quote}`
  })
  return { html: replaced, images }
}
