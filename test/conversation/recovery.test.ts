/** A conversation whose sessions break: what an application sees, and what the next session hears. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { atFrames, heard, lines, listened, onFrame, opens, sessions, simulated, speaking, turnsOf } from "../support/conversation.ts"
import { audioTimes, reasonOf } from "../support/session.ts"
import { turnInfo } from "../support/wire.ts"

const lost = new FluxError.ConnectionLost({ detail: "gone" })
const turn = (event: string, transcript: string, end: number): string => turnInfo({ event, transcript, end })
const call = (seconds: number, options: Transcriber.CallOptions = {}) => speaking(seconds).pipe(Transcriber.transcribe({ id: "call", ...options }))
/** What is said, by the stamps: "one two three four" from 1 s to 3 s, "five six" from 6 s on. */
const script = Script.make({
  clock: "stamps",
  turns: [
    { at: 1, words: [{ word: "one", start: 1, end: 1.4 }, { word: "two", start: 1.5, end: 1.9 }, { word: "three", start: 2, end: 2.4 }, { word: "four", start: 2.5, end: 3 }] },
    { at: 6, words: [{ word: "five", start: 6, end: 6.4 }, { word: "six", start: 6.5, end: 7 }] }
  ]
})
const whole = ["one two three four", "five six"]
/** "one two" are told of, up to 2.08 s, when it breaks. */
const brokenInTurn = () => atFrames({ 20: turn("StartOfTurn", "one", 1.6), 25: turn("Update", "one two", 2.08), 27: lost })

