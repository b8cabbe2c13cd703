/** The words of a text file, whoever wrote it: UTF-8, or UTF-16 that says so; anything else is refused for what it is. Pure. */
import * as Result from "effect/Result"
import * as codePoint from "./codePoint.ts"

/**
 * The text of a file's bytes, without its byte order mark: of UTF-8, and of UTF-16 with a mark. Fails with what it is instead,
 * to follow the file's name: `is UTF-16 without a byte order mark: save it as UTF-8`. Never gives replacement characters.
 */
export const decode = (bytes: Uint8Array): Result.Result<string, string> => {
  const { encoding, is } = kinds.find(({ begins }) => begins.every((byte, at) => bytes[at] === byte)) ?? { encoding: "utf-8" }
  if (encoding === undefined) return Result.fail(`is ${is}${advice}`)
  const text = attempt(bytes, encoding)
  if (text === undefined) return Result.fail(encoding === "utf-8" ? foreign(bytes) : `begins like UTF-16, and goes on as something else${advice}`)
  if (encoding === "utf-8" && text.includes("\u0000")) return Result.fail(foreign(bytes))
  const problem = oddIn(text)
  return problem === undefined ? Result.succeed(text) : Result.fail(problem)
}

/**
 * The text of a PEM file's bytes. Nothing but what stands between its lines of dashes counts: comments around them may be in any
 * encoding, and become replacement characters where that is not UTF-8. Fails as {@link decode} does where there is no such line.
 */
export const decodePem = (bytes: Uint8Array): Result.Result<string, string> => {
  const decoded = decode(bytes)
  if (Result.isSuccess(decoded)) return decoded
  const lenient = new TextDecoder().decode(bytes)
  return lenient.includes("-----BEGIN ") ? Result.succeed(lenient) : decoded
}

/**
 * What a text holds that no text does, with the line, from 1: `has U+0000 in line 3: ...`. It was binary then, or was read
 * as something that it is not. Undefined where there is no such thing. `also` are characters that it may not hold either.
 */
export const oddIn = (text: string, also = ""): string | undefined => {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if ((code >= 0x20 || isBlank(code)) && !also.includes(text.charAt(at))) continue
    return `has ${codePoint.nameOf(text.charAt(at))} in line ${linesOf(text.slice(0, at))}: it is no text, or was not read as what it is${advice}`
  }
  return undefined
}

/** Of the control characters, those that part words and lines. */
const isBlank = (code: number): boolean => code >= 0x09 && code <= 0x0d
const linesOf = (text: string): number => text.split(/\r\n|\r|\n/).length

const advice = ": save it as UTF-8 text"

interface Kind {
  /** The bytes that it begins with. */
  readonly begins: ReadonlyArray<number>
  /** How it is read; else it is refused, as what it is. */
  readonly encoding?: string
  readonly is?: string
}
const bytesOf = (text: string): ReadonlyArray<number> => [...text].map((character) => character.charCodeAt(0))
/** A longer one first. */
const kinds: ReadonlyArray<Kind> = [
  { begins: [0xff, 0xfe, 0, 0], is: "UTF-32" },
  { begins: [0, 0, 0xfe, 0xff], is: "UTF-32" },
  { begins: [0xef, 0xbb, 0xbf], encoding: "utf-8" },
  { begins: [0xff, 0xfe], encoding: "utf-16le" },
  { begins: [0xfe, 0xff], encoding: "utf-16be" },
  { begins: bytesOf("RIFF"), is: "audio (RIFF), and no text" },
  { begins: bytesOf("PK\u0003\u0004"), is: "a ZIP archive, as documents of an office are" },
  { begins: bytesOf("%PDF"), is: "a PDF document" },
  { begins: bytesOf("{\\rtf"), is: "a document in RTF" },
  { begins: [0x1f, 0x8b], is: "compressed (gzip)" }
]

const attempt = (bytes: Uint8Array, encoding: string): string | undefined => {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** What bytes are that are no UTF-8. */
const foreign = (bytes: Uint8Array): string => {
  const head = bytes.subarray(0, looked)
  /** The bytes of each of four places: a unit of UTF-16 has two of them, one of UTF-32 all four. */
  const places = [0, 1, 2, 3].map((place) => head.filter((_, at) => at % 4 === place))
  const isPlane = (place: number): boolean => places[place]?.every((byte) => byte <= planes) === true
  if (bytes.length >= 4 && bytes.length % 4 === 0 && ((isPlane(0) && isPlane(1)) || (isPlane(2) && isPlane(3)))) return `is UTF-32${advice}`
  // the upper byte is 0 of ASCII, and one of few of any alphabet
  const isUpper = (place: number): boolean => {
    const upper = head.filter((_, at) => at % 2 === place)
    return upper.includes(0) && new Set(upper).size <= alphabets
  }
  if (isUpper(0) !== isUpper(1)) return `is UTF-16 without a byte order mark${advice}`
  if (head.some((byte) => byte < 0x20 && !isBlank(byte))) return "is binary, and no text"
  const at = firstOdd(bytes)
  const byte = (bytes[at] ?? 0).toString(16).toUpperCase()
  return `is not UTF-8 (byte 0x${byte} in line ${linesOf(latin.decode(bytes.subarray(0, at)))}), and looks like Windows-1252 or Latin-1${advice}`
}

/** As much of a file as is looked at, to say what it is. */
const looked = 4096
const alphabets = 8
/** Characters are in the first four planes of Unicode. */
const planes = 3
const latin = new TextDecoder("latin1")

/** Where UTF-8 ends. */
const firstOdd = (bytes: Uint8Array): number => {
  const again = new TextEncoder().encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes))
  return bytes.findIndex((byte, at) => byte !== again[at])
}
