/**
 * Time that has gone by, for every age, pace, bound and deadline: the wall clock steps when a machine is set right, and
 * nothing of a call may depend on that.
 */
import type * as Clock from "effect/Clock"

/** Ms of the Clock's monotonic time, with fractions, since a moment that means nothing: only differences do. */
export const millis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
