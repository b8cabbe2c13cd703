/** A random script of one session: what its user does, and how the server behaves, in and out of the protocol. */
import * as Schema from "effect/Schema"

const literal = <const L extends ReadonlyArray<string | number>>(values: L) => Schema.Literals(values)

/** Waits of the user, ms: within a frame, past the watchdog, past keep-alive. */
const Pause = literal([0, 1, 40, 80, 500, 1500, 7000, 12_000])
/** Sizes of chunks, bytes: odd ones, parts of frames, many frames, more than may wait. */
const Size = literal([1, 2, 639, 640, 2560, 2561, 7680, 30_001])

/** What the user does next. */
export const Act = Schema.Union([
  Schema.Struct({ act: Schema.tag("send"), bytes: Size, waits: Schema.Boolean }),
  Schema.Struct({ act: Schema.tag("stream"), frames: literal([2, 5, 20]) }),
  Schema.Struct({ act: Schema.tag("pause"), millis: Pause }),
  Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
  Schema.Struct({ act: Schema.tag("update"), eot: literal([0.5, 0.6, 0.7, 0.8]), timeout: literal([0, 1000, 3000]) }),
  Schema.Struct({ act: Schema.tag("endTurn") })
])
export type Act = typeof Act.Type

/** What the server may say when it has heard a frame; what most servers do most of the time comes more than once. */
export const Saying = literal([
  "nothing", "nothing", "idle", "idle", "start", "start", "update", "update", "update", "more", "more", "eager", "resumed",
  "end", "end", "empty-update", "empty-end", "jump", "back", "warning", "unknown", "unknown-event", "no-json", "broken",
  "stale-echo"
])
export type Saying = typeof Saying.Type

/** How the server takes a frame. */
const Taking = Schema.Struct({
  says: Schema.Array(Saying).check(Schema.isMaxLength(3)),
  /** How long it does not read; -1 for ever. */
  blocks: literal([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 4000, -1]),
  /** Breaks while it takes the frame. */
  breaks: literal(["no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "no", "end", "reset", "model", "fatal", "send"])
})

/** One session. */
export const Script = Schema.Struct({
  profile: literal(["flux-english-20260311", "hosted-2026-09"]),
  policy: literal(["suspend", "drop-oldest", "fail"]),
  finish: literal(["close", "silence"]),
  acts: Schema.Array(Act).check(Schema.isMaxLength(14)),
  leaves: literal(["finish", "finish", "finish", "close", "interrupt"]),
  consumer: literal(["fast", "slow", "late"]),
  accepts: literal([0, 0, 0, 100, 14_000, -1]),
  connects: literal([0, 0, 0, 100, 9000, -1]),
  takes: Schema.Array(Taking).check(Schema.isMinLength(1), Schema.isMaxLength(8)),
  answers: Schema.Array(literal(["yes", "yes", "yes", "no", "never", "late"])).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
  closes: Schema.Struct({
    says: Schema.Array(Saying).check(Schema.isMaxLength(2)),
    after: literal([0, 0, 200, 14_000]),
    then: literal(["end", "end", "end", "model", "reset", "hang"])
  }),
  hangs: Schema.Struct({ ended: Schema.Boolean, released: Schema.Boolean })
})
export type Script = typeof Script.Type
