/**
 * What a simulated endpoint can be told to do wrong: the menu of protocol 8, as data. Pure.
 *
 * The same faults are written as values in code, as JSON in a script, and as `--fault NAME,KEY=VALUE` on a command
 * line. Which of them befall a session is settled by its number and a seed, so every run can be repeated.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { TurnEvent } from "../FluxMessage.ts"
import { fieldIssues } from "../internal/schemaIssues.ts"

const descriptions = {
  "accept-and-hang": "the TCP connection is taken, then nothing is said, not even HTTP/2 or TLS",
  "no-headers": "the request is never answered",
  "late-headers": "the response headers come `delay` ms late",
  "not-found-400": "HTTP 400 ValidationError: the account has no endpoint of this name in the region",
  "reject-424": "HTTP 424 ModelError: the container refused, or is overloaded",
  "deny-403": "HTTP 403 AccessDeniedException",
  "expired-token-403": "HTTP 403 ExpiredTokenException; `session=0` has a client refresh its credentials and go on",
  "throttle-400": "HTTP 400 ThrottlingException without a message",
  "throttle-429": "HTTP 429 ThrottlingException without a message",
  "error-500": "HTTP 500 with an HTML page, or with `as=typed` InternalServerError",
  "unavailable-503": "HTTP 503 ServiceUnavailableError",
  "no-connected": "200, then Flux never says a word",
  "late-connected": "Connected comes `delay` ms late; what arrives before is answered after it",
  "throttle": "a ThrottlingException within the stream, which then ends",
  "model-stream-error": "SageMaker's ModelStreamError, then the stream ends",
  "internal-stream-failure": "SageMaker's InternalStreamFailure, then the stream ends",
  "error-frame": "an unmodelled error frame with the error code `code`, then the stream ends",
  "flux-error": "Flux's own fatal Error message, then the stream ends",
  "end": "the response ends cleanly in mid-session",
  "reset": "RST_STREAM with the HTTP/2 error code `code`",
  "go-away": "GOAWAY with the HTTP/2 error code `code`; with 0 the stream lives on",
  "drop-socket": "the TCP connection is cut",
  "stop-reading": "nothing more is read, until flow control halts the client",
  "corrupt-crc": "a frame with a wrong checksum",
  "mute": "Flux says nothing more, for ever or for `for` seconds of audio; meanwhile CloseStream is not answered",
  "say": "the message `text` is said as it stands: rubbish, unknown types, ...",
  "omit": "TurnInfo messages with the event `event` are left out",
  "lag": "everything is said `delay` ms later, in order",
  "stay-open": "CloseStream is answered, but the response never ends",
  "split-parts": "messages are sent in PARTIAL parts of `bytes` bytes, also within a character",
  "chop-data": "bytes are sent in pieces of random size",
  "configure-failure": "every Configure is refused",
  "configure-lost": "Configure is taken and never answered",
  "lifetime": "the session is cut `seconds` after its response headers",
  "max-streams": "of more than `streams` sessions open at once the next is refused"
} as const satisfies Record<string, string>

/** The name of a fault. */
export type Name = keyof typeof descriptions

const seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Which sessions a fault befalls. */
const which = {
  /** Only the session of this number, from 0, in the order in which they are opened; default: every session. */
  session: Schema.optionalKey(count.annotate({
    description: "Only the session of this number, from 0, in the order in which they are opened. Default: every session."
  })),
  /** Probability, 0 to 1, drawn once a session from the seed; default 1. */
  chance: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).annotate({
    description: "Probability, drawn once a session from the seed. Default: 1."
  }))
}

/** When a fault of a running session happens; default: right after Connected. */
const when = {
  /**
   * Seconds of audio received; `close`: on CloseStream, before its answer; `end`: after the answer to CloseStream, in
   * place of the clean end.
   */
  at: Schema.optionalKey(Schema.Union([seconds, Schema.Literals(["close", "end"])]).annotate({
    description: "Seconds of audio received; close: on CloseStream, before its answer; end: after that answer, before " +
      "the clean end, or in its place where the fault ends the session. Not together with turn. Default: right after Connected."
  })),
  /** The turn of this index, from 0, once it has begun; not together with `at`. */
  turn: Schema.optionalKey(count.annotate({ description: "The turn of this index, from 0, once it has begun." })),
  /** Seconds of audio after that turn's StartOfTurn; default 0. */
  after: Schema.optionalKey(seconds.annotate({
    description: "Seconds of audio after the StartOfTurn of that turn. Default: 0."
  }))
}

/** When a fault happens, as far as it says. */
export interface When {
  readonly at?: number | "close" | "end"
  readonly turn?: number
  readonly after?: number
}

const fault = <const N extends Name, const Fields extends Schema.Struct.Fields>(name: N, fields: Fields) =>
  Schema.Struct({ fault: Schema.tag(name), ...which, ...fields }).annotate({ description: descriptions[name] })

