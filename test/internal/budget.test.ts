/** How often, for how long and how fast a session is tried for. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import * as budgets from "../../src/internal/budget.ts"
import { errorOf, reasonOf } from "../support/session.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

const gone = new FluxError.ConnectionLost({ detail: "gone" })
const lost = FluxError.make(gone, "streaming")
const refusal = new FluxError.Rejected({ detail: "no" })
const rejected = FluxError.make(refusal, "open")
const told = (end: number, transcript: string) => turnInfoOf({ audio_window_end: end, transcript })
/** On TestClock; `random` gives the same number each time. */
const make = (options: { readonly random?: number; readonly retry?: budgets.Retry } = {}) =>
  Effect.map(Clock.Clock, (clock) =>
    budgets.make({ now: () => clock.currentTimeMillisUnsafe(), random: () => options.random ?? 0.5, retry: options.retry }))
/** One session that fails: how long to wait for the next one. */
const failing = (budget: budgets.Budget, error: FluxError.FluxError = lost) =>
  Effect.suspend(() => {
    budget.attempt()
    return Effect.exit(budget.next(error))
  })
const delays = Effect.fnUntraced(function*(budget: budgets.Budget, count: number, error: FluxError.FluxError = lost) {
  const all: Array<number> = []
  for (let i = 0; i < count; i++) {
    const exit = yield* failing(budget, error)
    all.push(Exit.isSuccess(exit) ? exit.value : Number.NaN)
  }
  return all
})
/** Gives what was spent back. */
const progressAt = (budget: budgets.Budget, end: number): void => budget.take(told(end, "word"))

describe("attempts", () => {
  it.effect("are five, with twice as long between two each time, and the last one says how many", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      assert.deepStrictEqual(yield* delays(budget, 4), [50, 100, 200, 400])
      assert.strictEqual(budget.attempts(), 4)
      const exit = yield* failing(budget)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", attempts: 5, last: gone })
      assert.strictEqual(errorOf(exit)?.stage, "streaming")
    }))

  it.effect("wait for anything from nothing to that long", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* delays(yield* make({ random: 0 }), 4), [0, 0, 0, 0])
      assert.deepStrictEqual(yield* delays(yield* make({ random: 0.99 }), 4), [99, 198, 396, 792])
    }))

  it.effect("are three where the container refuses, whatever came between", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      assert.deepStrictEqual(yield* delays(budget, 1, rejected), [50])
      assert.deepStrictEqual(yield* delays(budget, 1), [100])
      assert.deepStrictEqual(yield* delays(budget, 1, rejected), [200])
      assert.deepInclude(reasonOf(yield* failing(budget, rejected)), { _tag: "RetriesExhausted", attempts: 4, last: refusal })
    }))

  it.effect("are one where no other session would cure it, and where nobody tried again", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      const denied = FluxError.make(new FluxError.InvalidRequest({ status: 400, detail: "no" }), "open")
      assert.strictEqual(errorOf(yield* failing(budget, denied)), denied)
      assert.strictEqual(errorOf(yield* failing(yield* make({ retry: Schedule.recurs(0) }))), lost)
      // also after others that would have been
      yield* delays(budget, 2)
      assert.strictEqual(errorOf(yield* failing(budget, denied)), denied)
    }))

  it.effect("that were used up by somebody else are not wrapped again", () =>
    Effect.gen(function*() {
      const budget = yield* make({ retry: Schedule.recurs(1) })
      yield* delays(budget, 1)
      const exhausted = FluxError.make(new FluxError.RetriesExhausted({ attempts: 5, last: gone }), "open")
      budget.attempt()
      assert.strictEqual(errorOf(yield* Effect.exit(budget.next(exhausted))), exhausted)
    }))
})

