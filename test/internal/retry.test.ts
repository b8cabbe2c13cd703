/** The schedule of the default, as anybody can use it. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { fork } from "../support/session.ts"

const gone = FluxError.make(new FluxError.ConnectionLost({ detail: "gone" }), "streaming")

/** When something that always fails at once was tried, ms. */
const tries = (schedule: Schedule.Schedule<unknown, FluxError.FluxError>) =>
  Effect.gen(function*() {
    const at: Array<number> = []
    const failing = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      at.push(now)
      return Effect.fail(gone)
    })
    const trying = yield* fork(Effect.exit(Effect.retry(failing, schedule)))
    for (let waited = 0; trying.pollUnsafe() === undefined && waited < 120_000; waited += 100) yield* TestClock.adjust(100)
    assert.deepStrictEqual(yield* Fiber.join(trying), Exit.fail(gone))
    return at
  })

describe("the default", () => {
  for (const seed of ["a", "b", "c", "d", "e"]) {
    it.effect(`waits at random within what doubles from 100 ms to 5 s, for 30 s: ${seed}`, () =>
      Effect.gen(function*() {
        const at = yield* tries(Transcriber.defaultRetry)
        for (const [index, began] of at.slice(0, -1).entries()) {
          assert.isBelow((at[index + 1] ?? 0) - began, Math.min(5000, 100 * 2 ** index))
        }
        // the last one begins within the time, or by a wait that began within it
        assert.isAtLeast(at.at(-1) ?? 0, 25_000)
        assert.isBelow(at.at(-1) ?? 0, 35_000)
      }).pipe(Random.withSeed(seed)))
  }

  it.effect("draws its waits from all of that", () =>
    Effect.gen(function*() {
      const shares: Array<number> = []
      for (let run = 0; run < 40; run++) {
        const at = yield* tries(Transcriber.defaultRetry)
        for (const [index, began] of at.slice(0, -1).entries()) shares.push(((at[index + 1] ?? 0) - began) / Math.min(5000, 100 * 2 ** index))
      }
      // full jitter: a quarter of them in each quarter
      for (const quarter of [0, 1, 2, 3]) {
        const within = shares.filter((share) => share >= quarter / 4 && share < (quarter + 1) / 4).length
        assert.closeTo(within / shares.length, 0.25, 0.06)
      }
    }).pipe(Random.withSeed("shares")))

  it.effect("can be bounded further, and used again", () =>
    Effect.gen(function*() {
      const thrice = Transcriber.defaultRetry.pipe(Schedule.upTo({ times: 3 }))
      for (const _ of [1, 2]) assert.strictEqual((yield* tries(thrice)).length, 4)
    }).pipe(Random.withSeed("thrice")))
})
