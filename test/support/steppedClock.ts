/** A clock whose wall time is set while time goes by as before, as a machine's is when it is set right. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** See the module. */
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
