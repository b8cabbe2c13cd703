/** What the processes of the benchmark of the simulator say to each other. */
import * as Schema from "effect/Schema"

/** What the load generator is to do. */
export const Job = Schema.Struct({
  url: Schema.String,
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
