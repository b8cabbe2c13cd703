/** Time that counts: it runs and pauses, and what is bounded by it is bounded by the running time alone. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as monotonic from "./monotonic.ts"

/** See the module. */
export interface Stopwatch {
  /** Ms of running time so far. */
  readonly elapsed: () => number
  /** Runs from now on; nothing where it does. */
  readonly run: () => void
  /** Stands from now on; nothing where it does. */
  readonly pause: () => void
  /** Suspends until it has run so many ms in all. */
  readonly reach: (millis: number) => Effect.Effect<void>
}

/** A new one, which stands. */
export const make = (clock: Clock.Clock): Stopwatch => {
  const running = Latch.makeUnsafe(false)
  let before = 0
  let since: number | undefined

  const elapsed = (): number => before + (since === undefined ? 0 : monotonic.millis(clock) - since)
  const reach = (millis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = millis - elapsed()
      if (left <= 0) return Effect.void
      // it may pause meanwhile: then some is left
      return since === undefined
        ? Effect.andThen(running.await, reach(millis))
        : Effect.andThen(monotonic.sleep(left), reach(millis))
    })

  return {
    elapsed,
    reach,
    run: () => {
      if (since !== undefined) return
      since = monotonic.millis(clock)
      running.openUnsafe()
    },
    pause: () => {
      before = elapsed()
      since = undefined
      running.closeUnsafe()
    }
  }
}
