/**
 * Time that has gone by, for every age, pace, bound and deadline: the wall clock steps when a machine is set right, and
 * nothing of a call may depend on that.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Ms of the Clock's monotonic time, with fractions, since a moment that means nothing: only differences do. */
export const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/**
 * Sleeps for so many ms, and not less: what is left below a ms may be less than a clock can tell, and whoever looks again
 * until a time has come would look for ever.
 */
export const sleep = (millis: number): Effect.Effect<void> => Effect.sleep(Math.ceil(millis))

/** Ms since 1970, for times that are told and subtracted: the wall clock as it stood when this was made, and what has gone by. */
export const dated = (clock: Clock.Clock): () => number => {
  const wall = clock.currentTimeMillisUnsafe()
  const start = millis(clock)
  // whole ms, as of the wall clock
  return () => wall + Math.round(millis(clock) - start)
}
