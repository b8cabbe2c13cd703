/** Counts the fibers and timers that effects leave behind, on TestClock. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** See the module. */
export interface Census {
  /** Runs an effect whose fibers and sleeps are counted, and those of all that it forks. */
  readonly count: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Those that are alive. */
  readonly fibers: () => number
  readonly timers: () => number
}

/** A new one. */
export const make: Effect.Effect<Census> = Effect.map(Clock.Clock, (clock) => {
  let fibers = 0
  let timers = 0
  const counting: Clock.Clock = {
    ...clock,
    sleep: (duration) =>
      Effect.suspend(() => {
        timers += 1
        return Effect.ensuring(clock.sleep(duration), Effect.sync(() => {
          timers -= 1
        }))
      })
  }
  return {
    count: (effect) =>
      effect.pipe(
        Effect.provideService(Clock.Clock, counting),
        Effect.provideService(Metric.FiberRuntimeMetrics, {
          recordFiberStart: () => {
            fibers += 1
          },
          recordFiberEnd: () => {
            fibers -= 1
          }
        })
      ),
    fibers: () => fibers,
    timers: () => timers
  }
})

/** Runs an effect of the server's, or of the user's, within that of a session: it is not counted. */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock.Clock): Effect.Effect<A, E, R> =>
  effect.pipe(Effect.provideService(Clock.Clock, clock), Effect.provideService(Metric.FiberRuntimeMetrics, undefined))
