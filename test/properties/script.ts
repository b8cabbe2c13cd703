/** A random script of one session: what its user does, and how the server behaves, in and out of the protocol. */
import * as Schema from "effect/Schema"

/** One of these; what most of them do most of the time stands there more than once. The first is the simplest. */
export const oneOf = <const L extends ReadonlyArray<string | number>>(values: L) => Schema.Literals(values)

// --- the user

/** Waits of the user, ms: within a frame, past the watchdog, past keep-alive. */
const Pause = oneOf([0, 1, 40, 80, 500, 1500, 7000, 12_000, 25_000])
/** Sizes of chunks, bytes: odd ones, parts of frames, many frames, more than may wait. */
const Size = oneOf([1, 2, 3, 639, 640, 2560, 2561, 7680, 30_001])

/** What the user does next. */
export const Act = Schema.Union([
  Schema.Struct({
    act: Schema.tag("send"),
    bytes: Size,
    /** Until it is inside; as a callback does; from a fiber of its own; or from one that gives up after 100 ms. */
    how: oneOf(["waits", "waits", "unsafe", "unsafe", "behind", "gives-up"])
  }),
  Schema.Struct({ act: Schema.tag("stream"), frames: oneOf([2, 5, 20]) }),
  Schema.Struct({ act: Schema.tag("pause"), millis: Pause }),
  Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
  Schema.Struct({
    act: Schema.tag("update"),
    eot: oneOf([0.5, 0.6, 0.7, 0.8]),
    timeout: oneOf([0, 1000, 3000]),
    keyterm: oneOf(["", "", "one", "two"]),
    eager: oneOf([0, 0, 0, 0.4, 0.75])
  }),
  Schema.Struct({ act: Schema.tag("endTurn") })
])
export type Act = typeof Act.Type

/** The user of a session. */
export const User = Schema.Struct({
  rate: oneOf([16_000, 16_000, 8000, 44_100]),
  policy: oneOf(["suspend", "drop-oldest", "fail"]),
  /** Frames that may wait. */
  limit: oneOf([8, 8, 1, 400]),
  finish: oneOf(["close", "silence"]),
  acts: Schema.Array(Act).check(Schema.isMaxLength(14)),
  leaves: Schema.Struct({
    how: oneOf(["finish", "finish", "finish", "close"]),
    /** In the middle of it all, ms; -1: when all is done. */
    after: oneOf([-1, -1, -1, -1, 0, 50, 1000, 5000, 20_000])
  }),
  /** Reads at once, one event in 2 s, only when all is over, or two events and no more. */
  consumer: oneOf(["fast", "slow", "late", "stops"])
})
export type User = typeof User.Type

// --- the server

/** What the server may say when it has heard a frame. */
export const Saying = oneOf([
  "nothing", "nothing", "idle", "idle", "start", "start", "update", "update", "update", "more", "more", "eager", "resumed",
  "end", "end", "empty-update", "empty-end", "again", "fewer", "jump", "back", "warning", "unknown", "unknown-event",
  "no-json", "broken", "stale-echo", "failure"
])
export type Saying = typeof Saying.Type

/** How the response goes wrong. */
const Break = oneOf(["no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "end", "reset", "model", "fatal"])
export type Break = typeof Break.Type

/** How the server takes a frame. */
const Taking = Schema.Struct({
  says: Schema.Array(Saying).check(Schema.isMaxLength(3)),
  /** How long it does not read; -1 for ever. */
  blocks: oneOf([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 4000, -1]),
  breaks: Break,
  /** Taking the frame fails. */
  fails: oneOf(["no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "yes"])
})

/** A server, as it is written. */
export const Server = Schema.Struct({
  profile: oneOf(["flux-english-20260311", "hosted-2026-09", "hosted-2026-09"]),
  /** The response headers come so late, ms; -1 never, -2 it refuses. */
  accepts: oneOf([0, 0, 0, 0, 100, 14_000, -1, -2]),
  /** Connected comes so late after them; and what comes in its place. */
  connects: Schema.Struct({
    after: oneOf([0, 0, 0, 0, 100, 9000, -1]),
    how: oneOf(["well", "well", "well", "well", "well", "well", "twice", "turn-first", "broken", "end", "reset", "fatal"])
  }),
  takes: Schema.Array(Taking).check(Schema.isMinLength(1), Schema.isMaxLength(8)),
  /** What it says of itself, so many ms after Connected. */
  speaks: Schema.Array(Schema.Struct({
    after: oneOf([100, 900, 3000, 8000, 20_000]),
    says: Schema.Array(Saying).check(Schema.isMaxLength(2)),
    breaks: Break
  })).check(Schema.isMaxLength(3)),
  answers: Schema.Array(oneOf(["yes", "yes", "yes", "no", "never", "late"])).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  closes: Schema.Struct({
    says: Schema.Array(Saying).check(Schema.isMaxLength(2)),
    after: oneOf([0, 0, 200, 14_000]),
    then: oneOf(["end", "end", "end", "model", "reset", "hang"])
  }),
  hangs: Schema.Struct({ ended: Schema.Boolean, released: Schema.Boolean })
})
export type Server = typeof Server.Type

/** One session. */
export const Script = Schema.Struct({ user: User, server: Server })
export type Script = typeof Script.Type

/** Whether it reads and goes on reading, and ends when it is told to; it may well be mute, and say what it likes. */
export const isPolite = ({ accepts, closes, connects, speaks, takes }: Server): boolean =>
  accepts >= 0 && connects.after >= 0 && ["well", "twice", "turn-first"].includes(connects.how) &&
  closes.then === "end" && takes.every(({ blocks, breaks, fails }) => blocks === 0 && breaks === "no" && fails === "no") &&
  speaks.every(({ breaks }) => breaks === "no")
/** Whether it always reads. */
export const isReading = ({ takes }: Server): boolean => takes.every(({ blocks }) => blocks === 0)
/** Everything that it may say. */
export const sayingsOf = ({ closes, speaks, takes }: Server): ReadonlyArray<Saying> =>
  [...takes, ...speaks, closes].flatMap(({ says }) => says)