describe("a session that breaks", () => {
  it.effect("in mid-turn: one StartOfTurn, one EndOfTurn, and the words of the session that heard it all", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(4), 60)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(lines(events), [
        "Connected 0",
        "StartOfTurn 0: one",
        "Reconnecting 1: ConnectionLost",
        "Disconnected 0",
        "Connected 1",
        "Resumed 1",
        "EndOfTurn 0 confirmed: one two three four",
        "Disconnected 1"
      ])
      // words that were told do not go away while they are heard again
      const told = events.flatMap((event) => (event.type === "Update" ? [event.transcript] : []))
      assert.deepStrictEqual(told, ["one two", "one two three"])
    }).pipe(Effect.provide(sessions(
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        25: turn("Update", "one two", 2),
        27: lost
      }),
      // it hears from 1.6 s - 2 s on: from the start
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        24: turn("Update", "one to", 1.92),
        30: turn("Update", "one two three", 2.4),
        40: turn("EndOfTurn", "one two three four", 3.2)
      })
    ))))

  for (const fault of ["reset", "drop-socket", "end", "model-stream-error", "internal-stream-failure", "throttle", "flux-error", "corrupt-crc", "stop-reading", "mute"] as const) {
    it.effect(`by ${fault}, in a turn and outside of one: no word is lost, none is told twice`, () =>
      Effect.gen(function*() {
        const { events, exit } = yield* listened(call(20, { settings: { stallTimeout: "3 seconds" } }), 120)
        assert.strictEqual(exit._tag, "Success")
        assert.deepStrictEqual(turnsOf(events), whole)
        assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("StartOfTurn")).length, 2)
        const [first, second, third] = yield* heard
        assert.strictEqual(first?.[0]?.[0], 0)
        // StartOfTurn is told at 1.04 s or within a frame of it: what is kept begins at the start
        assert.deepStrictEqual([second?.length, second?.[0]?.[0]], [1, 0])
        assert.deepStrictEqual([third?.length, third?.[0]?.[1]], [1, 20])
        assert.isFalse(lines(events).includes("AudioDropped"))
      }).pipe(Effect.provide(simulated({
        script,
        faults: [{ fault, at: 2.2, session: 0 }, { fault, at: 5, session: 1 }]
      }))))
  }

  it.effect("hears what it has not told of, from a second before, and not what belongs to the turn before", () =>
    Effect.gen(function*() {
      yield* listened(call(10), 60)
      const [, second, third] = yield* heard
      // the first turn ends 0.8 s after its last word, told in a frame of 80 ms: nothing before that is heard again
      assert.closeTo(second?.[0]?.[0] ?? 0, 3.8, 0.16)
      // told of every 240 ms outside a turn: at the latest at 5.04 s
      assert.closeTo(third?.[0]?.[0] ?? 0, 5.04 - 1, 0.24)
    }).pipe(Effect.provide(simulated({
      script,
      faults: [{ fault: "reset", at: 4.2, session: 0 }, { fault: "reset", at: 1.3, session: 1 }]
    }))))

  it.effect("ends a turn that no other session hears, with the words that were told", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(6), 60)
      assert.deepStrictEqual(lines(events), [
        "Connected 0",
        "StartOfTurn 0: one",
        "Reconnecting 1: ConnectionLost",
        "Disconnected 0",
        "Connected 1",
        "Resumed 1",
        "EndOfTurn 0 closed: one two",
        "StartOfTurn 1: three",
        "EndOfTurn 1 confirmed: three",
        "Disconnected 1"
      ])
    }).pipe(Effect.provide(sessions(
      brokenInTurn,
      () => atFrames({
        10: turn("Update", "", 0.88),
        26: turn("Update", "", 2.16),
        50: turn("StartOfTurn", "three", 4),
        60: turn("EndOfTurn", "three", 4.8)
      })
    ))))

  it.effect("ends a turn that no other session tells of, where it tells of nothing", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(20, { settings: { stallTimeout: "1 minute" } }), 60)
      const end = events.find((event) => event.type === "EndOfTurn")
      assert.deepInclude(end, { ending: "closed", transcript: "one two" })
      // 5 s of Flux's timeout and 5 s more of audio after what was told, noticed within a second
      assert.isAtMost((end?.receivedAt ?? 0) / 1000, 2.08 + 10 + 2)
    }).pipe(Effect.provide(sessions(
      brokenInTurn,
      () => onFrame(() => Effect.void)
    ))))

  it.effect("after an EagerEndOfTurn: it is taken back where the next session knows of none", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(4), 60)
      assert.deepStrictEqual(lines(events), [
        "Connected 0",
        "StartOfTurn 0: one",
        "EagerEndOfTurn 0: one",
        "Reconnecting 1: ConnectionLost",
        "Disconnected 0",
        "Connected 1",
        "Resumed 1",
        "TurnResumed 0: one two",
        "EndOfTurn 0 confirmed: one two",
        "Disconnected 1"
      ])
    }).pipe(Effect.provide(sessions(
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        25: turn("EagerEndOfTurn", "one", 2),
        26: lost
      }),
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        30: turn("Update", "one two", 2.4),
        40: turn("EndOfTurn", "one two", 3.2)
      })
    ))))

  it.effect("after an EagerEndOfTurn that the next session finds, too: it stands, and is told once", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(4), 60)
      assert.deepStrictEqual(lines(events).filter((line) => / 0: | 0 confirmed/.test(line)), [
        "StartOfTurn 0: one",
        "EagerEndOfTurn 0: one",
        "EndOfTurn 0 confirmed: one"
      ])
    }).pipe(Effect.provide(sessions(
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        25: turn("EagerEndOfTurn", "one", 2.08),
        27: lost
      }),
      () => atFrames({
        20: turn("StartOfTurn", "one", 1.6),
        25: turn("EagerEndOfTurn", "one", 2),
        30: turn("Update", "one", 2.4),
        40: turn("EndOfTurn", "one", 3.2)
      })
    ))))
})

/** A turn of 40 s, a word every half second. */
const long = Array.from({ length: 80 }, (_, at) => ({ word: `w${at}`, start: 1 + at / 2, end: 1.4 + at / 2 }))

describe("a turn that is longer than what is kept", () => {
  it.effect("keeps the words that were told, and goes on between two words", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(46), 120)
      assert.deepStrictEqual(turnsOf(events), [long.map(({ word }) => word).join(" ")])
      const [, second] = yield* heard
      // 15 s before it broke is 20.2 s, within the pause from 20.4 s - 0.5 s on, or the one after it
      assert.closeTo(second?.[0]?.[0] ?? 0, 35.2 - 15, 0.5)
      assert.isFalse(lines(events).includes("AudioDropped"))
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 1, words: long }] }),
      faults: [{ fault: "reset", at: 35.2, session: 0 }]
    }))))

  it.effect("and that breaks twice: the second session knows what the first one heard", () => {
    // words of two seconds each, so that what is kept begins within one
    const words = Array.from({ length: 20 }, (_, k) => ({ word: `w${k}`, start: 1 + 2.02 * k, end: 3 + 2.02 * k }))
    return Effect.gen(function*() {
      const { events } = yield* listened(call(48), 120)
      assert.deepStrictEqual(turnsOf(events), [words.map(({ word }) => word).join(" ")])
      assert.strictEqual(yield* opens, 3)
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 1, words }] }),
      faults: [{ fault: "reset", at: 30.5, session: 0 }, { fault: "reset", at: 14, session: 1 }]
    })))
  })

  it.effect("tells what no session has told of and is not kept", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(30, { settings: { stallTimeout: "20 seconds" } }), 120)
      const dropped = events.flatMap((event) => (event.type === "AudioDropped" ? [event.audioStart, event.audioEnd] : []))
      // Flux tells of 2.16 s at the latest, and is given up 20 s after it; 15 s are kept
      assert.strictEqual(dropped.length, 2)
      assert.closeTo(dropped[0] ?? 0, 2.1, 0.1)
      assert.closeTo(dropped[1] ?? 0, 22.3 - 15, 0.4)
      const [, second] = yield* heard
      assert.closeTo(second?.[0]?.[0] ?? 0, dropped[1] ?? 0, 0.001)
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 1, words: long }] }),
      faults: [{ fault: "mute", at: 2.2, session: 0 }]
    }))))
})

