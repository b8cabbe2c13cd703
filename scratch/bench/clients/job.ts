/** What the processes of the benchmark of clients say to each other. */
import * as Schema from "effect/Schema"

/** Who is measured: this package's two doors, the AWS SDK's own event streams, the floor under all, and the load itself. */
export const names = ["transcriber", "session", "sdk", "raw", "idle"] as const
export type Name = typeof names[number]

/** What a client is to do. */
export const Job = Schema.Struct({
  client: Schema.Literals(names),
  url: Schema.String,
  /** PEM to trust; without it there is no TLS. */
  ca: Schema.optionalKey(Schema.String),
  streams: Schema.Int,
  warmUpSeconds: Schema.Number,
  seconds: Schema.Finite
})
export type Job = typeof Job.Type

/** What came of it. Times are ms, sizes are bytes. */
export const Outcome = Schema.Struct({
  /** CPU of the process, user and system, for each second of each stream. */
  cpu: Schema.Number,
  /** The same as part of one core. */
  load: Schema.Number,
  /** From the send of a turn's last chunk to its EndOfTurn. */
  delayMedian: Schema.Number,
  delayP99: Schema.Number,
  turns: Schema.Int,
  /** Of a burst of all streams at once, from each one's opening to its Connected. */
  connectMedian: Schema.Number,
  connectP99: Schema.Number,
  rssPeak: Schema.Number,
  heapPerStream: Schema.Number,
  /** How late the timers of the load were. */
  loopDelayP99: Schema.Number,
  connections: Schema.Int,
  /** Bytes of audio that all streams sent, silence of the clients' own included. */
  audioBytes: Schema.Number,
  errors: Schema.Int,
  /** The first ones. */
  problems: Schema.Array(Schema.String)
})
export type Outcome = typeof Outcome.Type
