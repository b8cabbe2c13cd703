/** Texts as UTF-8. Pure. */

const encoder = new TextEncoder()

/** How many bytes a text has. */
export const byteLength = (text: string): number => encoder.encode(text).length
