/** The name of a character in Unicode. Pure. */

/** The code point of the first character of a text: `U+000A`. */
export const nameOf = (text: string): string => `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`
