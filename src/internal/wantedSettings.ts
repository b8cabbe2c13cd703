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
import { maxRefusals } from "./acceptedSettings.ts"
import { isOver, type Live } from "./relay.ts"
import type { Applied } from "./sessionShape.ts"
import { query, Settings as Fields } from "./settings.ts"
import { type Change, changedKeys } from "./settingsChange.ts"

/** See the module. */
export interface WantedSettings {
  /** What a session that is opened now should have. */
  readonly get: () => Settings
  /** Fails where nothing can change any more. */
  readonly isOpen: Effect.Effect<void, FluxError.FluxError>
  /** Wants what is made of them at that moment; completes when it is in force. */
  readonly change: (next: Change) => Effect.Effect<Applied, FluxError.FluxError>
  /** Suspends until somebody wants what the session in hand does not have. */
  readonly asked: Effect.Effect<void>
  /** Brings the session in hand to what is wanted, as far as it goes; whether another one is needed. */
  readonly reconcile: Effect.Effect<boolean>
  /** Whether a session has, or can have, what is wanted. */
  readonly fits: (live: Live) => boolean
  /** A session has taken these; the names of those that were not in force before. */
  readonly inForce: (settings: Settings) => ReadonlyArray<string>
  /** They cannot be had: back to those of the session in hand. */
  readonly giveUp: (error: FluxError.FluxError) => void
  /**
   * A session could not be opened: whether that was for what was changed, which is given up then. Where that is not certain,
   * it is the third time that says so.
   */
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
  /** How often a session could not be opened for what may have been changed. */
  let suspicions = 0
  let waiters: Array<Deferred.Deferred<Applied, FluxError.FluxError>> = []
  let stopped: FluxError.FluxError | undefined
  const asked = Latch.makeUnsafe(false)

  const settle = (exit: Exit.Exit<Applied, FluxError.FluxError>, count = waiters.length): void => {
    const those = waiters.slice(0, count)
    waiters = waiters.slice(count)
    for (const waiter of those) Deferred.doneUnsafe(waiter, exit)
  }
  const ask: Effect.Effect<Applied, FluxError.FluxError> = Effect.suspend(() => {
    if (stopped !== undefined) return Effect.fail(stopped)
    const waiter = Deferred.makeUnsafe<Applied, FluxError.FluxError>()
    waiters.push(waiter)
    asked.openUnsafe()
    return Deferred.await(waiter)
  })
  const isOpen: WantedSettings["isOpen"] = Effect.suspend(() => {
    const error = stopped ?? (options.isEnding() ? over() : undefined)
    return error === undefined ? Effect.void : Effect.fail(error)
  })
  /** What it says is not the last word: another one is in its place, or is to be. */
  const isGone = (live: Live): boolean => live !== current() || isOver(live) || live.session.isRetired()
  const fits = (live: Live): boolean => {
    const { configure, session } = live.session.obstacles(wanted)
    return configure.length === 0 && session.length === 0
  }
  const giveUp = (error: FluxError.FluxError, back: Settings): void => {
    const names = changedKeys(back, wanted)
    suspicions = 0
    wanted = back
    if (names.length > 0) current()?.session.tell({ type: "SettingsRejected", settings: names, description: error.reason.message })
    settle(Exit.fail(error))
  }
  /** By the session in hand; where that is over the next one can have them. */
  const configure = (live: Live, before: Settings, next: Settings): Effect.Effect<Applied, FluxError.FluxError> =>
    Effect.matchEffect(live.session.change(() => Result.succeed(next)), {
      onSuccess: () => {
        if (live === current()) inForce = live.session.settings()
        // they may be about when another session is due
        asked.openUnsafe()
        return Effect.succeed("configured" as const)
      },
      onFailure: (error) => {
        if (isGone(live)) return ask
        wanted = restored(wanted, changedKeys(before, next), live.session.settings())
        return Effect.fail(error)
      }
    })

  return {
    get: () => wanted,
    isOpen,
    change: (change) =>
      Effect.andThen(isOpen, Effect.suspend(() => {
        const made = change(wanted)
        if (Result.isFailure(made)) return Effect.fail(made.failure)
        const next = made.success
        const fixed = changedKeys(wanted, next).filter((key) => key === "encoding" || key === "sampleRate")
        if (fixed.length > 0) return Effect.fail(unsupported(fixed))
        const before = wanted
        suspicions = 0
        wanted = next
        const live = current()
        return live !== undefined && fits(live) && waiters.length === 0 ? configure(live, before, next) : ask
      })),
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
      const [before, next, those] = [live.session.settings(), wanted, waiters.length]
      return Effect.map(Effect.exit(live.session.change(() => Result.succeed(next))), (exit) => {
        if (isGone(live)) return false
        const error = Option.getOrUndefined(Exit.findErrorOption(exit))
        inForce = live.session.settings()
        if (error !== undefined) wanted = restored(wanted, changedKeys(before, next), inForce)
        // what was asked for since then is still to come
        settle(error === undefined ? Exit.succeed("configured") : Exit.fail(error), those)
        return false
      })
    }),
    fits,
    inForce: (settings) => {
      const names = changedKeys(inForce, settings)
      inForce = settings
      suspicions = 0
      return names
    },
    giveUp: (error) => giveUp(error, current()?.session.settings() ?? inForce),
    blame: (error) => {
      const verdict = verdictOn(error)
      // what only this client does, no endpoint can refuse
      if (query(inForce) === query(wanted) || verdict === "innocent") return false
      if (verdict === "perhaps" && ++suspicions < maxRefusals) return false
      giveUp(error, inForce)
      return true
    },
    stop: (error) => {
      stopped ??= error
      // the last session may have come with them, and ended before anybody looked
      settle(changedKeys(inForce, wanted).length === 0 ? Exit.succeed("rotated") : Exit.fail(error))
    }
  }
}

/** Settings in which some are what they are in others. */
const restored = (settings: Settings, names: ReadonlyArray<string>, from: Settings): Settings => {
  const made: { -readonly [Key in keyof Settings]: Settings[Key] } = { ...settings }
  const restore = <Key extends keyof Settings>(key: Key): void => {
    if (key in from) made[key] = from[key]
    else Reflect.deleteProperty(made, key)
  }
  for (const name of names) if (isSetting(name)) restore(name)
  return made
}

const isSetting = (name: string): name is keyof Settings => name in Fields.fields

/** What whoever asks for something after the end is told. */
export const over = (): FluxError.FluxError => FluxError.make(new FluxError.CallOver({ ending: "finished" }), "closing")

const unsupported = (settings: ReadonlyArray<string>): FluxError.FluxError =>
  FluxError.make(
    new FluxError.UnsupportedByEndpoint({ feature: `a change of ${settings.join(", ")} in mid-conversation, which no endpoint takes` }),
    "streaming"
  )

/** What an endpoint does with settings that it does not take is what an overloaded one does: a 424, or nothing (protocol 5.9). */
const verdictOn = ({ reason, stage }: FluxError.FluxError): "innocent" | "perhaps" | "guilty" => {
  if (reason._tag === "InvalidRequest" || reason._tag === "InvalidSettings") return "guilty"
  return stage === "connected" || reason._tag === "Rejected" ? "perhaps" : "innocent"
}
