/** How the chunks of a WAV file are told from each other, and from audio, where their sizes are wrong. */
import { latin1 } from "./fileMagic.ts"

/** What a chunk begins with: its name and the size that it declares. */
export interface ChunkHead {
  readonly id: string
  readonly size: number
}

/** Bytes of a {@link ChunkHead}. */
export const headBytes = 8

/** The head of a chunk at the front of at least {@link headBytes} bytes. */
export const head = (bytes: Uint8Array): ChunkHead => ({
  id: latin1(bytes.subarray(0, 4)),
  size: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4, true)
})

/** Bytes that show whether a WAV file begins. */
export const fileBytes = 12

/** Whether a WAV file begins here. */
export const isFile = (bytes: Uint8Array): boolean => /^(RIFF|RF64|BW64)....WAVE/s.test(latin1(bytes.subarray(0, fileBytes)))

/** Whether a chunk begins here that WAV files are known to have: four letters are no accident. */
export const isKnown = (bytes: Uint8Array): boolean => known.has(latin1(bytes.subarray(0, 4)))

/** Whether a chunk may begin here. */
export const isPlausible = (bytes: Uint8Array): boolean => /^[\x20-\x7e]{4}$/.test(latin1(bytes.subarray(0, 4)))

/** Whether tags begin here that belong to no chunk: ID3, APE or Lyrics3 after the end of the file. */
export const isTags = (bytes: Uint8Array): boolean => /^(TAG|ID3[^ -~]|APETAGEX|LYRICSBEGIN)/.test(latin1(bytes.subarray(0, 12)))

/** Bytes that {@link afterOdd} needs. */
export const afterOddBytes = 5

/** Where the next chunk begins after one of an odd size: most writers put a byte of padding there, some do not. */
export const afterOdd = (bytes: Uint8Array): number => {
  if (bytes.length < afterOddBytes) return Math.min(bytes.length, 1)
  if (isKnown(bytes.subarray(1))) return 1
  return isKnown(bytes) || (bytes[0] !== 0 && isPlausible(bytes)) ? 0 : 1
}

/** The first place at or after `from` where a known chunk begins. */
export const findKnown = (bytes: Uint8Array, from: number): number | undefined => {
  for (let at = from; at + 4 <= bytes.length; at++) if (isKnown(bytes.subarray(at, at + 4))) return at
  return undefined
}

/** What begins within audio and is none, of which enough is fixed that no audio looks like it by accident. */
const files = ["RIFF....WAVE", "RF64....WAVE", "BW64....WAVE"]
const marks = [...files, "LIST....INFO", "LIST....adtl", "id3 ....ID3"]

const isAt = (mark: string, bytes: Uint8Array, at: number): boolean => {
  const length = Math.min(mark.length, bytes.length - at)
  for (let index = 0; index < length; index++) {
    if (mark[index] !== "." && mark.charCodeAt(index) !== bytes[at + index]) return false
  }
  return true
}

/** Where a WAV file or tags begin within audio, or may begin at its end; undefined where neither does. */
export const findMark = (bytes: Uint8Array): number | undefined => find(marks, bytes)

/** Where a WAV file begins, or may begin at the end of what is there; undefined where none does. */
export const findFile = (bytes: Uint8Array): number | undefined => find(files, bytes)

const find = (marks: ReadonlyArray<string>, bytes: Uint8Array): number | undefined => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let first = bytes.length
  for (const mark of marks) {
    const start = mark.slice(0, 4)
    for (let at = buffer.indexOf(start); at !== -1 && at < first; at = buffer.indexOf(start, at + 1)) {
      if (isAt(mark, bytes, at)) first = at
    }
  }
  for (let at = Math.max(0, bytes.length - 3); at < first; at++) {
    if (marks.some((mark) => isAt(mark, bytes, at))) first = at
  }
  return first < bytes.length ? first : undefined
}

/** Whether what {@link findMark} found at the front of enough bytes is one. */
export const isMark = (bytes: Uint8Array): boolean => marks.some((mark) => bytes.length >= mark.length && isAt(mark, bytes, 0))

const known: ReadonlySet<string> = new Set(
  ("fmt |data|fact|LIST|ds64|JUNK|junk|PAD |FLLR|bext|cart|iXML|axml|aXML|_PMX|chna|dbmd|umid|link|levl|mext|qlty|cue |plst|" +
    "smpl|inst|note|labl|ltxt|PEAK|DISP|acid|strc|id3 |ID3 |afsp|LGWV|MD5 |elm1|minf|regn|r64m|slnt|wavl|bxml|" +
    "SNDM|ResU|Cr8r|PmaX|DGDA|CDif|clm |cset|IDIT|SAUR|XMP ").split("|")
)
