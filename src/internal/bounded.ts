/** Bounds that hold even where a foreign effect, such as an embedder's transport, refuses to be interrupted. */
import * as Deferred from "effect/Deferred"
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

/**
 * Runs effects beside each other until the first one ends, and ends as that one did. The others are interrupted and
 * awaited, for at most a duration.
 */
export const firstOf = <A, E, R>(
  effects: ReadonlyArray<Effect.Effect<A, E, R>>,
  patience: Duration.Input
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const first = Deferred.makeUnsafe<A, E>()
      const fibers: Array<Fiber.Fiber<A, E>> = []
      for (const effect of effects) {
        const fiber = yield* Effect.forkDetach(Effect.interruptible(effect), { startImmediately: true })
        fiber.addObserver((exit) => void Deferred.doneUnsafe(first, exit))
        fibers.push(fiber)
      }
      const exit = yield* Effect.exit(restore(Deferred.await(first)))
      const self = yield* Effect.fiberId
      for (const fiber of fibers) fiber.interruptUnsafe(self)
      // most often there is nothing to wait for
      if (fibers.some((fiber) => fiber.pollUnsafe() === undefined)) yield* attempt(Fiber.awaitAll(fibers), patience)
      return yield* exit
    })
  )
