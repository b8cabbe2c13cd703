/** What the processes of a benchmark say to each other. */
import * as Schema from "effect/Schema"

/** What the load generator is to do. */
export const Job = Schema.Struct({
  port: Schema.Int,
  sessions: Schema.Int,
  /** Sessions that share a connection. */
  perConnection: Schema.Int,
  warmUpSeconds: Schema.Finite,
  seconds: Schema.Finite,
  /** Where the server is the bare one: bytes that it answers to each slot of audio. */
  answerBytes: Schema.optionalKey(Schema.Int)
})
export type Job = typeof Job.Type

/** What came of it. Times are ms. */
export const Outcome = Schema.Struct({
  /** Messages and bytes received, per session, of all the time. */
  messages: Schema.Finite,
  bytes: Schema.Finite,
  slots: Schema.Int,
  /** Sessions that did not get exactly what they had to get; of the first ones, what was wrong. */
  wrong: Schema.Int,
  problems: Schema.Array(Schema.String),
  /** From a frame's sending to the receipt of its message. */
  lagMedian: Schema.Finite,
  lagP99: Schema.Finite,
  /** How late frames were sent: the load generator's own fault. */
  lateP99: Schema.Finite
})
export type Outcome = typeof Outcome.Type

/** The load generator: the measured time begins or ends, or everything is over. */
export const FromLoad = Schema.Union([Schema.Literals(["begin", "end"]), Outcome])

/** A server, on the question how much it has used so far. CPU in ms, both kinds together. */
export const Usage = Schema.Struct({ cpu: Schema.Finite, now: Schema.Finite, rssBytes: Schema.Int })
export type Usage = typeof Usage.Type

/** A server: it listens, or an answer. */
export const FromServer = Schema.Union([Schema.Struct({ port: Schema.Int }), Usage])

/** Audio is sent in frames of 80 ms at 16 kHz; Flux answers each slot of three (protocol 4.3). */
export const frameMillis = 80
export const frameSamples = 1280
export const framesPerSlot = 3
