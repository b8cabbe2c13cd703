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
import { lines, speaking, turnsOf } from "../support/conversation.ts"
import * as outage from "../support/outage.ts"
import { reasonOf } from "../support/session.ts"

const word = (text: string, at: number) => ({ word: text, start: at, end: at + 0.4 })
/** One turn is open when the endpoint goes, at 5 s; one is said while it is gone; one after 25 s. */
const script = Script.make({
  clock: "stamps",
  turns: [
    { at: 3.5, words: [word("one", 3.5), word("two", 4), word("three", 4.5), word("four", 5)] },
    { at: 12, words: [word("five", 12), word("six", 12.5)] },
    { at: 28, words: [word("seven", 28), word("eight", 28.5)] }
  ]
})
const said = ["one two three four", "five six", "seven eight"]
const goes = 5
const seconds = 31

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
      const call = speaking(seconds).pipe(
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
    it.effect(`and ${what}: 400 calls go on, no more open at once than may, and no word is lost`, () =>
      Effect.gen(function*() {
        const { ended, seen } = yield* calls(400, {}, { from: goes, to: goes + 20, opening }, 120)
        for (const { events, exit } of ended) {
          assert.strictEqual(exit._tag, "Success", String(exit))
          assert.deepStrictEqual(turnsOf(events), said)
          assert.isFalse(lines(events).includes("AudioDropped"))
        }
        assert.strictEqual(seen.most, 32)
      }), 60_000)
  }
})
