/** A random script of one session: what its user does, and how the server behaves, in and out of the protocol. */
import * as Schema from "effect/Schema"

/** One of these; what most of them do most of the time stands there more than once. The first is the simplest. */
export const oneOf = <const L extends ReadonlyArray<string | number>>(values: L) => Schema.Literals(values)

// --- the user

/** Waits of the user, ms: within a frame, past the watchdog, past keep-alive. */
const Pause = oneOf([0, 1, 40, 80, 500, 1500, 7000, 12_000, 25_000])
/** Sizes of chunks, bytes: odd ones, parts of frames, many frames, more than may wait. */
const Size = oneOf([1, 2, 3, 639, 640, 2560, 2561, 7680, 30_001, 30_001])

/** Speaks in real time. */
const Stream = Schema.Struct({ act: Schema.tag("stream"), frames: oneOf([2, 5, 5, 20]) })

/** What the user does next. */
export const Act = Schema.Union([
  Schema.Struct({
    act: Schema.tag("send"),
    bytes: Size,
    /** Until it is inside; as a callback does; from a fiber of its own; or from one that gives up after 100 ms. */
    how: oneOf(["waits", "waits", "unsafe", "unsafe", "behind", "gives-up"])
  }),
  Stream,
  Stream,
  Schema.Struct({ act: Schema.tag("pause"), millis: Pause }),
  Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
  /** Speaks on while muted. */
  Schema.Struct({ act: Schema.tag("aside"), frames: oneOf([1, 10]) }),
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
  /** Least time between keep-alives, ms; one that comes before the watchdog's silence would. */
  keepAlive: oneOf([10_000, 10_000, 400]),
  finish: oneOf(["close", "silence"]),
  acts: Schema.Array(Act).check(Schema.isMinLength(4), Schema.isMaxLength(14)),
  leaves: Schema.Struct({
    how: oneOf(["finish", "finish", "finish", "close"]),
    /** In the middle of it all, ms; -1: when all is done. */
    after: oneOf([-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 50, 1000, 5000, 20_000])
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
export type Break = "end" | "reset" | "model" | "fatal"

/** How a session begins: mostly well. */
const Opening = oneOf([
  "well", "well", "well", "well", "well", "well", "well", "well", "well", "well", "well", "well", "well", "well", "well",
  "slow-headers", "late-headers", "slow-connected", "late-connected", "twice", "turn-first", "turn-first",
  // and what never is a session
  "no-headers", "refused", "no-connected", "broken", "end", "reset", "fatal"
])

/** What goes wrong with a frame, and mostly with those after it: 90 ms or 4 s each, or no reading at all; the response breaks; the write fails. */
const Trouble = oneOf([
  "none", "none", "none", "none", "none", "none", "none", "none", "none", "none",
  "slow", "slower", "stops-reading", "stops-reading", "fails", "end", "reset", "model", "fatal"
])

/** A server, as it is written. */
export const Server = Schema.Struct({
  profile: oneOf(["flux-english-20260311", "hosted-2026-09"]),
  opening: Opening,
  /** What it says to each frame, over and over. */
  says: Schema.Array(Schema.Array(Saying).check(Schema.isMaxLength(2))).check(Schema.isMinLength(2), Schema.isMaxLength(8)),
  /** What it says of itself, so many ms after Connected. */
  speaks: Schema.Array(Schema.Struct({
    after: oneOf([100, 900, 3000, 8000, 20_000]),
    says: Schema.Array(Saying).check(Schema.isMaxLength(2))
  })).check(Schema.isMaxLength(3)),
  trouble: Trouble,
  /** With which frame. */
  troubleAt: oneOf([1, 5, 12, 40]),
  answers: Schema.Array(oneOf(["yes", "yes", "yes", "no", "never", "late"])).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  closes: Schema.Struct({
    says: Schema.Array(Saying).check(Schema.isMaxLength(2)),
    after: oneOf([0, 0, 200, 14_000]),
    then: oneOf(["end", "end", "end", "end", "end", "model", "reset", "hang"])
  }),
  hangs: oneOf(["no", "no", "no", "ended", "released"])
})
export type Server = typeof Server.Type

/** One session. */
export const Script = Schema.Struct({ user: User, server: Server })
export type Script = typeof Script.Type

const never: ReadonlySet<Server["opening"]> = new Set(["no-headers", "refused", "no-connected", "broken", "end", "reset", "fatal"])
const reads: ReadonlySet<Server["trouble"]> = new Set(["none", "end", "reset", "model", "fatal", "fails"])

/** Whether it reads and goes on reading, and ends when it is told to; it may well be mute, and say what it likes. */
export const isPolite = ({ closes, opening, trouble }: Server): boolean =>
  !never.has(opening) && trouble === "none" && closes.then === "end"
/** Whether it always reads. */
export const isReading = ({ trouble }: Server): boolean => reads.has(trouble)
/** Everything that it may say. */
export const sayingsOf = ({ closes, says, speaks }: Server): ReadonlySet<Saying> =>
  new Set([...says.flat(), ...speaks.flatMap(({ says }) => says), ...closes.says])
