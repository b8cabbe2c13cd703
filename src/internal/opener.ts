/** Opens the sessions of a conversation: each within its bounds, all of them within a budget and the permits of all conversations. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import type { FluxError } from "../FluxError.ts"
import type { Settings } from "../FluxSettings.ts"
import { firstOf } from "./bounded.ts"
import type { Budget } from "./budget.ts"
import { isOver, type Live } from "./relay.ts"
import type { OneSession, Purpose, SessionExit } from "./sessionShape.ts"

/** How sessions are opened for one purpose. */
export interface Way {
  readonly purpose: Purpose
  /** How long to wait before the first one, ms. */
  readonly delay?: number | undefined
  readonly permits: Semaphore.Semaphore
  readonly budget: Budget
  readonly settings: () => Settings
  /** What to do with a session before it is opened. */
  readonly prepare: (live: Live) => void
  /** Whether something else was done about a failure than to wait. */
  readonly onFailure: (error: FluxError) => boolean
  /** It is tried again. */
  readonly onRetry: (error: FluxError) => void
  /** Fails when it is no more worth the trying. */
  readonly tooLate?: Effect.Effect<never, FluxError> | undefined
}

/** See the module. */
export interface Opener {
  /** One session, once; completes when it is Connected. It lives in the Scope. */
  readonly once: (scope: Scope.Scope, purpose: Purpose, settings: Settings, prepare: (live: Live) => void) => Effect.Effect<Live, FluxError>
  /** One that is Connected, as often as the budget has it. */
  readonly open: (scope: Scope.Scope, way: Way) => Effect.Effect<Live, FluxError>
  /** Sessions that are not freed yet. */
  readonly lives: () => Iterable<Live>
}

/** A new one. */
export const make = (options: {
  /** Makes a session of some number; `live` is how it is known, from when it runs. */
  readonly session: (settings: Settings, number: number, purpose: Purpose, live: () => Live) => OneSession
  /** How long whatever is interrupted is waited for. */
  readonly patience: () => Settings["disconnectTimeout"]
}): Opener => {
  const lives = new Set<Live>()
  let next = 0

  const launch = (settings: Settings, purpose: Purpose): Live => {
    const number = next++
    const live: Live = {
      number,
      asked: settings,
      up: Deferred.makeUnsafe(),
      over: Deferred.makeUnsafe(),
      session: options.session(settings, number, purpose, () => live)
    }
    lives.add(live)
    return live
  }
  const start = (live: Live, scope: Scope.Scope): Effect.Effect<void> =>
    live.session.run.pipe(
      Effect.annotateLogs({ session: live.number }),
      Effect.ensuring(Effect.sync(() => void lives.delete(live))),
      Effect.forkIn(scope, { startImmediately: true }),
      Effect.map((fiber) => {
        live.fiber = fiber
      })
    )
  const once: Opener["once"] = (scope, purpose, settings, prepare) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const live = launch(settings, purpose)
        prepare(live)
        yield* start(live, scope)
        yield* Effect.onError(restore(Deferred.await(live.up)), () => discard(live, scope))
        return live
      })
    )

  return {
    once,
    lives: () => lives,
    open: (scope, way) => {
      const { budget, purpose } = way
      const wait = (error: FluxError): Effect.Effect<void, FluxError> =>
        Effect.flatMap(budget.next(error), (delay) => {
          way.onRetry(error)
          return Effect.sleep(delay)
        })
      const attempt = Effect.suspend(() => {
        budget.time.run()
        budget.attempt()
        return once(scope, purpose, way.settings(), way.prepare)
      })
      const permitted = Effect.suspend(() => {
        budget.time.pause()
        return Effect.ensuring(way.permits.withPermit(attempt), Effect.sync(budget.time.run))
      })
      const tries: Effect.Effect<Live, FluxError> = Effect.catch(permitted, (error) =>
        Effect.flatMap(way.onFailure(error) ? Effect.void : wait(error), () => tries))
      const opening = way.delay === undefined ? tries : Effect.andThen(Effect.sleep(way.delay), tries)
      const bounds = way.tooLate === undefined ? [budget.expiry] : [budget.expiry, way.tooLate]
      return Effect.suspend(() => {
        budget.time.run()
        return Effect.ensuring(firstOf([opening, ...bounds], options.patience()), Effect.sync(budget.time.pause))
      })
    }
  }
}

/** Frees a session that is not wanted, in a Scope, without waiting for it. */
export const discard = (live: Live, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { fiber } = live
    if (fiber === undefined || isOver(live)) return Effect.void
    // its end is not that of the turn
    live.session.retire()
    live.session.scopeClosing()
    return Effect.asVoid(Effect.forkIn(Fiber.interrupt(fiber), scope, { startImmediately: true }))
  })

/** What a session tells of its end. */
export const settle = (live: Live, exit: SessionExit): void => {
  Deferred.doneUnsafe(live.over, exit)
  // last, as whoever has opened it goes on right here
  Deferred.doneUnsafe(live.up, exit)
}

/** A session is Connected. */
export const ready = (live: Live): void => void Deferred.doneUnsafe(live.up, Exit.void)
