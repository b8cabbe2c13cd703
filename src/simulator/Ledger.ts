/** What a simulated endpoint has seen and done, one record a session: for tests to look at. Pure. */
import * as Schema from "effect/Schema"

/** How a session ended, or that it has not. */
export const Ending = Schema.Literals([
  /** It goes on. */
  "open",
  /** Never began: an HTTP answer other than 200. */
  "refused",
  /** CloseStream was answered and the response ended. */
  "flux-closed",
  /** Flux's own fatal Error. */
  "flux-error",
  /** The client ended its request body first, which cuts the output (protocol 5.8). */
  "client-ended",
  /** The client's stream was reset or its socket lost. */
  "lost",
  /** A frame of the client was not acceptable. */
  "frame-refused",
  /** A fault ended it; the last of `faults`. */
  "fault"
])
export type Ending = typeof Ending.Type

/** A run of position-stamped audio that arrived in order: samples `from` to below `to`. */
export const Range = Schema.Struct({ from: Schema.Int, to: Schema.Int })
export type Range = typeof Range.Type

/** One session, from its request on. Times are ms on the Clock; `audioSeconds` counts audio received. */
export const SessionRecord = Schema.Struct({
  /** From 0, in the order of opening. */
  session: Schema.Int,
  requestId: Schema.String,
  endpoint: Schema.String,
  query: Schema.String,
  openedAt: Schema.Finite,
  endedAt: Schema.optionalKey(Schema.Finite),
  ending: Ending,
  /** Why, where that needs saying: the true reason of a refusal. */
  reason: Schema.optionalKey(Schema.String),
  /** Faults that happened; `at` is ms since `openedAt`. */
  faults: Schema.Array(Schema.Struct({ fault: Schema.String, at: Schema.Finite, audioSeconds: Schema.Finite })),
  received: Schema.Struct({
    audioBytes: Schema.Int,
    audioSeconds: Schema.Finite,
    audioMessages: Schema.Int,
    /** Longest time between two audio messages; 0 before the second one. */
    largestGapMillis: Schema.Finite,
    /** Runs of stamped audio, in order of arrival; see `Stamp`. Silence in between does not part a run. */
    stamped: Schema.Array(Range),
    /** Samples without a stamp. */
    otherSamples: Schema.Int,
    /** Text messages, by their `type`; `at` is ms since `openedAt`. */
    texts: Schema.Array(Schema.Struct({ type: Schema.String, at: Schema.Finite, audioSeconds: Schema.Finite }))
  }),
  sent: Schema.Struct({
    bytes: Schema.Int,
    /** How many of each: `Connected`, `Update`, `EndOfTurn`, `ConfigureSuccess`, ... */
    messages: Schema.Record(Schema.String, Schema.Int)
  })
})
export type SessionRecord = typeof SessionRecord.Type
