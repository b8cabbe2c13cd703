/**
 * AWS event stream: messages, and the signed frames that carry them to SageMaker (protocol 5.3, 5.4).
 *
 * ```
 * u32 total | u32 headers | u32 crc32(first 8 bytes) | headers | payload | u32 crc32(all before)
 * ```
 *
 * Reading is total: any bytes give messages or a problem, never a throw.
 */
import { crc32 } from "node:zlib"
import { type HeaderValue, overheadBytes, preludeBytes, viewOf } from "./eventEncoding.ts"

export { chunkSignature, makeSigner, type SignedFrame, type Signer, type SigningKey, signingKey, type SigningKeyOf, type SigningKeys, signingKeys } from "./chunkSigning.ts"
export { type CompletionState, type DataType, encode, type HeaderValue, payloadPart } from "./eventEncoding.ts"

/** One event-stream message. */
export interface Message {
  readonly headers: ReadonlyMap<string, HeaderValue>
  readonly payload: Uint8Array
}

const defaultMaxBytes = 24 * 1024 * 1024
const none = new Uint8Array(0)
// A byte order mark is content here, and bad UTF-8 becomes U+FFFD instead of a throw.
const text = new TextDecoder("utf-8", { ignoreBOM: true })

/** Bytes of a value by type code: booleans, byte, short, int, long, -, -, timestamp, UUID. Codes 6 and 7 carry their own length. */
const valueBytes = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]

const readHeaders = (bytes: Uint8Array): ReadonlyMap<string, HeaderValue> | string => {
  const headers = new Map<string, HeaderValue>()
  const view = viewOf(bytes)
  let at = 0
  while (at < bytes.length) {
    const nameEnd = at + 1 + view.getUint8(at)
    if (nameEnd >= bytes.length) return "a header's name runs over the end of the headers"
    const name = text.decode(bytes.subarray(at + 1, nameEnd))
    const code = view.getUint8(nameEnd)
    let length = valueBytes[code]
    if (length === undefined) return `a header has the unknown type ${code}`
    at = nameEnd + 1
    if (length < 0) {
      if (at + 2 > bytes.length) return "a header's length runs over the end of the headers"
      length = view.getUint16(at)
      at += 2
    }
    if (at + length > bytes.length) return "a header's value runs over the end of the headers"
    const value = bytes.subarray(at, at + length)
    if (code === 7) headers.set(name, { type: "string", value: text.decode(value) })
    else if (code === 6) headers.set(name, { type: "bytes", value })
    else if (code === 8) headers.set(name, { type: "timestamp", value: view.getInt32(at) * 0x1_0000_0000 + view.getUint32(at + 4) })
    else headers.set(name, { type: "other", code, value })
    at += length
  }
  return headers
}

/** Whether these bytes stand in others, from a place to before another. */
const standsAt = (one: Uint8Array, other: Uint8Array, from: number, to: number): boolean => {
  if (one.length !== to - from) return false
  for (let at = 0; at < one.length; at++) if (one[at] !== other[from + at]) return false
  return true
}

/** What a push gave: whole messages, and the problem that ended the parsing, if any. */
export interface Parsed {
  readonly messages: ReadonlyArray<Message>
  readonly problem: string | undefined
}

/** An incremental parser. */
export interface Parser {
  /** Takes the next bytes, in pieces of any size. Messages before a problem are still given; after it none are. */
  readonly push: (chunk: Uint8Array) => Parsed
  /** Bytes of a message that is not whole yet. */
  readonly pending: () => number
}

/**
 * A parser of messages up to `maxBytes` (24 MiB) each. Checks lengths, both checksums and the layout of the headers.
 * Payloads may share memory with the chunk they came in, so a chunk must not be written to afterwards.
 */
export const makeParser = (options?: { readonly maxBytes?: number | undefined }): Parser => {
  const maxBytes = options?.maxBytes ?? defaultMaxBytes
  let held: Uint8Array = none
  let length = 0
  // How many bytes the next step needs: the prelude, then the whole message.
  let needed = preludeBytes
  let problem: string | undefined
  /** Most messages of a stream have the headers of the one before. */
  let latest: { readonly bytes: Uint8Array; readonly headers: ReadonlyMap<string, HeaderValue> } | undefined

  const headersOf = (bytes: Uint8Array, from: number, to: number): ReadonlyMap<string, HeaderValue> | string => {
    if (latest !== undefined && standsAt(latest.bytes, bytes, from, to)) return latest.headers
    const copy = Uint8Array.from(bytes.subarray(from, to))
    const headers = readHeaders(copy)
    if (typeof headers !== "string") latest = { bytes: copy, headers }
    return headers
  }

  const hold = (chunk: Uint8Array): void => {
    if (length + chunk.length > held.length) {
      const grown = new Uint8Array(Math.max(length + chunk.length, 2 * length))
      grown.set(held.subarray(0, length))
      held = grown
    }
    held.set(chunk, length)
    length += chunk.length
  }

  const checkPrelude = (view: DataView, bytes: Uint8Array, at: number): string | undefined => {
    if (crc32(bytes.subarray(at, at + 8)) !== view.getUint32(at + 8)) return "the checksum of a message's prelude is wrong"
    const total = view.getUint32(at)
    if (total < overheadBytes) return `a message says it is ${total} bytes long, at least ${overheadBytes} are needed`
    if (total > maxBytes) return `a message says it is ${total} bytes long, at most ${maxBytes} are allowed`
    if (view.getUint32(at + 4) > total - overheadBytes) return "a message's headers are longer than the message"
    needed = total
    return undefined
  }

  const readMessage = (view: DataView, bytes: Uint8Array, at: number): Message | string => {
    const end = at + needed - 4
    if (crc32(bytes.subarray(at, end)) !== view.getUint32(end)) return "the checksum of a message is wrong"
    const payloadAt = at + preludeBytes + view.getUint32(at + 4)
    const headers = headersOf(bytes, at + preludeBytes, payloadAt)
    return typeof headers === "string" ? headers : { headers, payload: bytes.subarray(payloadAt, end) }
  }

  const push = (chunk: Uint8Array): Parsed => {
    const messages: Array<Message> = []
    if (problem !== undefined) return { messages, problem }
    const resumed = length > 0
    if (resumed) hold(chunk)
    const bytes = resumed ? held.subarray(0, length) : chunk
    const view = viewOf(bytes)
    let at = 0
    let preludeRead = needed > preludeBytes
    while (bytes.length - at >= needed) {
      if (!preludeRead) {
        problem = checkPrelude(view, bytes, at)
        preludeRead = true
      } else {
        const message = readMessage(view, bytes, at)
        if (typeof message === "string") problem = message
        else messages.push(message)
        at += needed
        needed = preludeBytes
        preludeRead = false
      }
      if (problem !== undefined) {
        held = none
        length = 0
        return { messages, problem }
      }
    }
    // Messages may share the held bytes, so what is left moves to memory of its own.
    if (!resumed || at > 0) {
      held = none
      length = 0
      hold(bytes.subarray(at))
    }
    return { messages, problem }
  }

  return { push, pending: () => length }
}

/** The value of a string header. */
export const headerText = (message: Message, name: string): string | undefined => {
  const header = message.headers.get(name)
  return header?.type === "string" ? header.value : undefined
}
