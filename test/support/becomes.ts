/** Waiting, in real time, for what the other side does a moment later. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Looks until it is as expected, for three seconds at the most; then it has to be. */
export const becomes = (what: string, now: Effect.Effect<unknown>, expected: unknown): Effect.Effect<void> =>
  Effect.repeat(now, {
    until: (value) => value === expected,
    schedule: Schedule.upTo(Schedule.spaced("10 millis"), { times: 300 })
  }).pipe(
    Effect.andThen(now),
    Effect.map((value) => assert.strictEqual(value, expected, what))
  )
