/**
 * The settings that a conversation wants, whichever session it has: they are brought into force by the running one, by the
 * next one, or are given up as a whole, back to those that were in force.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as FluxError from "../FluxError.ts"
import type { Settings } from "../FluxSettings.ts"
import { isOver, type Live } from "./relay.ts"
import { type Change, changedKeys } from "./settingsChange.ts"

/** How they came into force: by the session in hand, or by another one. */
export type How = "configured" | "rotated"

/** See the module. */
export interface WantedSettings {
  /** What a session that is opened now should have. */
  readonly get: () => Settings
  /** Wants what is made of them at that moment; completes when it is in force. */
  readonly change: (next: Change) => Effect.Effect<How, FluxError.FluxError>
  /** Suspends until somebody wants what the session in hand does not have. */
  readonly asked: Effect.Effect<void>
  /** Brings the session in hand to what is wanted, as far as it goes; whether another one is needed. */
  readonly reconcile: Effect.Effect<boolean>
  /** Whether a session has, or can have, what is wanted. */
  readonly fits: (live: Live) => boolean
  /** A session has taken these. */
  readonly inForce: (settings: Settings) => void
  /** They cannot be had: back to those in force. */
  readonly giveUp: (error: FluxError.FluxError) => void
  /** A session could not be opened: whether that was for what was changed, which is given up then. */
  readonly blame: (error: FluxError.FluxError) => boolean
  /** The conversation is over. */
  readonly stop: (error: FluxError.FluxError) => void
}

/** A new one. */
export const make = (options: {
  readonly initial: Settings
  readonly current: () => Live | undefined
  /** Whether audio may still come. */
  readonly isEnding: () => boolean
}): WantedSettings => {
  const { current } = options
  let wanted = options.initial
  /** As the last session had them when Flux took them. */
  let inForce = options.initial
  let waiters: Array<Deferred.Deferred<How, FluxError.FluxError>> = []
  let stopped: FluxError.FluxError | undefined
  const asked = Latch.makeUnsafe(false)

  const settle = (exit: Exit.Exit<How, FluxError.FluxError>): void => {
    const all = waiters
    waiters = []
    for (const waiter of all) Deferred.doneUnsafe(waiter, exit)
  }
  const ask: Effect.Effect<How, FluxError.FluxError> = Effect.suspend(() => {
    if (stopped !== undefined) return Effect.fail(stopped)
    const waiter = Deferred.makeUnsafe<How, FluxError.FluxError>()
    waiters.push(waiter)
    asked.openUnsafe()
    return Deferred.await(waiter)
  })
  const fits = (live: Live): boolean => {
    const { configure, session } = live.session.obstacles(wanted)
    return configure.length === 0 && session.length === 0
  }
  const giveUp = (error: FluxError.FluxError): void => {
    const names = changedKeys(inForce, wanted)
    wanted = inForce
    if (names.length > 0) current()?.session.tell({ type: "SettingsRejected", settings: names, description: error.reason.message })
    settle(Exit.fail(error))
  }
  /** By the session in hand; where that is over the next one can have them. */
  const configure = (live: Live, next: Settings): Effect.Effect<How, FluxError.FluxError> =>
    Effect.matchEffect(live.session.change(() => Result.succeed(next)), {
      onSuccess: () => {
        if (live === current()) inForce = live.session.settings()
        return Effect.succeed("configured" as const)
      },
      onFailure: (error) => {
        if (live !== current() || isOver(live)) return ask
        wanted = live.session.settings()
        return Effect.fail(error)
      }
    })

  return {
    get: () => wanted,
    change: (change) =>
      Effect.suspend(() => {
        if (stopped !== undefined || options.isEnding()) return Effect.fail(stopped ?? over())
        const made = change(wanted)
        if (Result.isFailure(made)) return Effect.fail(made.failure)
        const next = made.success
        const fixed = changedKeys(wanted, next).filter((key) => key === "encoding" || key === "sampleRate")
        if (fixed.length > 0) return Effect.fail(unsupported(fixed))
        wanted = next
        const live = current()
        return live !== undefined && fits(live) && waiters.length === 0 ? configure(live, next) : ask
      }),
    asked: asked.await,
    reconcile: Effect.suspend(() => {
      const live = current()
      asked.closeUnsafe()
      if (live === undefined) return Effect.succeed(false)
      if (changedKeys(live.session.settings(), wanted).length === 0) {
        settle(Exit.succeed("rotated"))
        return Effect.succeed(false)
      }
      if (!fits(live)) return Effect.succeed(true)
      return Effect.map(Effect.exit(live.session.change(() => Result.succeed(wanted))), (exit) => {
        if (live !== current() || isOver(live)) return false
        const error = Option.getOrUndefined(Exit.findErrorOption(exit))
        wanted = live.session.settings()
        inForce = wanted
        settle(error === undefined ? Exit.succeed("configured") : Exit.fail(error))
        return false
      })
    }),
    fits,
    inForce: (settings) => {
      inForce = settings
    },
    giveUp,
    blame: (error) => {
      if (changedKeys(inForce, wanted).length === 0 || !mayBeAboutSettings(error)) return false
      giveUp(error)
      return true
    },
    stop: (error) => {
      stopped ??= error
      settle(Exit.fail(error))
    }
  }
}

/** What whoever asks for something after the end is told. */
export const over = (): FluxError.FluxError =>
  FluxError.make(new FluxError.ConnectionLost({ detail: "the session is over" }), "closing")

const unsupported = (settings: ReadonlyArray<string>): FluxError.FluxError =>
  FluxError.make(
    new FluxError.UnsupportedByEndpoint({ feature: `a change of ${settings.join(", ")} in mid-conversation, which no endpoint takes` }),
    "streaming"
  )

/** What an endpoint does with settings that it does not take: a refusal, or nothing (protocol 5.9). */
const mayBeAboutSettings = ({ reason, stage }: FluxError.FluxError): boolean =>
  stage === "connected" || reason._tag === "Rejected" || reason._tag === "InvalidRequest" || reason._tag === "InvalidSettings"