const oneMoment = Schema.makeFilter(({ after, at, turn }: When) =>
  at !== undefined && turn !== undefined
    ? "not both at and turn"
    : after !== undefined && turn === undefined
    ? "after needs turn"
    : undefined
)

/** How the end of a stream is spelt (protocol 5.5). */
const as = {
  as: Schema.optionalKey(Schema.Literals(["exception", "event"]).annotate({
    description: "Message type of the frame. AWS's SDKs throw an exception. An event is a member of the response stream: " +
      "Python's throws it, too, others hand it on, and a client that looks for PayloadPart alone passes over it. Default: exception."
  }))
}
/** Time before it happens, ms on the Clock. */
const delay = { delay: Schema.optionalKey(millis.annotate({ description: "Milliseconds before it happens. Default: 0." })) }
const late = { delay: millis.annotate({ description: "Milliseconds." }) }
const text = (description: string) => Schema.optionalKey(Schema.String.annotate({ description }))
/** Node sends no larger one. */
const maxHttp2Code = 0x7fff_ffff
const http2Code = (description: string) =>
  Schema.optionalKey(count.check(Schema.isLessThanOrEqualTo(maxHttp2Code)).annotate({ description }))

/** One thing that goes wrong. */
export const Fault = Schema.Union([
  // before the response headers
  fault("accept-and-hang", {}),
  fault("no-headers", {}),
  fault("late-headers", late),
  fault("not-found-400", delay),
  fault("reject-424", delay),
  fault("deny-403", delay),
  fault("expired-token-403", delay),
  fault("throttle-400", delay),
  fault("throttle-429", delay),
  fault("error-500", {
    ...delay,
    as: Schema.optionalKey(Schema.Literals(["html", "typed"]).annotate({
      description: "html: the front end's page, without a type; typed: InternalServerError as JSON. Default: html."
    }))
  }),
  fault("unavailable-503", delay),
  // between the headers and Connected
  fault("no-connected", {}),
  fault("late-connected", late),
  // in a running session
  fault("throttle", when).check(oneMoment),
  fault("model-stream-error", { ...when, ...as, errorCode: text("ErrorCode of the frame. Default: none.") }).check(oneMoment),
  fault("internal-stream-failure", { ...when, ...as }).check(oneMoment),
  fault("error-frame", { ...when, code: text("Default: InternalFailure.") }).check(oneMoment),
  fault("flux-error", {
    ...when,
    code: text("Default: INTERNAL_SERVER_ERROR."),
    description: text("Default: a sentence that says so.")
  }).check(oneMoment),
  fault("end", when).check(oneMoment),
  fault("reset", { ...when, code: http2Code("HTTP/2 error code. Default: 2, INTERNAL_ERROR.") }).check(oneMoment),
  fault("go-away", { ...when, code: http2Code("HTTP/2 error code. Default: 0, NO_ERROR.") }).check(oneMoment),
  fault("drop-socket", when).check(oneMoment),
  fault("stop-reading", when).check(oneMoment),
  fault("corrupt-crc", when).check(oneMoment),
  fault("mute", {
    ...when,
    for: Schema.optionalKey(seconds.annotate({ description: "Seconds of audio. Default: for ever." }))
  }).check(oneMoment),
  fault("say", { ...when, text: Schema.String.annotate({ description: "The message, whatever it is." }) }).check(oneMoment),
  fault("omit", {
    event: TurnEvent.annotate({ description: "The event of the messages that are left out." }),
    turn: Schema.optionalKey(count.annotate({ description: "Only in the turn of this index. Default: in every turn." }))
  }),
  fault("lag", late),
  fault("stay-open", {}),
  fault("split-parts", {
    bytes: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)).annotate({ description: "Bytes a part. Default: 7." }))
  }),
  fault("chop-data", {}),
  fault("configure-failure", {
    code: text("Default: as the bundle has it, else INVALID_THRESHOLD."),
    description: text("Default: a sentence on thresholds.")
  }),
  fault("configure-lost", {}),
  // limits
  fault("lifetime", {
    seconds: seconds.annotate({ description: "Seconds since the response headers." }),
    as: Schema.optionalKey(Schema.Literals(["model-stream-error", "end", "reset"]).annotate({
      description: "How the session is cut. Default: model-stream-error."
    }))
  }),
  fault("max-streams", {
    streams: count.annotate({ description: "Most sessions at once." }),
    as: Schema.optionalKey(Schema.Literals(["reject-424", "flux-error"]).annotate({
      description: "How the next is refused. Default: reject-424."
    }))
  })
]).pipe(Schema.toTaggedUnion("fault"))
export type Fault = typeof Fault.Type