describe("opening", () => {
  it.effect("that fails once does not put audio out of order, and says that it tries again", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(10), 60)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events), whole)
      assert.deepStrictEqual(lines(events).slice(0, 2), ["Reconnecting 2: Throttled", "Connected 1"])
      assert.deepStrictEqual(yield* heard, [[], [[0, 10]]])
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "throttle-400", session: 0 }] }))))

  for (const [what, fault, tag, bound, lived] of [
    ["never answers", { fault: "no-headers" }, "ConnectTimeout", "time", 0],
    ["never says Connected", { fault: "no-connected" }, "ConnectTimeout", "time", 0],
    ["throttles for ever", { fault: "throttle-429" }, "Throttled", "time", 0],
    // each of these is paid for
    ["says Connected and then fails for ever", { fault: "flux-error" }, "FluxFatal", "sessions", 100],
    ["says Connected and then ends for ever", { fault: "end", at: 0.5 }, "ConnectionLost", "sessions", 600],
    ["says Connected and then throttles for ever", { fault: "throttle", at: 0.2 }, "Throttled", "sessions", 300]
  ] as const) {
    it.effect(`at an endpoint that ${what} ends within the budget, with the last reason`, () =>
      Effect.gen(function*() {
        const { endedAt, events, exit } = yield* listened(call(120), 120)
        const reason = reasonOf(exit)
        assert.deepInclude(reason, { _tag: "RetriesExhausted" })
        if (!(reason instanceof FluxError.RetriesExhausted)) return assert.fail("another reason")
        assert.strictEqual(reason.last._tag, tag)
        const count = yield* opens
        assert.strictEqual(count, reason.attempts)
        assert.strictEqual(reason.bound, bound)
        // 30 s without a session, and the bounds of freeing one; and the lives of those that were Connected
        assert.isAtMost(endedAt, 34_000 + count * lived)
        assert.isAtLeast(endedAt, bound === "time" ? 29_000 : 0)
        const started = lines(events).filter((line) => line.startsWith("StartOfTurn")).length
        assert.strictEqual(turnsOf(events).length, started)
      }).pipe(Effect.provide(simulated({ script, faults: [fault] }))))
  }

  it.effect("is tried three times where the container refuses: that may be about the settings", () =>
    Effect.gen(function*() {
      const { exit } = yield* listened(call(20), 60)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", attempts: 3 })
      assert.strictEqual(yield* opens, 3)
    }).pipe(Effect.provide(simulated({ faults: [{ fault: "reject-424" }] }))))

  it.effect("is tried once where no other session would cure it", () =>
    Effect.gen(function*() {
      const { exit } = yield* listened(call(20), 60)
      assert.deepInclude(reasonOf(exit), { _tag: "Unauthorized" })
      assert.strictEqual(yield* opens, 1)
    }).pipe(Effect.provide(simulated({ faults: [{ fault: "deny-403" }] }))))

  it.effect("goes by the caller's schedule where there is one, however long", () =>
    Effect.gen(function*() {
      const { endedAt, exit } = yield* listened(call(120, { retry: Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 7 })) }), 200)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", attempts: 8 })
      assert.strictEqual(yield* opens, 8)
      assert.closeTo(endedAt, 70_000, 200)
    }).pipe(Effect.provide(simulated({ faults: [{ fault: "unavailable-503" }] }))))

  it.effect("waits longer and longer, at random", () =>
    Effect.gen(function*() {
      const gaps = (entries: ReadonlyArray<FakeTransport.Entry>) => {
        const at = entries.flatMap(({ at, what }) => (what === "open" ? [at] : []))
        return at.slice(1).map((later, i) => later - (at[i] ?? 0))
      }
      yield* listened(call(60), 60)
      const waits = gaps(yield* Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.entries))
      assert.isAbove(waits.length, 8)
      waits.forEach((wait, i) => assert.isAtMost(wait, Math.min(5000, 100 * 2 ** i) + 1))
      assert.isAtLeast(Math.max(...waits), 2500)
    }).pipe(Effect.provide(simulated({ faults: [{ fault: "unavailable-503" }] }))))
})

