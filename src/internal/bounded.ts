/** A bound on one step of closing. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

/**
 * Runs a step for at most a duration and never fails: whether it was done in time. A step that refuses to be
 * interrupted is left behind, so that closing goes on.
 */
export const attempt = <A, E, R>(
  step: Effect.Effect<A, E, R>,
  duration: Duration.Input
): Effect.Effect<boolean, never, R> =>
  Effect.uninterruptible(
    Effect.gen(function*() {
      const fiber = yield* Effect.forkDetach(Effect.interruptible(step), { startImmediately: true })
      const done = yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), duration)
      if (Option.isSome(done)) return true
      yield* Effect.forkDetach(Fiber.interrupt(fiber), { startImmediately: true })
      return false
    })
  )
