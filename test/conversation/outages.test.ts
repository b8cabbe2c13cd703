/** Many calls whose endpoint goes away at once, and comes back or not: no call is lost that need not be, and none hangs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { lines, listened, speaking, spoken, turnsOf } from "../support/conversation.ts"
import * as outage from "../support/outage.ts"
import { reasonOf } from "../support/session.ts"

const word = (text: string, at: number) => ({ word: text, start: at, end: at + 0.4 })
/** Said at these seconds of the call's audio. */
const script = Script.make({
  clock: "stamps",
  turns: [
    { at: 1, words: [word("one", 1), word("two", 1.5), word("three", 2), word("four", 2.5)] },
    { at: 4.5, words: [word("five", 4.5), word("six", 5)] },
    { at: 7.5, words: [word("seven", 7.5), word("eight", 8)] }
  ]
})
/** Of each outage; FLUX_OUTAGE_CALLS=400 takes minutes. */
const many = Number(process.env["FLUX_OUTAGE_CALLS"] ?? 64)
const said = ["one two three four", "five six", "seven eight"]
/** One turn is open when the endpoint goes; one is said while it is gone; one later. */
const goes = 2
const speech = Stream.concat(spoken(0, 4), Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep("11 seconds"))), Stream.concat(
  spoken(4, 7),
  Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep("14 seconds"))), spoken(7, 10))
)))

const failing = (reason: FluxError.Reason) => Effect.fail(FluxError.make(reason, "open"))
const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
const causes: Readonly<Record<string, Effect.Effect<never, FluxError.FluxError>>> = {
  "takes connections and says nothing": Effect.never,
  "answers 503": failing(new FluxError.ServiceUnavailable({ status: 503, detail: "no capacity" })),
  "answers 424": failing(new FluxError.Rejected({ detail: "Failed to establish WebSocket connection" })),
  throttles: failing(new FluxError.Throttled({ detail: "Rate exceeded" })),
  "is not there": failing(new FluxError.ConnectFailed({ target: "host", cause: refused }))
}

interface Ended {
  readonly events: ReadonlyArray<FluxEvent>
  readonly exit: Exit.Exit<void, FluxError.FluxError>
  /** ms on the Clock. */
  readonly at: number
}
/** That many calls, all begun at once, until all are over. */
const calls = (count: number, options: Transcriber.Options, out: outage.Outage, most: number) => {
  const seen = outage.start()
  const run = Effect.gen(function*() {
    let now = 0
    const fibers: Array<Fiber.Fiber<Ended>> = []
    for (let i = 0; i < count; i++) {
      const events: Array<FluxEvent> = []
      const call = speech.pipe(
        Transcriber.transcribe({ id: `call-${i}` }),
        Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
        Effect.exit,
        Effect.map((exit) => ({ events, exit, at: now }))
      )
      fibers.push(yield* Effect.forkChild(call, { startImmediately: true }))
    }
    while (fibers.some((fiber) => fiber.pollUnsafe() === undefined)) {
      assert.isBelow(now, most * 1000, "hangs")
      now += 100
      yield* TestClock.adjust(100)
    }
    return { seen, ended: yield* Effect.forEach(fibers, Fiber.join) }
  })
  return Random.withSeed(run, "outage").pipe(Effect.provide(Transcriber.layerWith(options).pipe(
    Layer.provide(outage.layer(out, seen)),
    Layer.provide(FakeTransport.layer({ script })),
    Layer.provide(FluxSettings.layer())
  )))
}

describe("an endpoint that is out for 20 s", () => {
  for (const [what, opening] of Object.entries(causes)) {
    it.effect(`and ${what}: all calls go on, no more open at once than may, and no word is lost`, () =>
      Effect.gen(function*() {
        // the worst of them, as each attempt takes its 5 s
        const count = opening === Effect.never ? 400 : many
        const { ended, seen } = yield* calls(count, {}, { from: goes, to: goes + 20, opening }, 120)
        for (const { events, exit } of ended) {
          assert.strictEqual(exit._tag, "Success", String(exit))
          assert.deepStrictEqual(turnsOf(events), said)
          assert.isFalse(lines(events).includes("AudioDropped"))
        }
        assert.isAtMost(seen.most, 32)
        // an attempt in the place of a session that broke has 5 s: 32 of them every 5 s, and those of the first sessions
        if (opening === Effect.never) assert.strictEqual(seen.at.filter((at) => at >= goes * 1000 && at < (goes + 20) * 1000).length, 4 * 32)
      }), 300_000)
  }
})