describe("the budget", () => {
  it.effect("is given back once Flux has told of new words: a call that breaks every few seconds goes on", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(46), 200)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events).join(" ").split(" "), long.map(({ word }) => word))
      assert.isAtLeast(yield* opens, 10)
    }).pipe(Effect.provide(simulated({
      // a turn every two seconds, four words each
      script: Script.make({
        clock: "stamps",
        turns: Array.from({ length: 20 }, (_, at) => ({ at: 1 + at * 2, words: long.slice(at * 4, at * 4 + 4).map(({ word }, i) => ({ word, start: 1 + at * 2 + i / 5, end: 1.15 + at * 2 + i / 5 })) }))
      }),
      faults: [{ fault: "reset", at: 4 }]
    }))))

  it.effect("is used up by an utterance that kills every session, and what was said before is told", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(120), 200)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", attempts: 20, bound: "sessions" })
      assert.deepStrictEqual(turnsOf(events), ["one two three four", "five"])
      assert.strictEqual(yield* opens, 20)
      assert.strictEqual(lines(events).findLast((line) => line.startsWith("EndOfTurn")), "EndOfTurn 1 lost: five")
    }).pipe(Effect.provide(simulated({
      script,
      // the second turn of the call is the first one of every other session
      faults: Array.from({ length: 30 }, (_, session) => ({
        fault: "model-stream-error" as const,
        session,
        turn: session === 0 ? 1 : 0,
        after: 0.3
      }))
    }))))

  it.effect("says what was offered and not heard, when it is used up", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(120), 120)
      const dropped = events.flatMap((event) => (event.type === "AudioDropped" ? [event.audioStart] : []))
      assert.deepStrictEqual(dropped, [0])
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "unavailable-503" }] }))))
})

describe("catching up", () => {
  it.effect("goes at twice real time, and says how far behind it is", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(40), 120)
      const resumed = events.find((event) => event.type === "Resumed")
      // the turn is kept from the start, 4 s after its end it breaks, and twice 4 s later there is another session
      assert.closeTo(resumed?.behindSeconds ?? 0, 8 + 1, 0.5)
      const times = (yield* audioTimes).filter((at) => at >= (resumed?.receivedAt ?? 0))
      const [first = 0] = times
      // of 9 s of audio that waited, and what came meanwhile, at 40 ms a frame
      const span = (times[100] ?? 0) - first
      assert.closeTo(span, 100 * 40, 45)
      assert.deepStrictEqual(turnsOf(events), ["one two three four", "five six"])
      // and then in real time
      const late = times.slice(-50)
      assert.closeTo((late.at(-1) ?? 0) - (late[0] ?? 0), 49 * 80, 85)
    }).pipe(Effect.provide(simulated({
      script,
      faults: [{ fault: "reset", at: 10, session: 0 }, { fault: "error-500", delay: 4000, session: 1 }, { fault: "late-connected", delay: 4000, session: 2 }]
    }))))

  it.effect("begins where the first session comes late, too, and leaves what has hardly waited alone", () =>
    Effect.gen(function*() {
      yield* listened(call(20), 60)
      const times = yield* audioTimes
      // 3 s of audio had waited
      assert.closeTo((times[60] ?? 0) - (times[0] ?? 0), 60 * 40, 45)
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "late-connected", delay: 3000 }] }))))

  it.effect("is none where less than a second has waited", () =>
    Effect.gen(function*() {
      yield* listened(call(5), 60)
      const times = yield* audioTimes
      assert.strictEqual(times.filter((at) => at === times[0]).length, 11)
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "late-connected", delay: 900 }] }))))
})

