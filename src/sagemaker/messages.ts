/** From event-stream messages to whole text messages, or the reason why the stream failed (protocol 5.5, 5.6). Pure. */
import * as Option from "effect/Option"
import * as FluxError from "../FluxError.ts"
import { headerText, type Message } from "../internal/eventStream.ts"
import { fromException } from "./errors.ts"

/** What a message gave: a text, the end of the stream for a reason, or nothing. */
export type Outcome =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Failed"; readonly reason: FluxError.Reason }

/** Puts fragmented messages together. */
export interface Assembler {
  readonly push: (message: Message) => Outcome | undefined
  /** Whether a fragmented message waits for its end. */
  readonly pending: () => boolean
}

/** Longest text message, in bytes. A Flux message has some hundred to some thousand. */
export const maxMessageBytes = 1024 * 1024

const lenient = new TextDecoder()
const strict = new TextDecoder("utf-8", { fatal: true })

/** Published containers have sent JSON as binary, so binary parts that hold a JSON object count as text (protocol 5.6). */
const sniff = Option.liftThrowable((bytes: Uint8Array): string | undefined => {
  const text = strict.decode(bytes)
  const value: unknown = JSON.parse(text)
  return typeof value === "object" && value !== null && !Array.isArray(value) ? text : undefined
})

const failures: ReadonlySet<string> = new Set(["ModelStreamError", "InternalStreamFailure"])

const failed = (reason: FluxError.Reason): Outcome => ({ _tag: "Failed", reason })

/** An assembler for one response. `secrets` are texts that must not come through in a failure. */
export const makeAssembler = (secrets: ReadonlyArray<string>): Assembler => {
  let parts: Array<Uint8Array> = []
  let size = 0
  let isText = false

  const part = (message: Message): Outcome | undefined => {
    if (parts.length === 0) isText = headerText(message, "DataType") === "UTF8"
    size += message.payload.length
    if (size > maxMessageBytes) return failed(new FluxError.BufferOverflow({ buffer: "message", limit: maxMessageBytes }))
    parts.push(message.payload)
    if (headerText(message, "CompletionState") === "PARTIAL") return undefined
    // Decoded only when whole: a code point may straddle two parts.
    const bytes = parts.length === 1 ? message.payload : Buffer.concat(parts)
    parts = []
    size = 0
    const text = isText ? lenient.decode(bytes) : Option.getOrUndefined(sniff(bytes))
    return text === undefined ? undefined : { _tag: "Text", text }
  }

  const push = (message: Message): Outcome | undefined => {
    const event = headerText(message, ":event-type") ?? ""
    switch (headerText(message, ":message-type")) {
      case "exception":
        return failed(fromException(headerText(message, ":exception-type") ?? "", lenient.decode(message.payload), secrets))
      case "error":
        return failed(fromException("", "", secrets, {
          code: headerText(message, ":error-code"),
          message: headerText(message, ":error-message")
        }))
      default:
        if (event === "PayloadPart") return part(message)
        return failures.has(event) ? failed(fromException(event, lenient.decode(message.payload), secrets)) : undefined
    }
  }

  return { push, pending: () => parts.length > 0 }
}
