/**
 * What an application sees of a conversation: one tagged union, by `type`. The same values are the NDJSON of the
 * command; {@link jsonSchema} publishes their shape.
 */
import * as Schema from "effect/Schema"
import { publish } from "./internal/jsonSchema.ts"

/** Version of the event format, in the first line of NDJSON output. Raised when a field changes meaning or goes. */
export const schemaVersion = 1

const common = {
  /** The conversation's id. */
  id: Schema.String,
  /** When it was received, in milliseconds since 1970. */
  receivedAt: Schema.Finite
}

/** A word; `start` and `end` in seconds of the conversation, where Flux gives times. */
export const Word = Schema.Struct({
  word: Schema.String,
  confidence: Schema.Finite,
  start: Schema.optionalKey(Schema.Finite),
  end: Schema.optionalKey(Schema.Finite)
})
export type Word = typeof Word.Type

/** Audio sent to Flux, in seconds; both kinds are billed. */
export const Usage = Schema.Struct({
  /** Of the caller. */
  audioSeconds: Schema.Finite,
  /** Silence that this client put in, to keep a turn or the session going. */
  injectedSeconds: Schema.Finite,
  /** Of `audioSeconds`, what another session of the call had been sent before; absent where there is none. */
  replayedSeconds: Schema.optionalKey(Schema.Finite)
})
export type Usage = typeof Usage.Type

const turn = {
  ...common,
  /** Number of the turn in the conversation, from 0. */
  turn: Schema.Int,
  /** The whole turn so far; each event replaces the one before. */
  transcript: Schema.String,
  words: Schema.Array(Word),
  /** Flux's confidence that the turn is over, 0 to 1. */
  endOfTurnConfidence: Schema.Finite,
  /** Mean of the word confidences; absent without words. */
  averageConfidence: Schema.optionalKey(Schema.Finite),
  /** The turn's main language as a BCP-47 tag: the first of `languages`, `en` for flux-general-en. */
  language: Schema.optionalKey(Schema.String),
  /** Languages heard, most words first, where Flux says so. */
  languages: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Start of the turn's window, seconds of the conversation. */
  audioStart: Schema.Finite,
  /** End of what was transcribed, seconds of the conversation. */
  audioEnd: Schema.Finite,
  /** Flux's own message; only when asked for. */
  raw: Schema.optionalKey(Schema.Unknown)
}

/** A session is up: Flux takes audio. */
export const Connected = Schema.Struct({
  type: Schema.tag("Connected"),
  ...common,
  /** Number of the session in the conversation, from 0. */
  session: Schema.Int,
  /** SageMaker's request id. */
  requestId: Schema.String,
  /** Production variant that answered; `simulator` from the simulator. */
  variant: Schema.optionalKey(Schema.String)
})
export type Connected = typeof Connected.Type

/** A session is over. */
export const Disconnected = Schema.Struct({
  type: Schema.tag("Disconnected"),
  ...common,
  session: Schema.Int,
  requestId: Schema.String,
  /** The rest: what was sent after the end of the last turn. The sum over a session is all that was sent. */
  usage: Usage
})
export type Disconnected = typeof Disconnected.Type

/** Someone began to speak. */
export const StartOfTurn = Schema.Struct({
  type: Schema.tag("StartOfTurn"),
  ...turn,
  /** Whether an agent that is speaking should stop: the setting `shouldInterrupt`. */
  interrupts: Schema.Boolean,
  /** Flux sent text without a StartOfTurn; this one was put before it. */
  implied: Schema.Boolean
})
export type StartOfTurn = typeof StartOfTurn.Type

/** More of the turn, or a revision of it. */
export const Update = Schema.Struct({ type: Schema.tag("Update"), ...turn })
export type Update = typeof Update.Type

/** The turn is probably over: a reply may be drafted. Only with `eagerEotThreshold`. */
export const EagerEndOfTurn = Schema.Struct({
  type: Schema.tag("EagerEndOfTurn"),
  ...turn,
  /** Whether the turn would be accepted with these words; see EndOfTurn. */
  accepted: Schema.Boolean
})
export type EagerEndOfTurn = typeof EagerEndOfTurn.Type

/** The speaker went on after an EagerEndOfTurn: drop the draft. */
export const TurnResumed = Schema.Struct({ type: Schema.tag("TurnResumed"), ...turn })
export type TurnResumed = typeof TurnResumed.Type

