/**
 * A machine whose wall clock is set while a program runs: time goes by as before. By hand, or at moments of TestClock; then
 * how much the wall clock is off is a function of monotonic time, so that what follows a step and what comes before it is
 * never a matter of who runs first.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"

/** One that is set by hand. */
export interface SteppedClock {
  readonly clock: Clock.Clock
  /** Sets the wall time so many ms off the clock that it is made of. */
  readonly setOff: (millis: number) => void
}

/** Made of the clock in use. */
export const make: Effect.Effect<SteppedClock> = Effect.map(Clock.Clock, (base) => {
  let off = 0
  return {
    setOff: (millis) => {
      off = millis
    },
    clock: {
      currentTimeMillisUnsafe: () => base.currentTimeMillisUnsafe() + off,
      currentTimeMillis: Effect.map(base.currentTimeMillis, (millis) => millis + off),
      currentTimeNanosUnsafe: () => base.currentTimeNanosUnsafe() + BigInt(off) * 1_000_000n,
      currentTimeNanos: Effect.map(base.currentTimeNanos, (nanos) => nanos + BigInt(off) * 1_000_000n),
      monotonicTimeNanosUnsafe: () => base.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: base.monotonicTimeNanos,
      sleep: (duration) => base.sleep(duration)
    }
  }
})

/** A step of the wall clock. */
export interface Step {
  /** When, in ms of TestClock; from that very moment on. */
  readonly at: number
  /** How far, in whole ms; below zero is back. */
  readonly by: number
}

/** How far the wall clock is off at some time of TestClock, ms. */
export const offsetAt = (steps: ReadonlyArray<Step>, at: number): number =>
  steps.reduce((sum, step) => step.at <= at ? sum + step.by : sum, 0)

/** Runs a program from time 0 of a TestClock of its own, whose wall clock takes these steps. */
export const withSteps = (steps: ReadonlyArray<Step>) => <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  TestClock.testClockWith((clock) => {
    const off = (): number => offsetAt(steps, Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6)
    const start = clock.monotonicTimeNanosUnsafe()
    const currentTimeMillisUnsafe = (): number => clock.currentTimeMillisUnsafe() + off()
    const currentTimeNanosUnsafe = (): bigint => clock.currentTimeNanosUnsafe() + BigInt(off()) * 1_000_000n
    const stepped: TestClock.TestClock = {
      ...clock,
      currentTimeMillisUnsafe,
      currentTimeNanosUnsafe,
      currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
      currentTimeNanos: Effect.sync(currentTimeNanosUnsafe)
    }
    return Effect.provideService(program, Clock.Clock, stepped)
  }).pipe(Effect.provide(TestClock.layer()))
