/**
 * The JSON that Flux and its client exchange (protocol 2 and 3). Fields are spelled as on the wire.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SchemaJITCompiler } from "effect/schema"
import * as json from "./internal/json.ts"
import { fieldIssues } from "./internal/schemaIssues.ts"

/** A word of a transcript, punctuated and cased; times in seconds of the session's audio, where given. */
export const Word = Schema.Struct({
  word: Schema.String,
  confidence: Schema.Finite,
  start: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  end: Schema.optionalKey(Schema.NullOr(Schema.Finite))
})
export type Word = typeof Word.Type

/** First message of every session. */
export const Connected = Schema.Struct({
  type: Schema.tag("Connected"),
  request_id: Schema.String,
  sequence_id: Schema.Int
})
export type Connected = typeof Connected.Type

/** The kinds of `TurnInfo` this client knows. */
export const TurnEvent = Schema.Literals(["Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"])
export type TurnEvent = typeof TurnEvent.Type

/** State of the current turn. `transcript` is cumulative; windows are seconds of the session's audio. */
export const TurnInfo = Schema.Struct({
  type: Schema.tag("TurnInfo"),
  request_id: Schema.String,
  sequence_id: Schema.Int,
  event: TurnEvent,
  turn_index: Schema.Int,
  audio_window_start: Schema.Finite,
  audio_window_end: Schema.Finite,
  transcript: Schema.String,
  words: Schema.Array(Word),
  end_of_turn_confidence: Schema.Finite,
  trigger: Schema.optionalKey(Schema.NullOr(Schema.String)),
  languages: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  languages_hinted: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String)))
})
export type TurnInfo = typeof TurnInfo.Type

/** Thresholds as Flux echoes them; an unset eager threshold is absent or null (protocol 2.3). */
export const Thresholds = Schema.Struct({
  eot_threshold: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  eager_eot_threshold: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  eot_timeout_ms: Schema.optionalKey(Schema.NullOr(Schema.Finite))
})
export type Thresholds = typeof Thresholds.Type

/** A Configure was taken; echoes the whole active configuration. */
export const ConfigureSuccess = Schema.Struct({
  type: Schema.tag("ConfigureSuccess"),
  request_id: Schema.String,
  sequence_id: Schema.Int,
  thresholds: Thresholds,
  keyterms: Schema.Array(Schema.String),
  language_hints: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  numerals: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
  profanity_filter: Schema.optionalKey(Schema.NullOr(Schema.Boolean))
})
export type ConfigureSuccess = typeof ConfigureSuccess.Type

/** A Configure was refused; nothing changed. Older servers give no code and no description. */
export const ConfigureFailure = Schema.Struct({
  type: Schema.tag("ConfigureFailure"),
  request_id: Schema.String,
  sequence_id: Schema.Int,
  code: Schema.optionalKey(Schema.NullOr(Schema.String)),
  description: Schema.optionalKey(Schema.NullOr(Schema.String))
})
export type ConfigureFailure = typeof ConfigureFailure.Type

/** Newest servers only; the session goes on. */
export const Warning = Schema.Struct({
  type: Schema.tag("Warning"),
  request_id: Schema.String,
  sequence_id: Schema.Int,
  code: Schema.String,
  description: Schema.String
})
export type Warning = typeof Warning.Type

/** Always fatal; carries no request_id. */
export const FatalError = Schema.Struct({
  type: Schema.tag("Error"),
  sequence_id: Schema.optionalKey(Schema.Int),
  code: Schema.String,
  description: Schema.String
})
export type FatalError = typeof FatalError.Type

/** Every message of the server that this client knows. */
export const ServerMessage = Schema.Union([
  Connected,
  TurnInfo,
  ConfigureSuccess,
  ConfigureFailure,
  Warning,
  FatalError
]).pipe(Schema.toTaggedUnion("type"))
export type ServerMessage = typeof ServerMessage.Type

/** A message that is well formed and of no known type or event: passed on as it is. */
export interface Unrecognized {
  readonly type: "Unrecognized"
  readonly messageType: string
  readonly body: unknown
}

/** A message that cannot be read: no JSON, no object with a type, or a known type with a broken field. */
export interface Unreadable {
  readonly type: "Unreadable"
  /** The known type that was broken, where there was one. */
  readonly messageType: string | undefined
  /** Which field, and why; holds no transcript. */
  readonly problem: string
}

SchemaJITCompiler.enable(ServerMessage.ast)
const decode = Schema.decodeUnknownResult(ServerMessage)
const isTurnEvent = Schema.is(TurnEvent)
const knownTypes: ReadonlySet<string> = new Set([
  "Connected",
  "TurnInfo",
  "ConfigureSuccess",
  "ConfigureFailure",
  "Warning",
  "Error"
])

/**
 * Reads one text message. Never throws: what is unknown comes back as `Unrecognized`, what is broken as
 * `Unreadable`. Extra fields are dropped; `raw` of the caller keeps them.
 */
export const parse = (text: string): ServerMessage | Unrecognized | Unreadable => {
  const body = json.parse(text)
  if (body === undefined) return { type: "Unreadable", messageType: undefined, problem: "not JSON" }
  if (typeof body !== "object" || body === null || !("type" in body) || typeof body.type !== "string") {
    return { type: "Unreadable", messageType: undefined, problem: "no object with a type" }
  }
  const messageType = body.type
  if (!knownTypes.has(messageType)) return { type: "Unrecognized", messageType, body }
  if (messageType === "TurnInfo" && "event" in body && typeof body.event === "string" && !isTurnEvent(body.event)) {
    return { type: "Unrecognized", messageType: `TurnInfo ${body.event}`, body }
  }
  const decoded = decode(body)
  return Result.isSuccess(decoded)
    ? decoded.success
    : { type: "Unreadable", messageType, problem: brokenField(decoded.failure) }
}

/** What `Configure` can change (protocol 3.2). Absent keys are left as they are; lists replace. */
export interface Configure {
  readonly thresholds?: {
    readonly eot_threshold?: number
    readonly eager_eot_threshold?: number
    readonly eot_timeout_ms?: number
  }
  readonly keyterms?: ReadonlyArray<string>
  readonly language_hints?: ReadonlyArray<string>
  readonly numerals?: boolean
}

const encoder = new TextEncoder()

/** `{"type":"CloseStream"}`: no more audio follows; the only message that every bundle takes. */
export const closeStream: Uint8Array = encoder.encode(JSON.stringify({ type: "CloseStream" }))

/** `{"type":"ForceEndTurn"}`: end the open turn now (protocol 3.3). */
export const forceEndTurn: Uint8Array = encoder.encode(JSON.stringify({ type: "ForceEndTurn" }))

/** A Configure message as bytes. */
export const configure = (change: Configure): Uint8Array =>
  encoder.encode(JSON.stringify({ type: "Configure", ...change }))

const brokenField = (error: Schema.SchemaError): string => {
  const first = fieldIssues(error)[0]
  return first === undefined ? "not as specified" : `${first.path}: ${first.message}`
}
