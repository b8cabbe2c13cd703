/** Writing of event-stream messages (protocol 5.3). */
import { crc32 } from "node:zlib"

/** The value of a header. `other` keeps the type code and the raw bytes of the types that this API does not use. */
export type HeaderValue =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "bytes"; readonly value: Uint8Array }
  | { readonly type: "timestamp"; readonly value: number /* milliseconds since 1970 */ }
  | { readonly type: "other"; readonly code: number; readonly value: Uint8Array }

/** Bytes before the headers: two lengths and their checksum. */
export const preludeBytes = 12
/** What a message has besides headers and payload. */
export const overheadBytes = 16
/** AWS counts the length of a header's value in 15 bits. */
const maxValueBytes = 0x7fff
const utf8 = new TextEncoder()

/** A view of exactly these bytes. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A signed 64-bit integer from a number of milliseconds. */
export const writeInt64 = (view: DataView, offset: number, value: number): void => {
  view.setInt32(offset, Math.floor(value / 0x1_0000_0000))
  view.setUint32(offset + 4, value)
}

/** All parts, one after another. */
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

const sized = (code: number, value: Uint8Array): Uint8Array => {
  if (value.length > maxValueBytes) throw new RangeError(`A header's value has ${value.length} bytes, at most ${maxValueBytes} fit`)
  return concat([Uint8Array.of(code, value.length >> 8, value.length & 0xff), value])
}

const encodeValue = (header: HeaderValue): Uint8Array => {
  switch (header.type) {
    case "string":
      return sized(7, utf8.encode(header.value))
    case "bytes":
      return sized(6, header.value)
    case "timestamp": {
      const out = new Uint8Array(9)
      out[0] = 8
      writeInt64(viewOf(out), 1, header.value)
      return out
    }
    case "other":
      return concat([Uint8Array.of(header.code), header.value])
  }
}

/** The bytes of headers; throws as {@link encode} does. */
export const encodeHeaders = (headers: ReadonlyArray<readonly [string, HeaderValue]>): Uint8Array =>
  concat(headers.flatMap(([name, value]) => {
    const bytes = utf8.encode(name)
    if (bytes.length > 0xff) throw new RangeError(`A header's name has ${bytes.length} bytes, at most 255 fit`)
    return [Uint8Array.of(bytes.length), bytes, encodeValue(value)]
  }))

/** Writes lengths and their checksum; `message` has its final length. */
export const writePrelude = (view: DataView, message: Uint8Array, headersLength: number): void => {
  view.setUint32(0, message.length)
  view.setUint32(4, headersLength)
  view.setUint32(8, crc32(message.subarray(0, 8)))
}

/** Writes the checksum that ends a message; all before it is in place. */
export const writeChecksum = (view: DataView, message: Uint8Array): void => {
  const end = message.length - 4
  view.setUint32(end, crc32(message.subarray(0, end)))
}

/** Writes a whole message into `out`, which has exactly its length. */
export const writeMessage = (out: Uint8Array, headers: Uint8Array, payload: Uint8Array): Uint8Array => {
  const view = viewOf(out)
  writePrelude(view, out, headers.length)
  out.set(headers, preludeBytes)
  out.set(payload, preludeBytes + headers.length)
  writeChecksum(view, out)
  return out
}

/** The bytes of a message. Throws a `RangeError` on a name over 255 bytes or a value over 32,767: a defect of the caller. */
export const encode = (headers: ReadonlyArray<readonly [string, HeaderValue]>, payload: Uint8Array): Uint8Array => {
  const encoded = encodeHeaders(headers)
  return writeMessage(new Uint8Array(overheadBytes + encoded.length + payload.length), encoded, payload)
}

/** How a part's bytes are meant: JSON text or audio (protocol 5.6). */
export type DataType = "UTF8" | "BINARY"

/** Whether more parts of the same message follow; absent means `COMPLETE` (protocol 5.6). */
export type CompletionState = "PARTIAL" | "COMPLETE"

const partHeaders = (dataType: DataType, completionState?: CompletionState | undefined): Uint8Array => {
  const headers: Array<readonly [string, string]> = [
    [":event-type", "PayloadPart"],
    [":message-type", "event"],
    [":content-type", "application/octet-stream"],
    ["DataType", dataType]
  ]
  if (completionState !== undefined) headers.push(["CompletionState", completionState])
  return encodeHeaders(headers.map(([name, value]) => [name, { type: "string", value }]))
}

/** The encoded headers of a part that is a message of its own. */
export const wholeHeaders: Readonly<Record<DataType, Uint8Array>> = { UTF8: partHeaders("UTF8"), BINARY: partHeaders("BINARY") }

/** A PayloadPart event, as a request's inner message or as a response's (protocol 5.3, 5.5). */
export const payloadPart = (
  dataType: DataType,
  bytes: Uint8Array,
  completionState?: CompletionState | undefined
): Uint8Array => {
  const headers = completionState === undefined ? wholeHeaders[dataType] : partHeaders(dataType, completionState)
  return writeMessage(new Uint8Array(overheadBytes + headers.length + bytes.length), headers, bytes)
}