describe("the end of a call", () => {
  const open = Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ id: "call" }))

  it.effect("while another session is opened: what can be had is delivered", () =>
    Effect.gen(function*() {
      // 3.3 s of audio: the last word is said, and its turn not over
      const { events, exit } = yield* listened(call(3.2), 60)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events), ["one two three four"])
      assert.isTrue(lines(events).includes("Resumed 1"))
    }).pipe(Effect.provide(simulated({
      script,
      faults: [{ fault: "reset", at: 3, session: 0 }, { fault: "late-connected", delay: 5000, session: 1 }]
    }))))

  it.effect("while no other session is to be had: lost, within the bound on draining", () =>
    Effect.gen(function*() {
      const { endedAt, events, exit } = yield* listened(call(3.2, { retry: Schedule.spaced("1 second") }), 60)
      assert.strictEqual(reasonOf(exit) instanceof FluxError.RetriesExhausted, true)
      assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("EndOfTurn")), ["EndOfTurn 0 lost: one two three four"])
      assert.isAtMost(endedAt, 3200 + 15_000 + 2500)
    }).pipe(Effect.provide(simulated({
      script,
      faults: [{ fault: "reset", at: 3.1, session: 0 }, ...Array.from({ length: 60 }, (_, i) => ({ fault: "unavailable-503" as const, session: i + 1 }))]
    }))))

  for (const [at, what] of [["close", "before its tail"], ["end", "after its tail"]] as const) {
    it.effect(`that breaks ${what}: ${at === "close" ? "one more session hears it" : "nothing is missing"}`, () =>
      Effect.gen(function*() {
        const { events, exit } = yield* listened(call(3.2), 60)
        assert.strictEqual(exit._tag, "Success")
        assert.deepStrictEqual(turnsOf(events), ["one two three four"])
        assert.strictEqual(yield* opens, at === "close" ? 2 : 1)
      }).pipe(Effect.provide(simulated({ script, closeMode: "end-of-turn", faults: [{ fault: "drop-socket", at, session: 0 }] }))))
  }

  it.effect("that breaks twice before its tail: lost, with the words that were told", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(3.2), 60)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(lines(events).find((line) => line.startsWith("EndOfTurn")), "EndOfTurn 0 lost: one two three four")
      assert.strictEqual(yield* opens, 2)
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "drop-socket", at: "close" }] }))))

  it.effect("before there has been a session: it does not wait for one for ever, whatever the caller's schedule", () =>
    Effect.gen(function*() {
      const conversation = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) =>
        transcriber.open({ id: "call", retry: Schedule.spaced("4 seconds") }))
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(yield* conversation.status, "opening")
      const finishing = yield* Effect.forkChild(Effect.exit(conversation.finish), { startImmediately: true })
      yield* TestClock.adjust("24 seconds")
      assert.isUndefined(finishing.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(reasonOf(yield* Fiber.join(finishing)), { _tag: "RetriesExhausted" })
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "throttle-429" }] })), Effect.scoped))

  it.effect("by its Scope, while another session is opened: nothing is left", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const conversation = yield* open.pipe(Scope.provide(scope))
      yield* conversation.send(Stamp.audio(0, 16_000))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.isDefined(closing.pollUnsafe())
      assert.strictEqual(yield* conversation.status, "ended")
      const entries = yield* Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.entries)
      assert.strictEqual(entries.filter(({ what }) => what === "disconnect").length, entries.filter(({ what }) => what === "open").length)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(conversation.send(Stamp.audio(0, 100)))))
    }).pipe(Effect.provide(sessions(
      () => onFrame((_, server) => server.fail(lost)),
      () => ({ accept: Effect.never })
    ))))
})

describe("endTurn", () => {
  it.effect("goes on with the next session, where one breaks under it", () =>
    Effect.gen(function*() {
      const conversation = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ id: "call" }))
      const events = yield* Effect.forkChild(Stream.runCollect(conversation.events), { startImmediately: true })
      yield* conversation.send(Stamp.audio(0, 2 * 16_000))
      yield* TestClock.adjust(100)
      const ending = yield* Effect.forkChild(conversation.endTurn, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(ending)
      const finishing = yield* Effect.forkChild(conversation.finish, { startImmediately: true })
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(finishing)
      assert.deepStrictEqual(lines(yield* Fiber.join(events)).filter((line) => !/nnected/.test(line)), [
        "StartOfTurn 0: one",
        "Reconnecting 1: ConnectionLost",
        "Resumed 1",
        "EndOfTurn 0 confirmed: one two"
      ])
    }).pipe(Effect.provide(simulated({ script, faults: [{ fault: "reset", at: 2.3, session: 0 }] })), Effect.scoped))
})
