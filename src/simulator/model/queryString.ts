/** What SageMaker takes for a query string, whatever its parameters mean (protocol 1.3), and where a text is none. Pure. */
import * as codePoint from "../../internal/codePoint.ts"

/** Longest query string that SageMaker takes, in characters. */
export const maxLength = 2048

/**
 * Why a text is no legal query string: the first character that may not stand where it stands, its place from 1, and the
 * parameter it is in. Undefined where it is one. Values are customers' words: none is repeated but for that character, and
 * a parameter's name only where `isKnown` knows it.
 */
export const problemOf = (query: string, isKnown: (name: string) => boolean): string | undefined => {
  if (query === "") return "it is empty"
  if (query.length > maxLength) return `it has ${query.length} characters, and ${maxLength} are the most`
  if (query.startsWith("?")) return "character 1 (?): a query string begins after it"
  let offset = 0
  const pairs = query.split("&")
  for (const [n, pair] of pairs.entries()) {
    const problem = pair === "" ? missing(n, pairs.length, offset) : oddIn(pair, offset, n + 1, isKnown)
    if (problem !== undefined) return problem
    offset += pair.length + 1
  }
  return undefined
}

/** Nothing beside an `&`; `offset` is where it should be. */
const missing = (n: number, pairs: number, offset: number): string =>
  n === 0
    ? "character 1 (&): no parameter comes before it"
    : n === pairs - 1
    ? `character ${offset} (&): no parameter follows it`
    : `character ${offset + 1} (&): no parameter comes between it and the one before`

const oddIn = (pair: string, offset: number, number: number, isKnown: (name: string) => boolean): string | undefined => {
  const length = pair.indexOf("=")
  const name = length < 0 ? pair : pair.slice(0, length)
  const subject = isKnown(name) ? name : `parameter ${number}`
  const begins = `${subject}, which begins at character ${offset + 1},`
  const at = (index: number, rule: string): string => `character ${offset + index + 1} (${shown(pair, index)}) in ${subject}: ${rule}`
  if (length < 0) return `${begins} has no = and no value${isKnown(name) ? "" : "; an & within a value is written %26"}`
  if (length === 0) return at(0, "a parameter's name is missing before it")
  if (!/[A-Za-z0-9]/.test(name[0] ?? "")) return at(0, "a parameter's name begins with a letter or a digit")
  const inName = name.search(/[^\w-]/)
  if (inName >= 0) return at(inName, "a parameter's name has letters, digits, _ and - only")
  if (length === pair.length - 1) return `${begins} has an empty value: leave it out`
  const inValue = pair.slice(length + 1).search(/[^\w.~%-]|%(?![\dA-Fa-f]{2})/)
  return inValue < 0 ? undefined : at(length + 1 + inValue, ruleOf(pair[length + 1 + inValue] ?? ""))
}

/** How what a value may not hold is written. */
const ruleOf = (character: string): string => {
  const code = character.charCodeAt(0)
  if (character === "+") return "a space is written %20, never +, and a plus sign %2B"
  if (character === "%") return "two hexadecimal digits must follow it; a percent sign is written %25"
  if (code > 0x7f) return "what is not ASCII is percent-encoded as UTF-8"
  return `it is written %${code.toString(16).toUpperCase().padStart(2, "0")}`
}

/** A character as it is, and its code point where it does not print or is not ASCII. */
const shown = (text: string, index: number): string => {
  const code = text.codePointAt(index) ?? 0
  if (code === 0x20) return "a space"
  const character = String.fromCodePoint(code)
  const name = codePoint.nameOf(character)
  return code > 0x20 && code < 0x7f ? character : /[\p{L}\p{N}\p{P}\p{S}]/u.test(character) ? `${character}, ${name}` : name
}
