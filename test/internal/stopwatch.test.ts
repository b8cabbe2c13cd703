/** Time that counts while it runs, and what is bounded by it. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as stopwatches from "../../src/internal/stopwatch.ts"
import { fork } from "../support/session.ts"
import * as steppedClock from "../support/steppedClock.ts"

const make = Effect.map(Clock.Clock, stopwatches.make)

describe("time", () => {
  it.effect("stands at first, and counts from run to pause, however often each is said", () =>
    Effect.gen(function*() {
      const time = yield* make
      yield* TestClock.adjust(1000)
      time.pause()
      assert.strictEqual(time.elapsed(), 0)
      time.run()
      yield* TestClock.adjust(300)
      time.run()
      yield* TestClock.adjust(40)
      assert.strictEqual(time.elapsed(), 340)
      time.pause()
      yield* TestClock.adjust(5000)
      time.pause()
      assert.strictEqual(time.elapsed(), 340)
      time.run()
      yield* TestClock.adjust(2)
      assert.strictEqual(time.elapsed(), 342)
    }))

  it.effect("is what has gone by, also where the wall clock is set meanwhile", () =>
    Effect.gen(function*() {
      const { clock, setOff } = yield* steppedClock.make
      const time = stopwatches.make(clock)
      time.run()
      yield* TestClock.adjust(100)
      setOff(-3_600_000)
      yield* TestClock.adjust(100)
      time.pause()
      setOff(3_600_000)
      assert.strictEqual(time.elapsed(), 200)
    }))
})

describe("reach", () => {
  it.effect("completes at once where it has run so long, running or not", () =>
    Effect.gen(function*() {
      const time = yield* make
      yield* time.reach(0)
      yield* time.reach(-1)
      time.run()
      yield* TestClock.adjust(100)
      yield* time.reach(100)
      time.pause()
      yield* time.reach(100)
    }))

  it.effect("takes the running time alone, over any number of stretches", () =>
    Effect.gen(function*() {
      const time = yield* make
      const reaching = yield* fork(time.reach(1000))
      const isThere = () => reaching.pollUnsafe() !== undefined
      // stands when it is asked for
      yield* TestClock.adjust(5000)
      for (const stretch of [100, 200, 300]) {
        time.run()
        yield* TestClock.adjust(stretch)
        time.pause()
        // longer than what is left: who sleeps wakes while it stands
        yield* TestClock.adjust(5000)
        assert.isFalse(isThere())
      }
      time.run()
      yield* TestClock.adjust(399)
      assert.isFalse(isThere())
      yield* TestClock.adjust(1)
      assert.isTrue(isThere())
    }))

  it.effect("is asked for by as many as like, each with a time of its own; who is interrupted leaves the others alone", () =>
    Effect.gen(function*() {
      const time = yield* make
      time.run()
      const [first, second, third] = [yield* fork(time.reach(100)), yield* fork(time.reach(200)), yield* fork(time.reach(300))]
      const there = () => [first, second, third].map((fiber) => fiber.pollUnsafe() !== undefined)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(there(), [true, false, false])
      time.pause()
      yield* TestClock.adjust(1000)
      yield* Fiber.interrupt(second)
      time.run()
      yield* TestClock.adjust(199)
      assert.deepStrictEqual(there(), [true, true, false])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(there(), [true, true, true])
    }))
})
