/**
 * Other sessions in the place of those that grow old, and of those that cannot have the settings that are wanted: the next
 * one is Connected first, and takes over where no turn is open, or at the latest when the old one has to go.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import * as FluxError from "../FluxError.ts"
import * as budgets from "./budget.ts"
import * as monotonic from "./monotonic.ts"
import { discard, type Opener } from "./opener.ts"
import { isOver, type Live, type Relay } from "./relay.ts"
import type { SessionLimit } from "./sessionLimit.ts"
import * as telemetry from "./telemetry.ts"
import type { WantedSettings } from "./wantedSettings.ts"

/** A turn that goes on is carried over when its session is so much older than it should be. */
const reserve = 1.16
const jitter = 0.1
/** The same where the one that was to follow broke while it waited, at first; it doubles. */
const firstPause = 100
/** How long to wait where no session could be had in the place of one that grows old, ms. */
const patience = 10_000

/** A supervised fiber of a conversation; fails when a session is too old and none is to be had, which is retired then. */
export const run = (options: {
  readonly relay: Relay
  readonly opener: Opener
  readonly wanted: WantedSettings
  readonly permits: Semaphore.Semaphore
  /** Where sessions live. */
  readonly scope: Scope.Scope
  readonly clock: Clock.Clock
  /** Counts the sessions of the call; those that take over as planned are none of them. */
  readonly sessionLimit: SessionLimit
  readonly random: () => number
  /** For metrics. */
  readonly context: Context.Context<never>
  /** No more audio comes: the session in hand will do. */
  readonly isEnding: () => boolean
  /** The session in hand is given up; said before it is retired. */
  readonly onTooOld: (error: FluxError.FluxError) => void
}): Effect.Effect<never, FluxError.FluxError> => {
  const { clock, opener, relay, scope, sessionLimit, wanted } = options
  const now = (): number => monotonic.millis(clock)

  /** The one that is opened, until it waits: whoever is interrupted here must not leave it behind, up and unwatched. */
  let coming: Live | undefined
  const letGo: Effect.Effect<void> = Effect.suspend(() => {
    const live = coming
    coming = undefined
    return live === undefined ? Effect.void : discard(live, scope)
  })

  /** How many in a row broke while they waited. */
  let broken = 0

  /** A session with the settings that are wanted now, at most until some time. Settings that are new may be what it is refused for. */
  const next = (until: number, isWanted: boolean): Effect.Effect<Live, FluxError.FluxError> => {
    const settings = wanted.get()
    const opening = opener.open(scope, {
      purpose: "rotation",
      permits: options.permits,
      budget: budgets.make({
        clock,
        wasConnected: () => true,
        suspectsSettings: () => isWanted,
        sessions: sessionLimit
      }),
      settings: () => settings,
      prepare: (live) => {
        coming = live
      },
      onFailure: () => false,
      onRetry: () => {}
    })
    return Number.isFinite(until)
      ? Effect.timeoutOrElse(opening, { duration: Math.max(0, until - now()), orElse: () => Effect.fail(tooOld()) })
      : opening
  }
  /** Until the one that waits has taken over, or is over, or the old one has to go. */
  const waited = (live: Live, last: number) =>
    Effect.gen(function*() {
      const taken = relay.changed
      coming = undefined
      relay.wait(live)
      if (!relay.isWaiting(live)) return
      yield* Effect.timeoutOption(Effect.raceFirst(taken, Effect.exit(Deferred.await(live.over))), Math.max(0, last - now()))
      if (!relay.isWaiting(live)) return
      relay.takeWaiting()
      if (!isOver(live)) relay.takeOver(live)
    })

  const once = (old: Live) =>
    Effect.gen(function*() {
      const isWanted = yield* wanted.reconcile
      const age = Duration.toMillis(old.session.settings().maxSessionAge)
      const born = old.session.acceptedAt() ?? now()
      const due = born + age * (1 - jitter + 2 * jitter * options.random())
      const last = born + age * reserve
      if (!isWanted) {
        yield* Effect.timeoutOption(wanted.asked, Math.max(0, due - now()))
        if (now() < due) return
      }
      if (options.isEnding()) return yield* Effect.never
      if (!isWanted && sessionLimit.isReached() && now() < last) return yield* Effect.sleep(Math.min(patience, last - now()))
      if (!isWanted && now() >= last) {
        const error = tooOld()
        // first, as the one that retires may be over right here
        options.onTooOld(error)
        old.session.retire()
        return yield* error
      }
      const opened = yield* Effect.exit(next(isWanted ? Number.POSITIVE_INFINITY : last, isWanted))
      if (Exit.isFailure(opened)) {
        yield* letGo
        // a transport that breaks does no harm to a session that is well
        if (isWanted) return wanted.giveUp(errorOf(opened))
        // the session in hand is as good as any, as long as it lives
        return yield* Effect.sleep(Math.max(0, Math.min(patience, last - now())))
      }
      const live = opened.value
      // what was wanted meanwhile needs yet another one
      if (!wanted.fits(live)) return yield* letGo
      telemetry.reconnectsBy(isWanted ? "settings" : "age").updateUnsafe(1, options.context)
      yield* waited(live, last)
      if (relay.current() === live) {
        broken = 0
      } else if (isOver(live)) {
        sessionLimit.note()
        if (isWanted && sessionLimit.isReached()) return wanted.giveUp(budgets.outOfSessions(errorOf(yield* Effect.exit(Deferred.await(live.over)))))
        // an endpoint may throttle after Connected, and then every one of them
        yield* Effect.sleep(Math.max(0, Math.min(patience, firstPause * 2 ** broken++, last - now())))
      }
    })

  const all = Effect.forever(Effect.suspend(() => {
    const old = relay.current()
    return old === undefined ? Effect.never : once(old)
  }))
  return Effect.ensuring(all, letGo)
}

const errorOf = (exit: Exit.Exit<unknown, FluxError.FluxError>): FluxError.FluxError =>
  Option.getOrElse(Exit.findErrorOption(exit), () => FluxError.make(new FluxError.ConnectionLost({ detail: "the session died" }), "open"))

const tooOld = (): FluxError.FluxError =>
  FluxError.make(new FluxError.ConnectionLost({ detail: "the session has reached its age, and none could be had in its place" }), "streaming")