describe("an endpoint that is out for 40 s", () => {
  for (const [what, opening] of Object.entries(causes)) {
    it.effect(`and ${what}: each call is given up after 30 s, its turn is lost, and it says what was not heard`, () =>
      Effect.gen(function*() {
        // who waits for a permit is not given up: here nobody has to
        const { ended } = yield* calls(many, { recoveries: many }, { from: goes, to: goes + 40, opening }, 60)
        for (const { at, events, exit } of ended) {
          assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", bound: "time" })
          assert.isTrue(events.some((event) => event.type === "EndOfTurn" && event.turn === 0 && event.ending === "lost"))
          assert.isTrue(lines(events).includes("AudioDropped"))
          assert.isAtLeast(at, (goes + 29) * 1000)
          assert.isAtMost(at, (goes + 30) * 1000 + 500)
        }
      }), 300_000)
  }

  it.effect("while others wait for a permit: nobody is given up without 30 s of trying", () =>
    Effect.gen(function*() {
      const { ended } = yield* calls(64, { recoveries: 8 }, { from: goes, to: goes + 40, opening: Effect.never }, 120)
      // 8 at a time for 5 s each: five of the 64 tries of a first round, and then the endpoint is there again
      for (const { events, exit } of ended) {
        assert.strictEqual(exit._tag, "Success", String(exit))
        assert.deepStrictEqual(turnsOf(events), said)
      }
    }), 300_000)
})

describe("an endpoint that dies every 2 s for ten minutes", () => {
  it.effect("has 20 sessions of a call at most, whatever progress they make; what was heard again is told", () =>
    Effect.gen(function*() {
      const seen = outage.start()
      const { endedAt, events, exit } = yield* listened(speaking(620).pipe(Transcriber.transcribe({ id: "call" })), 700).pipe(
        Effect.provide(Transcriber.layer.pipe(
          Layer.provide(outage.layer({ from: Infinity, to: Infinity, opening: Effect.never }, seen)),
          Layer.provideMerge(FakeTransport.layer({
            // a word a second, so that there is progress each time
            script: Script.make({
              clock: "stamps",
              turns: Array.from({ length: 300 }, (_, i) => ({ at: 1 + 2 * i, words: [word(`a${i}`, 1 + 2 * i), word(`b${i}`, 1.5 + 2 * i)] }))
            }),
            faults: [{ fault: "lifetime", seconds: 2 }]
          })),
          Layer.provide(FluxSettings.layer())
        ))
      )
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", bound: "sessions", attempts: 20 })
      assert.match(String(exit), /Gave up after 20 sessions within 10 minutes/)
      assert.strictEqual(seen.opens, 20)
      // 2 s each, and the waits between them
      assert.isAtLeast(endedAt, 20 * 2000)
      assert.isAtMost(endedAt, 20 * 2000 + 19 * 200)
      const usage = events.flatMap((event) => (event.type === "EndOfTurn" || event.type === "Disconnected" ? [event.usage] : []))
      const sum = (of: (one: (typeof usage)[number]) => number) => usage.reduce((all, one) => all + of(one), 0)
      const reached = Math.max(...events.flatMap((event) => ("audioEnd" in event ? [event.audioEnd] : [])))
      const heardOnce = sum(({ audioSeconds }) => audioSeconds) - sum(({ replayedSeconds = 0 }) => replayedSeconds)
      // what was heard for the first time is the call, once, up to where it was told of or a little later
      assert.isAtLeast(heardOnce, reached - 0.1)
      assert.isAtMost(heardOnce, reached + 2)
      assert.isAbove(sum(({ replayedSeconds = 0 }) => replayedSeconds), 5)
    }))
})