/** The turn is over; its transcript is final. */
export const EndOfTurn = Schema.Struct({
  type: Schema.tag("EndOfTurn"),
  ...turn,
  /**
   * - `confirmed`: Flux said so
   * - `closed`: the session ended, or injected silence ran out, first; the words are those of the last Update
   * - `lost`: the connection broke and no other session was to be had; the words are those of the last Update
   */
  ending: Schema.Literals(["confirmed", "closed", "lost"]),
  /** Why Flux ended it (`model`, `timeout`, `manual`, ...), as given; older bundles give none. */
  trigger: Schema.optionalKey(Schema.String),
  /** False where `minConfidence` is set and `averageConfidence` does not exceed it. */
  accepted: Schema.Boolean,
  /** Audio from the end of the turn before up to the end of this one. */
  usage: Usage
})
export type EndOfTurn = typeof EndOfTurn.Type

/** A change of settings is in force, by Configure or by a new session. */
export const SettingsApplied = Schema.Struct({
  type: Schema.tag("SettingsApplied"),
  ...common,
  /** Their names. */
  settings: Schema.Array(Schema.String)
})
export type SettingsApplied = typeof SettingsApplied.Type

/** A change of settings was refused; the named settings are back at their last values. */
export const SettingsRejected = Schema.Struct({
  type: Schema.tag("SettingsRejected"),
  ...common,
  /** Their names. */
  settings: Schema.Array(Schema.String),
  /** Flux's own, where it gave any. */
  code: Schema.optionalKey(Schema.String),
  description: Schema.optionalKey(Schema.String)
})
export type SettingsRejected = typeof SettingsRejected.Type

/** A session broke, or could not be opened; another one is tried. */
export const Reconnecting = Schema.Struct({
  type: Schema.tag("Reconnecting"),
  ...common,
  /** How many have been tried with this one since there was progress. */
  attempt: Schema.Int,
  /** The tag of the reason, and its message. */
  reason: Schema.String,
  detail: Schema.String
})
export type Reconnecting = typeof Reconnecting.Type

/** After a `Reconnecting` the conversation goes on with another session. */
export const Resumed = Schema.Struct({
  type: Schema.tag("Resumed"),
  ...common,
  session: Schema.Int,
  /** Audio that waits, and that it hears again, in seconds. */
  behindSeconds: Schema.Finite
})
export type Resumed = typeof Resumed.Type

/** Audio from `audioStart` to `audioEnd` (seconds of the conversation) was not transcribed. */
export const AudioDropped = Schema.Struct({
  type: Schema.tag("AudioDropped"),
  ...common,
  audioStart: Schema.Finite,
  audioEnd: Schema.Finite
})
export type AudioDropped = typeof AudioDropped.Type

/** Something is wrong and the conversation goes on: a warning of Flux, or of this client. */
export const Warning = Schema.Struct({
  type: Schema.tag("Warning"),
  ...common,
  code: Schema.String,
  description: Schema.String
})
export type Warning = typeof Warning.Type

/** A message of a type or event that this version does not know. */
export const Unrecognized = Schema.Struct({
  type: Schema.tag("Unrecognized"),
  ...common,
  messageType: Schema.String,
  body: Schema.Unknown
})
export type Unrecognized = typeof Unrecognized.Type

/** Every event. `FluxEvent.match({...})` and `FluxEvent.guards` tell them apart. */
export const FluxEvent = Schema.Union([
  Connected,
  Disconnected,
  StartOfTurn,
  Update,
  EagerEndOfTurn,
  TurnResumed,
  EndOfTurn,
  SettingsApplied,
  SettingsRejected,
  Reconnecting,
  Resumed,
  AudioDropped,
  Warning,
  Unrecognized
]).pipe(Schema.toTaggedUnion("type"))
export type FluxEvent = typeof FluxEvent.Type

/** The events that carry a transcript. */
export type TurnEvent = StartOfTurn | Update | EagerEndOfTurn | TurnResumed | EndOfTurn

/** Whether an event carries a transcript. */
export const isTurnEvent: (event: FluxEvent) => event is TurnEvent = FluxEvent.isAnyOf([
  "StartOfTurn",
  "Update",
  "EagerEndOfTurn",
  "TurnResumed",
  "EndOfTurn"
])

/** The JSON Schema (draft 2020-12) of one event, as in a line of NDJSON. */
export const jsonSchema = (): object => publish(FluxEvent)
