/** Text of somebody else's for a terminal. */
import { stripVTControlCharacters } from "node:util"

/** The text without what would do something to a terminal, in one line. */
export const plain = (text: string): string => stripVTControlCharacters(text).replaceAll(/\p{Cc}/gu, " ")