/** A fault of a running session, with a moment at which it happens. */
export type Timed = Fault extends infer F ? F extends unknown ? "at" extends keyof F ? F : never : never : never

/** Whether a fault is a {@link Timed} one. */
export const isTimed = (fault: Fault): fault is Timed => "at" in Fault.cases[fault.fault].fields

const isName = (text: string): text is Name => Object.hasOwn(descriptions, text)

/** Every name, in the order of a session's life. */
export const names: ReadonlyArray<Name> = Object.keys(descriptions).filter(isName)

/** A fault as an item of a menu. */
export interface Item {
  readonly name: Name
  /** What it does, in a line. */
  readonly description: string
  /** Its own keys; `session` and `chance`, which every fault takes, are not among them. */
  readonly keys: ReadonlyArray<{ readonly key: string; readonly required: boolean; readonly description: string }>
}

/** Every fault, for help texts and tables. */
export const menu: ReadonlyArray<Item> = names.map((name) => ({
  name,
  description: descriptions[name],
  keys: Object.entries<Schema.Top>(Fault.cases[name].fields).flatMap(([key, { ast }]) =>
    key === "fault" || key in which
      ? []
      : [{ key, required: !SchemaAST.isOptional(ast), description: SchemaAST.resolveDescription(ast) ?? "" }]
  )
}))

const decodeTexts = Schema.decodeUnknownResult(Schema.toCodecStringTree(Fault), {
  errors: "all",
  onExcessProperty: "error"
})

/**
 * Reads the form of the command line, `NAME[,KEY=VALUE]...`: `mute,turn=1,after=0.5`. The text of `say` goes to the
 * end of the line, commas and all. Fails with every problem, each as key and rule.
 */
export const fromFlag = (flag: string): Result.Result<Fault, string> => {
  const comma = flag.indexOf(",")
  const name = comma < 0 ? flag : flag.slice(0, comma)
  if (!isName(name)) return Result.fail(`there is no fault "${name}"; known are ${names.join(", ")}`)
  const keys = Object.keys(Fault.cases[name].fields).filter((key) => key !== "fault")
  const fields: Record<string, string> = { fault: name }
  let rest = comma < 0 ? undefined : flag.slice(comma + 1)
  while (rest !== undefined) {
    const [, key, equals] = /^([^=,]*)(=?)/.exec(rest) ?? []
    if (key === undefined || equals !== "=") return Result.fail(`${name}: after a comma must come KEY=VALUE`)
    if (!keys.includes(key)) return Result.fail(`${name}: there is no key "${key}"; it takes ${keys.join(", ")}`)
    if (key in fields) return Result.fail(`${name}: ${key} is given twice`)
    const start = key.length + 1
    const end = name === "say" && key === "text" ? -1 : rest.indexOf(",", start)
    fields[key] = end < 0 ? rest.slice(start) : rest.slice(start, end)
    rest = end < 0 ? undefined : rest.slice(end + 1)
  }
  return Result.mapError(decodeTexts(fields), (error) => `${name}: ${problems(error)}`)
}

/** What is wrong, key by key; where a key may be one of several things, none of them is. */
const problems = (error: Schema.SchemaError): string => {
  const byKey = new Map<string, Array<string>>()
  for (const { message, path } of fieldIssues(error)) {
    const problem = message.replace("a string representing ", "").replace(/^Expected /, "must be ").replace("Missing key", "is missing")
    const others = byKey.get(path)
    if (others === undefined) byKey.set(path, [problem])
    else others.push(problem.replace(/^must be /, ""))
  }
  return [...byKey].map(([key, wrong]) => `${key}${key === "" ? "" : " "}${wrong.join(" or ")}`).join("; ")
}

/** Numbers from 0 to below 1, one after the other; the same for the same seed. */
const generator = (seed: string): () => number => {
  const random = Effect.runSync(Random.withSeed(Random.Random, seed))
  return () => random.nextDoubleUnsafe()
}

/**
 * The faults that befall the session of this number, in their order. What is left to chance is drawn once a session
 * and fault; the draw of one fault does not depend on those behind it.
 */
export const plan = (faults: ReadonlyArray<Fault>, seed: number, session: number): ReadonlyArray<Fault> => {
  const draw = faults.some(({ chance }) => chance !== undefined) ? generator(`faults ${seed} ${session}`) : () => 0
  // drawn for every fault, so that each keeps its own draw
  const drawn = faults.map((fault) => ({ fault, luck: draw() }))
  return drawn.flatMap(({ fault, luck }) =>
    (fault.session === undefined || fault.session === session) && (fault.chance === undefined || luck < fault.chance)
      ? [fault]
      : []
  )
}

/** Numbers from 0 to below 1 for what a fault does at random in this session; the same for the same seed. */
export const random = (seed: number, session: number): () => number => generator(`pieces ${seed} ${session}`)
