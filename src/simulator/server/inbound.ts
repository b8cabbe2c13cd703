/**
 * The request body as SageMaker reads it: signed frames in, WebSocket messages out (protocol 5.3, 5.4, 5.6).
 * Strict, so that a client's mistake shows here and not first at AWS. Total: any bytes give messages or a refusal.
 */
import {
  chunkSignature,
  headerText,
  makeParser,
  type Message,
  type SigningKey,
  signingKey
} from "../../internal/eventStream.ts"
import { mismatch } from "../../internal/requestSignature.ts"

/** What the client sent. After `end` and `refused` nothing more comes. */
export type Inbound =
  | { readonly type: "audio"; readonly bytes: Uint8Array }
  | { readonly type: "text"; readonly text: string }
  /** The empty signed frame. */
  | { readonly type: "end" }
  /** A frame that is not acceptable, and the exception that says so. */
  | { readonly type: "refused"; readonly exception: string; readonly message: string }

/** Reads one request body. */
export interface Reader {
  /** Takes the next bytes, in pieces of any size. Audio may share memory with them. */
  readonly push: (chunk: Uint8Array) => ReadonlyArray<Inbound>
}

/** What chunk signatures are checked against; `seed` is the hex signature of the request. */
export interface Chain {
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
  readonly seed: string
}

/** A new {@link Reader}. Without a chain, chunk signatures need only have the right size. */
export const make = (chain: Chain | undefined): Reader => {
  const parser = makeParser()
  const isSigned = chain === undefined ? undefined : makeVerifier(chain)
  // the parts so far, copied: a small one would else keep the whole chunk that it came in
  let held: Uint8Array = new Uint8Array(0)
  let length = 0
  let partType: "BINARY" | "UTF8" | undefined
  let over = false

  const open = (frame: Message): Inbound | undefined => {
    const date = frame.headers.get(":date")
    const signature = frame.headers.get(":chunk-signature")
    if (
      frame.headers.size !== 2 || date?.type !== "timestamp" || signature?.type !== "bytes" ||
      signature.value.length !== signatureBytes
    ) return malformed("a frame must have exactly the headers :date and :chunk-signature (32 bytes)")
    if (isSigned?.(frame.payload, date.value, signature.value) === false) {
      return { type: "refused", exception: mismatch.errorType, message: mismatch.message }
    }
    if (frame.payload.length === 0) return { type: "end" }
    return part(frame.payload)
  }
  const part = (bytes: Uint8Array): Inbound | undefined => {
    const inner = makeParser()
    const { messages: [event, another], problem } = inner.push(bytes)
    if (problem !== undefined) return malformed(`in a signed frame: ${problem}`)
    if (event === undefined || another !== undefined || inner.pending() > 0) {
      return malformed("a signed frame must hold exactly one event")
    }
    if (headerText(event, ":message-type") !== "event" || headerText(event, ":event-type") !== "PayloadPart") {
      return malformed("an event must be a PayloadPart")
    }
    const dataType = event.headers.has("DataType") ? headerText(event, "DataType") : "BINARY"
    if (dataType !== "BINARY" && dataType !== "UTF8") return malformed("DataType must be UTF8 or BINARY")
    const state = event.headers.has("CompletionState") ? headerText(event, "CompletionState") : "COMPLETE"
    if (state !== "COMPLETE" && state !== "PARTIAL") return malformed("CompletionState must be PARTIAL or COMPLETE")
    return assemble(dataType, event.payload, state === "PARTIAL")
  }
  /** A run of PARTIAL parts and the COMPLETE one after it is one message. */
  const assemble = (dataType: "BINARY" | "UTF8", bytes: Uint8Array, more: boolean): Inbound | undefined => {
    if (partType === undefined && !more) return whole(dataType, bytes)
    if (partType !== undefined && dataType !== partType) return malformed("DataType changes within a message")
    if (length + bytes.length > maxMessageBytes) return malformed(`a message may have at most ${maxMessageBytes} bytes`)
    partType = dataType
    if (length + bytes.length > held.length) {
      const grown = new Uint8Array(Math.min(Math.max(2 * held.length, length + bytes.length), maxMessageBytes))
      grown.set(held.subarray(0, length))
      held = grown
    }
    held.set(bytes, length)
    length += bytes.length
    if (more) return undefined
    const message = held.subarray(0, length)
    held = new Uint8Array(0)
    length = 0
    partType = undefined
    return whole(dataType, message)
  }

  return {
    push: (chunk) => {
      if (over) return []
      const out: Array<Inbound> = []
      const { messages, problem } = parser.push(chunk)
      for (const frame of messages) {
        const inbound = open(frame)
        if (inbound === undefined) continue
        out.push(inbound)
        over = inbound.type === "end" || inbound.type === "refused"
        if (over) return out
      }
      if (problem !== undefined) {
        over = true
        out.push(malformed(problem))
      }
      return out
    }
  }
}

const signatureBytes = 32
const maxMessageBytes = 24 * 1024 * 1024
// as a container reads text: what is not UTF-8 becomes U+FFFD
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })

const whole = (dataType: "BINARY" | "UTF8", bytes: Uint8Array): Inbound =>
  dataType === "UTF8" ? { type: "text", text: utf8.decode(bytes) } : { type: "audio", bytes }

const malformed = (message: string): Inbound => ({ type: "refused", exception: "InputValidationError", message })

/** Follows the chain of signatures; each frame's key and scope are those of its own date (protocol 5.4). */
const makeVerifier = (chain: Chain): (inner: Uint8Array, millis: number, signature: Uint8Array) => boolean => {
  let prior = chain.seed
  let day = Number.NaN
  let derived: { readonly key: SigningKey; readonly scope: string } | undefined
  return (inner, millis, signature) => {
    const today = Math.floor(millis / 86_400_000)
    if (derived === undefined || day !== today) {
      day = today
      derived = signingKey(chain, millis)
    }
    const expected = Buffer.from(chunkSignature({ signingKey: derived.key, scope: derived.scope, millis, prior, inner }))
    prior = expected.toString("hex")
    return expected.equals(signature)
  }
}
