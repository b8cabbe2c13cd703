/**
 * What a simulated endpoint can be told to do wrong: the menu of protocol 8, as data. Pure.
 */
import * as Schema from "effect/Schema"

const seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Which sessions a fault befalls. */
const which = {
  /** Only the session of this number, from 0, in the order in which they are opened; default: every session. */
  session: Schema.optionalKey(count),
  /** Probability, 0 to 1, drawn once a session from the seed; default 1. */
  chance: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
}

/** When a fault of a running session happens; default: right after Connected. */
const when = {
  /**
   * Seconds of audio received; `close`: on CloseStream, before its answer; `end`: after the answer to CloseStream, in
   * place of the clean end.
   */
  at: Schema.optionalKey(Schema.Union([seconds, Schema.Literals(["close", "end"])])),
  /** The turn of this index, from 0, once it has begun; not together with `at`. */
  turn: Schema.optionalKey(count),
  /** Seconds of audio after that turn's StartOfTurn; default 0. */
  after: Schema.optionalKey(seconds)
}

const fault = <const Name extends string, const Fields extends Schema.Struct.Fields>(name: Name, fields: Fields) =>
  Schema.Struct({ fault: Schema.tag(name), ...which, ...fields })

/** How the end of a stream is spelt (protocol 5.5). */
const as = { as: Schema.optionalKey(Schema.Literals(["exception", "event"])) }
/** Time before it happens, ms on the Clock. */
const delay = { delay: Schema.optionalKey(millis) }

/** One thing that goes wrong. */
export const Fault = Schema.Union([
  // before the response headers
  fault("accept-and-hang", {}),
  fault("no-headers", {}),
  fault("late-headers", { delay: millis }),
  fault("reject-424", delay),
  fault("deny-403", delay),
  fault("throttle-400", delay),
  fault("throttle-429", delay),
  fault("error-500", delay),
  fault("unavailable-503", delay),
  // between the headers and Connected
  fault("no-connected", {}),
  fault("late-connected", { delay: millis }),
  // in a running session
  fault("throttle", when),
  fault("model-stream-error", { ...when, ...as, errorCode: Schema.optionalKey(Schema.String) }),
  fault("internal-stream-failure", { ...when, ...as }),
  fault("error-frame", { ...when, code: Schema.optionalKey(Schema.String) }),
  fault("flux-error", { ...when, code: Schema.optionalKey(Schema.String), description: Schema.optionalKey(Schema.String) }),
  fault("end", when),
  fault("reset", { ...when, code: Schema.optionalKey(count) }),
  fault("go-away", { ...when, code: Schema.optionalKey(count) }),
  fault("drop-socket", when),
  fault("stop-reading", when),
  fault("corrupt-crc", when),
  fault("mute", { ...when, for: Schema.optionalKey(seconds) }),
  fault("say", { ...when, text: Schema.String }),
  fault("omit", { event: Schema.String, turn: Schema.optionalKey(count) }),
  fault("lag", { delay: millis }),
  fault("stay-open", {}),
  fault("split-parts", { bytes: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))) }),
  fault("chop-data", {}),
  fault("configure-failure", { code: Schema.optionalKey(Schema.String), description: Schema.optionalKey(Schema.String) }),
  fault("configure-lost", {}),
  // limits
  fault("lifetime", { seconds, as: Schema.optionalKey(Schema.Literals(["model-stream-error", "end", "reset"])) }),
  fault("max-streams", { streams: count, as: Schema.optionalKey(Schema.Literals(["reject-424", "flux-error"])) })
]).pipe(Schema.toTaggedUnion("fault"))
export type Fault = typeof Fault.Type