describe("progress", () => {
  for (const [what, until, transcript, isProgress] of [
    ["words one second in", 1, "word", true],
    ["words before that", 0.99, "word", false],
    ["silence ten seconds in", 10, "", true],
    ["silence before that", 9.99, "", false]
  ] as const) {
    it.effect(`is ${isProgress ? "" : "not "}${what}`, () =>
      Effect.gen(function*() {
        const budget = yield* make()
        yield* delays(budget, 3)
        budget.take(told(until, transcript))
        assert.strictEqual(budget.attempts(), isProgress ? 0 : 3)
        assert.deepStrictEqual(yield* delays(budget, 1), [isProgress ? 50 : 400])
      }))
  }

  it.effect("is what is later by so much than all before: an utterance that is heard again and again is none", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      progressAt(budget, 20)
      for (const end of [18, 20, 20.9]) {
        yield* delays(budget, 1)
        progressAt(budget, end)
      }
      assert.strictEqual(budget.attempts(), 3)
      progressAt(budget, 21)
      assert.strictEqual(budget.attempts(), 0)
      // audio of which no words came is told of every 240 ms, and counts from where words or it last did
      yield* delays(budget, 1)
      budget.take(told(29.9, ""))
      assert.strictEqual(budget.attempts(), 1)
      budget.take(told(30, ""))
      assert.strictEqual(budget.attempts(), 0)
    }))

  it.effect("gives refusals and time back, too, and forgets the last failure", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      yield* delays(budget, 2, rejected)
      budget.down()
      yield* TestClock.adjust(20_000)
      budget.up()
      progressAt(budget, 5)
      assert.deepStrictEqual(yield* delays(budget, 2, rejected), [50, 100])
      progressAt(budget, 10)
      budget.down()
      const expiring = yield* Effect.forkChild(Effect.exit(budget.expiry), { startImmediately: true })
      yield* TestClock.adjust(29_999)
      assert.isUndefined(expiring.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepInclude(reasonOf(yield* Fiber.join(expiring)), { _tag: "ConnectTimeout", seconds: 30 })
    }))

  it.effect("begins the caller's schedule anew", () =>
    Effect.gen(function*() {
      const budget = yield* make({ retry: Schedule.exponential(100).pipe(Schedule.upTo({ times: 3 })) })
      assert.deepStrictEqual(yield* delays(budget, 3), [100, 200, 400])
      progressAt(budget, 1)
      assert.deepStrictEqual(yield* delays(budget, 3), [100, 200, 400])
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 4 })
    }))
})

describe("time", () => {
  it.effect("is that without a session: 30 s in all, over as many gaps as there are", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      budget.down()
      yield* TestClock.adjust(10_000)
      // it is down since then, however often that is said
      budget.down()
      yield* TestClock.adjust(5000)
      budget.up()
      budget.up()
      // a session that lives costs nothing
      yield* TestClock.adjust(60_000)
      budget.down()
      const expiring = yield* Effect.forkChild(Effect.exit(budget.expiry), { startImmediately: true })
      yield* TestClock.adjust(14_999)
      assert.isUndefined(expiring.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isDefined(expiring.pollUnsafe())
    }))

  it.effect("is not waited out where the next try would come after it", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      budget.down()
      yield* TestClock.adjust(29_949)
      // 50 ms, and 51 left
      assert.deepStrictEqual(yield* delays(budget, 1), [50])
      yield* TestClock.adjust(1)
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 2 })
    }))

  it.effect("that is up says what the last session failed with, and how many there were", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      assert.deepInclude(budget.exhausted().reason, { _tag: "ConnectTimeout", stage: "open", seconds: 30 })
      yield* delays(budget, 1)
      assert.strictEqual(budget.exhausted(), lost)
      yield* delays(budget, 1, rejected)
      assert.deepInclude(budget.exhausted().reason, { _tag: "RetriesExhausted", attempts: 2, last: refusal })
    }))

  it.effect("is the caller's own where there is a schedule: it is told the failures, and how long they took", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const retry = Schedule.spaced(7000).pipe(
        Schedule.setInputType<FluxError.FluxError>(),
        Schedule.while(({ elapsed, input }) => {
          seen.push(`${input.reason._tag} ${elapsed}`)
          return elapsed < 100_000
        })
      )
      const budget = yield* make({ retry })
      budget.down()
      const expiring = yield* Effect.forkChild(budget.expiry, { startImmediately: true })
      for (let i = 0; i < 10; i++) {
        assert.deepStrictEqual(yield* delays(budget, 1, i === 0 ? rejected : lost), [7000])
        yield* TestClock.adjust(10_000)
      }
      assert.isUndefined(expiring.pollUnsafe())
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 11 })
      assert.deepStrictEqual(seen.slice(0, 2), ["Rejected 0", "ConnectionLost 10000"])
      yield* Fiber.interrupt(expiring)
    }))
})
