/** Keys of AWS as people hand them on: what copying, a shell or a file of Windows has added to them. Pure. */
import * as codePoint from "./codePoint.ts"

/** What requests are signed with, as it comes from anywhere. */
export interface Keys {
  readonly accessKeyId: unknown
  readonly secretAccessKey: unknown
  readonly sessionToken?: unknown
}

/** What each is called. */
export const names = {
  accessKeyId: "access key id",
  secretAccessKey: "secret access key",
  sessionToken: "session token"
} as const
type Name = keyof typeof names

/**
 * What is wrong with keys, and which of them it is; undefined where they can be signed with. No value is told. AWS makes
 * keys and tokens of printable ASCII without blanks and quotes; with one more character each signature is wrong.
 */
export const problemOf = (keys: Keys): { readonly key: Name; readonly problem: string } | undefined => {
  for (const key of ["accessKeyId", "secretAccessKey", "sessionToken"] as const) {
    const value = keys[key]
    // without a token it may be absent or empty
    if (key === "sessionToken" && (value === undefined || value === "")) continue
    const problem = typeof value === "string" ? oddIn(value) : value === undefined || value === null ? "is missing" : "is no text"
    if (problem !== undefined) return { key, problem }
  }
  return undefined
}

const oddIn = (value: string): string | undefined => {
  if (value === "") return "is empty"
  const sound = value.replaceAll(foreign, "")
  if (sound.length === value.length) return undefined
  if (sound === "") return "is blank"
  const [first = "", ...rest] = [...value]
  const last = rest.at(-1) ?? first
  // who has quoted it has one at each end
  if (quotes.test(first) && first === last) return `has quotes around it (${first})`
  for (const [where, character] of [["ends in", last], ["begins with", first]] as const) {
    if (isForeign(character)) return `${where} ${nameOf(character)}`
  }
  return `has ${nameOf([...value].find(isForeign) ?? "")} in it`
}

const foreign = /[^!#-&(-_a-~]/gu
const quotes = /["'`]/
const isForeign = (character: string): boolean => character.replace(foreign, "") === ""

/** A character, for people. */
const nameOf = (character: string): string => {
  const plain = plainNames[character]
  if (plain !== undefined) return plain
  const code = codePoint.nameOf(character)
  return /\s/u.test(character) ? `a blank (${code})` : quotes.test(character) ? `a quote (${character})` : `a character that no key has (${code})`
}

const plainNames: Readonly<Record<string, string>> = {
  " ": "a blank",
  "\t": "a tab",
  "\n": "a newline",
  "\r": "a carriage return (CR, of Windows's line ends)",
  "\uFEFF": "a byte order mark (U+FEFF)",
  "\u00A0": "a blank that does not break (U+00A0)"
}
