/**
 * One conversation over as many sessions as it takes: it opens them within a budget, goes on with another one where one
 * breaks, grows old or cannot have the settings, and lets each hear the audio that it must.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import * as Audio from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import type * as FluxMessage from "../FluxMessage.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { FluxTransport } from "../FluxTransport.ts"
import { firstOf } from "./bounded.ts"
import * as budgets from "./budget.ts"
import type { Events } from "./events.ts"
import * as replayBuffers from "./replayBuffer.ts"
import * as retentions from "./retention.ts"
import * as sessions from "./session.ts"
import type { Finish, OneSession, OpenedConversation, SessionExit } from "./sessionShape.ts"
import { changedKeys } from "./settingsChange.ts"
import * as telemetry from "./telemetry.ts"

/** How many sessions of all conversations may be opened at once, by why they are. */
export interface Permits {
  readonly open: Semaphore.Semaphore
  readonly recover: Semaphore.Semaphore
  readonly rotate: Semaphore.Semaphore
}

/** What a conversation needs to outlive a session; without it the first one is the only one. */
export interface Survival {
  readonly permits: Permits
  /** From 0 to below 1. */
  readonly random: () => number
  readonly retry?: budgets.Retry | undefined
}

/** Most audio that is kept, whatever the setting. */
const maxKeptBytes = 8 * 1024 * 1024
/** A session may be so much older than it should before its turn is carried over. */
const ageReserve = 1.16
const ageJitter = 0.1
/** How long to wait where no session could be had in the place of one that grows old, ms. */
const ageRetry = 10_000
/** New audio that Flux has told of, in seconds: with words, or without any. */
const progressWithText = 1
const progressWithout = 10

interface Live {
  readonly number: number
  readonly session: OneSession
  /** It is Connected, or has failed before. */
  readonly up: Deferred.Deferred<void, FluxError.FluxError>
  /** Why it is no more. */
  readonly over: Deferred.Deferred<void, FluxError.FluxError>
  fiber?: Fiber.Fiber<void>
}

/** A conversation that lives while `run` does; `run` never fails, and frees everything when it is interrupted. */
export const make = (options: {
  readonly transport: FluxTransport["Service"]
  readonly settings: FluxSettings.Settings
  readonly clock: Clock.Clock
  /** For metrics. */
  readonly context: Context.Context<never>
  readonly finish: Finish
  readonly events: Events
  readonly survival: Survival | undefined
}): OpenedConversation => {
  const { clock, context, events, survival, transport } = options
  const format = FluxSettings.format(options.settings)
  const now = (): number => clock.currentTimeMillisUnsafe()
  const random = survival?.random ?? (() => 0)

  const connected = Deferred.makeUnsafe<{ readonly requestId: string; readonly variant: string | undefined }, FluxError.FluxError>()
  const outcome = Deferred.makeUnsafe<void, FluxError.FluxError>()
  const finishAsked = Latch.makeUnsafe(false)
  const retention = retentions.make()
  const budget = budgets.make({ now, random, retry: survival?.retry })

  let wanted = options.settings
  /** Settings that a session had, and Flux did not refuse. */
  let inForce = options.settings
  let number = 0
  /** Sessions that are not freed yet. */
  const lives = new Set<Live>()
  /** The session that tells the turns, or is to be the next one that does. */
  let current: Live | undefined
  /** A session that is Connected and waits for the end of a turn to take over. */
  let standby: Live | undefined
  /** Completes when another session hears the audio. */
  let switched = Deferred.makeUnsafe<void>()
  /** The session in hand was given up for its age. */
  let aged: FluxError.FluxError | undefined
  let reconnecting = false
  let recoveredAtEnd = false
  let closing = false
  let over = false
  let furthestText = 0
  let furthest = 0

  const seconds = (samples: number): number => samples / format.sampleRate
  const currentSettings = (): FluxSettings.Settings => current?.session.settings() ?? wanted
  const audio = replayBuffers.make({
    format,
    clock,
    limit: () => currentSettings().outboxLimit,
    policy: () => currentSettings().outboxPolicy,
    full: () =>
      FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: currentSettings().outboxLimit }), "streaming"),
    keepLimit: () =>
      survival === undefined
        ? 0
        : Math.min(maxKeptBytes, Audio.bytesOf(format, Duration.toMillis(currentSettings().replayWindow))),
    precious: ({ from }) => {
      const window = retention.turn()
      if (window === undefined) return false
      const at = seconds(from)
      return at >= window && at < window + Duration.toSeconds(currentSettings().replayWindow)
    }
  })

  // --- which audio the next session hears

  if (survival !== undefined) audio.keep(0)
  const needed = (live: Live): number => retention.from(live.session.reached(), live.session.tellsOfIdleAudio())
  const keep = (live: Live): void => {
    if (survival !== undefined) audio.keep(Math.floor(needed(live) * format.sampleRate))
  }
  /** Lets a session hear, and tell, in the place of another one. */
  const feed = (next: Live, before: Live): void => {
    const kept = audio.keptFrom() ?? audio.position()
    const beginning = retention.begin(needed(before), seconds(kept))
    current = next
    if (beginning.lostFrom !== undefined) {
      next.session.tell({ type: "AudioDropped", from: beginning.lostFrom, to: beginning.from })
      retention.lost(beginning.from)
    }
    const moved = switched
    switched = Deferred.makeUnsafe()
    next.session.feed(Math.floor(beginning.from * format.sampleRate), retention.told())
    // last, as whoever waits goes on right here
    Deferred.doneUnsafe(moved, Exit.void)
  }
  const takeOver = (next: Live): void => {
    const before = current
    if (before === undefined) return
    const changed = changedKeys(before.session.settings(), next.session.settings())
    standby = undefined
    inForce = next.session.settings()
    // first, as the one that retires may be over right here
    current = next
    before.session.retire()
    if (changed.length > 0) next.session.tell({ type: "SettingsApplied", settings: changed })
    feed(next, before)
  }
  const atBoundary = (live: Live): void => {
    keep(live)
    if (standby !== undefined && live === current && !live.session.turnOpen()) takeOver(standby)
  }
  const onTurnInfo = (live: Live, info: FluxMessage.TurnInfo): void => {
    const end = info.audio_window_end
    if ((info.transcript !== "" && end >= furthestText + progressWithText) || end >= furthest + progressWithout) budget.reset()
    if (info.transcript !== "" && end >= furthestText + progressWithText) furthestText = end
    if (end >= furthest + progressWithout) furthest = end
    retention.take(info, live.session.turnOpen())
    atBoundary(live)
  }

  // --- sessions

  const launch = (settings: FluxSettings.Settings): Live => {
    const session = number++
    const live: Live = {
      number: session,
      up: Deferred.makeUnsafe(),
      over: Deferred.makeUnsafe(),
      session: sessions.make({
        transport,
        settings,
        clock,
        context,
        finish: options.finish,
        session,
        events,
        audio,
        onReady: (to) => {
          Deferred.doneUnsafe(connected, Exit.succeed(to))
          Deferred.doneUnsafe(live.up, Exit.void)
        },
        onTurnInfo: (info) => onTurnInfo(live, info),
        onCapped: () => {
          retention.closed()
          atBoundary(live)
        },
        onOver: (exit: SessionExit) => {
          Deferred.doneUnsafe(live.over, exit)
          Deferred.doneUnsafe(live.up, exit)
        }
      })
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
  /** Frees a session that is not wanted any more, without waiting for it. */
  const discard = (live: Live, scope: Scope.Scope): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { fiber } = live
      if (fiber === undefined || Deferred.isDoneUnsafe(live.over)) return Effect.void
      // its end is not that of the turn
      live.session.retire()
      live.session.scopeClosing()
      return Effect.asVoid(Effect.forkIn(Fiber.interrupt(fiber), scope, { startImmediately: true }))
    })
  /** One session, until it is Connected. */
  const attempt = (scope: Scope.Scope, settings: () => FluxSettings.Settings, prepare: (live: Live) => void): Effect.Effect<Live, FluxError.FluxError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const live = launch(settings())
        prepare(live)
        yield* start(live, scope)
        yield* Effect.onError(restore(Deferred.await(live.up)), () => discard(live, scope))
        return live
      })
    )
  /** Waits out a budget, and what is left of a conversation whose audio has ended. */
  const expiry = (of: budgets.Budget, whenFinished: boolean): Effect.Effect<never, FluxError.FluxError> => {
    const left = of.left()
    const time = Number.isFinite(left) ? Effect.sleep(left) : Effect.never
    const finished = Effect.andThen(finishAsked.await, Effect.suspend(() => Effect.sleep(currentSettings().drainTimeout)))
    return Effect.andThen(whenFinished ? Effect.raceFirst(time, finished) : time, Effect.suspend(() => Effect.fail(of.exhausted())))
  }
  /** A session that is Connected, within a budget. */
  const connect = (
    scope: Scope.Scope,
    how: {
      readonly permits: Semaphore.Semaphore
      readonly budget: budgets.Budget
      readonly settings: () => FluxSettings.Settings
      readonly prepare: (live: Live) => void
      /** Whether something else can be done about a failure than to wait. */
      readonly onFailure: (error: FluxError.FluxError) => boolean
      readonly onRetry: (error: FluxError.FluxError) => void
      readonly whenFinished: boolean
    }
  ): Effect.Effect<Live, FluxError.FluxError> => {
    const tries: Effect.Effect<Live, FluxError.FluxError> = Effect.suspend(() => {
      how.budget.attempt()
      const wait = (error: FluxError.FluxError): Effect.Effect<void, FluxError.FluxError> =>
        Effect.flatMap(how.budget.next(error), (delay) => {
          how.onRetry(error)
          return Effect.sleep(delay)
        })
      return Effect.catch(how.permits.withPermit(attempt(scope, how.settings, how.prepare)), (error) =>
        Effect.flatMap(how.onFailure(error) ? Effect.void : wait(error), () => tries))
    })
    return Effect.suspend(() => {
      how.budget.down()
      return Effect.map(firstOf([tries, expiry(how.budget, how.whenFinished)], currentSettings().disconnectTimeout), (live) => {
        how.budget.up()
        return live
      })
    })
  }

  const tellReconnecting = ({ reason }: FluxError.FluxError): void =>
    current?.session.tell({ type: "Reconnecting", attempt: budget.attempts() + 1, reason: reason._tag, detail: reason.message })

  // --- settings

  interface Waiter {
    readonly done: Deferred.Deferred<"configured" | "rotated", FluxError.FluxError>
  }
  /** Who waits for settings that the session in hand does not have. */
  let waiters: Array<Waiter> = []
  const asked = Latch.makeUnsafe(false)
  const settle = (exit: Exit.Exit<"configured" | "rotated", FluxError.FluxError>): void => {
    const all = waiters
    waiters = []
    for (const { done } of all) Deferred.doneUnsafe(done, exit)
  }
  const ask: Effect.Effect<"configured" | "rotated", FluxError.FluxError> = Effect.suspend(() => {
    if (over) return Deferred.await(outcome).pipe(Effect.andThen(Effect.fail(gone())))
    const waiter: Waiter = { done: Deferred.makeUnsafe() }
    waiters.push(waiter)
    asked.openUnsafe()
    return Deferred.await(waiter.done)
  })
  const gone = (): FluxError.FluxError =>
    FluxError.make(new FluxError.ConnectionLost({ detail: "the session is over" }), "closing")
  const fits = (live: Live, settings: FluxSettings.Settings): boolean => {
    const { configure, session } = live.session.obstacles(settings)
    return configure.length === 0 && session.length === 0
  }
  /** Settings that were wanted cannot be had: back to those in force. */
  const giveUpSettings = (back: FluxSettings.Settings, error: FluxError.FluxError): void => {
    const names = changedKeys(back, wanted)
    wanted = back
    if (names.length > 0) current?.session.tell({ type: "SettingsRejected", settings: names, description: error.reason.message })
    settle(Exit.fail(error))
  }
  const update = (next: FluxSettings.Settings): Effect.Effect<"configured" | "rotated", FluxError.FluxError> =>
    Effect.suspend(() => {
      const live = current
      if (survival === undefined && live !== undefined) return Effect.as(live.session.update(next), "configured" as const)
      if (over || audio.isFinishing()) return Effect.fail(gone())
      const fixed = changedKeys(wanted, next).filter((key) => key === "encoding" || key === "sampleRate")
      if (fixed.length > 0) {
        const feature = `a change of ${fixed.join(", ")} in mid-conversation, which no endpoint takes`
        return Effect.fail(FluxError.make(new FluxError.UnsupportedByEndpoint({ feature }), "streaming"))
      }
      wanted = next
      if (live === undefined || !fits(live, next) || waiters.length > 0) return ask
      return live.session.update(next).pipe(
        Effect.as("configured" as const),
        Effect.tap(() =>
          Effect.sync(() => {
            if (live === current) inForce = live.session.settings()
          })),
        Effect.catch((error) => {
          // the next session can have them
          if (live !== current || Deferred.isDoneUnsafe(live.over)) return ask
          wanted = live.session.settings()
          return Effect.fail(error)
        })
      )
    })
  /** Brings the session in hand to what is wanted, as far as it goes; whether another one is needed. */
  const reconcile: Effect.Effect<boolean> = Effect.suspend(() => {
    const live = current
    if (live === undefined) return Effect.succeed(false)
    asked.closeUnsafe()
    if (changedKeys(live.session.settings(), wanted).length === 0) {
      settle(Exit.succeed("rotated"))
      return Effect.succeed(false)
    }
    if (!fits(live, wanted)) return Effect.succeed(true)
    return Effect.map(Effect.exit(live.session.update(wanted)), (exit) => {
      if (live !== current || Deferred.isDoneUnsafe(live.over)) return false
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      wanted = live.session.settings()
      inForce = wanted
      settle(error === undefined ? Exit.succeed("configured") : Exit.fail(error))
      return false
    })
  })

  // --- the place of a session is taken by another one

  const rotateOnce = Effect.fnUntraced(function*(scope: Scope.Scope, permits: Permits) {
    const old = current
    if (old === undefined) return yield* Effect.never
    const age = Duration.toMillis(old.session.settings().maxSessionAge)
    const born = old.session.acceptedAt() ?? now()
    const due = born + age * (1 - ageJitter + 2 * ageJitter * random())
    const last = born + age * ageReserve
    const isWanted = yield* reconcile
    if (!isWanted) {
      yield* Effect.raceFirst(Effect.sleep(Math.max(0, due - now())), asked.await)
      if (now() < due) return
    }
    if (audio.isFinishing()) return yield* Effect.never
    if (!isWanted && now() >= last) {
      // first, as the one that retires may be over right here
      aged = tooOld()
      old.session.retire()
      return yield* aged
    }
    const target = wanted
    const opened = yield* Effect.result(Effect.timeoutOrElse(
      connect(scope, {
        permits: permits.rotate,
        budget: budgets.make({ now, random }),
        settings: () => target,
        prepare: () => {},
        onFailure: () => false,
        onRetry: () => {},
        whenFinished: false
      }),
      { duration: isWanted ? Duration.infinity : Math.max(0, last - now()), orElse: () => Effect.fail(tooOld()) }
    ))
    if (opened._tag === "Failure") {
      if (isWanted) return giveUpSettings(old.session.settings(), opened.failure)
      // the session in hand is as good as any, as long as it lives
      return yield* Effect.sleep(Math.max(0, Math.min(ageRetry, last - now())))
    }
    const next = opened.success
    // what was wanted meanwhile needs yet another one
    if (!fits(next, wanted)) return yield* discard(next, scope)
    telemetry.reconnectsBy(isWanted ? "settings" : "age").updateUnsafe(1, context)
    const moved = switched
    standby = next
    if (!old.session.turnOpen()) return takeOver(next)
    yield* Effect.raceFirst(
      Effect.raceFirst(Deferred.await(moved), Effect.exit(Deferred.await(next.over))),
      Effect.sleep(Math.max(0, last - now()))
    )
    if (standby !== next) return
    if (Deferred.isDoneUnsafe(next.over)) {
      standby = undefined
      return
    }
    takeOver(next)
  })
  const rotating = (scope: Scope.Scope): Effect.Effect<never, FluxError.FluxError> =>
    survival === undefined ? Effect.never : Effect.forever(rotateOnce(scope, survival.permits))

  // --- the life of the conversation

  /** Until the session in hand is over, whichever that is. */
  const currentOver: Effect.Effect<void, FluxError.FluxError> = Effect.suspend(() => {
    const live = current
    if (live === undefined) return Effect.never
    return Effect.flatMap(
      Effect.raceFirst(
        Effect.map(Effect.exit(Deferred.await(live.over)), (exit) => exit),
        Effect.as(Deferred.await(switched), undefined)
      ),
      (exit) => aged !== undefined ? Effect.fail(aged) : exit === undefined || live !== current ? currentOver : exit
    )
  })

  const first = (scope: Scope.Scope): Effect.Effect<Live, FluxError.FluxError> => {
    const prepare = (live: Live): void => {
      current = live
      live.session.feed(0)
    }
    return survival === undefined ? attempt(scope, () => wanted, prepare) : connect(scope, {
      permits: survival.permits.open,
      budget,
      settings: () => wanted,
      prepare,
      onFailure: () => false,
      onRetry: tellReconnecting,
      whenFinished: false
    })
  }
  const recover = Effect.fnUntraced(function*(error: FluxError.FluxError, scope: Scope.Scope, permits: Permits) {
    const broken = current
    if (broken === undefined) return yield* error
    if (audio.isFinishing() && recoveredAtEnd) return yield* error
    recoveredAtEnd = audio.isFinishing()
    aged = undefined
    const delay = yield* budget.next(error)
    reconnecting = true
    telemetry.reconnectsBy("failure").updateUnsafe(1, context)
    const spare = standby
    standby = undefined
    tellReconnecting(error)
    if (spare !== undefined && !Deferred.isDoneUnsafe(spare.over)) feed(spare, broken)
    else {
      budget.down()
      yield* Effect.sleep(delay)
      yield* connect(scope, {
        permits: permits.recover,
        budget,
        settings: () => wanted,
        prepare: (live) => feed(live, broken),
        onFailure: (failure) => {
          const isRefusal = changedKeys(inForce, wanted).length > 0 && mayBeAboutSettings(failure)
          if (isRefusal) giveUpSettings(inForce, failure)
          return isRefusal
        },
        onRetry: tellReconnecting,
        whenFinished: true
      })
    }
    reconnecting = false
    inForce = current?.session.settings() ?? inForce
    current?.session.tell({ type: "Resumed", behindSeconds: current.session.behindSeconds() })
  })

  const live = Effect.fnUntraced(function*(scope: Scope.Scope) {
    const opened = yield* first(scope)
    inForce = opened.session.settings()
    while (true) {
      const exit = yield* Effect.exit(firstOf([currentOver, rotating(scope)], currentSettings().disconnectTimeout))
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      if (survival === undefined || error === undefined || !error.isRetryable) return yield* exit
      yield* recover(error, scope, survival.permits)
    }
  })

  /** What whoever asks something of the conversation fails with from now on. */
  const errorOf = (cause: Cause.Cause<FluxError.FluxError>): FluxError.FluxError =>
    Option.getOrElse(Cause.findErrorOption(cause), () =>
      FluxError.make(new FluxError.ConnectionLost({ detail: closing ? "its Scope was closed" : "the session died" }), "closing"))

  const end = Effect.fnUntraced(function*(exit: SessionExit, scope: Scope.Closeable) {
    over = true
    reconnecting = false
    if (Exit.isFailure(exit)) {
      const error = errorOf(exit.cause)
      // audio that would come now would be dropped, and nobody told
      audio.fail(error)
      if (!closing) tellLost()
      settle(Exit.fail(error))
    } else settle(Exit.fail(gone()))
    for (const other of lives) if (!Deferred.isDoneUnsafe(other.over)) other.session.scopeClosing()
    yield* Scope.close(scope, exit)
    audio.finish()
    Deferred.doneUnsafe(connected, Exit.fail(Exit.isFailure(exit) ? errorOf(exit.cause) : gone()))
    Deferred.doneUnsafe(outcome, exit)
    // whoever still listens after the Scope was closed has heard all there is
    if (Exit.isSuccess(exit) || closing) events.end()
    else events.failCause(exit.cause)
  })
  const tellLost = (): void => {
    const session = current?.session
    if (session === undefined) return
    session.tell({ type: "ReaderStopped", ending: "lost" })
    if (survival === undefined) return
    const unheard = { from: session.reached(), to: seconds(audio.position()) }
    if (unheard.from < unheard.to) session.tell({ type: "AudioDropped", ...unheard })
  }

  const run = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(restore(live(scope)))
      yield* end(exit, scope)
    })
  )

  // --- what it can be asked

  /** Again on the session that goes on, where one breaks or is replaced. */
  const endTurn = (asked: number): Effect.Effect<void, FluxError.FluxError> => Effect.suspend(() => {
    const live = current
    if (live === undefined || over) return Deferred.await(outcome)
    const elsewhere = Effect.flatMap(Deferred.await(switched), () => endTurn(asked))
    return Effect.raceFirst(
      Effect.catch(live.session.endTurn(asked), (error) =>
        survival === undefined || !error.isRetryable ? Effect.fail(error) : Deferred.await(outcome)),
      elsewhere
    )
  })

  return {
    connected: Deferred.await(connected),
    send: audio.send,
    offerUnsafe: audio.offerUnsafe,
    endAudio: Effect.sync(() => {
      audio.finish()
      finishAsked.openUnsafe()
    }),
    update,
    endTurn: Effect.suspend(() => endTurn(audio.position())),
    setMuted: (muted) =>
      Effect.sync(() => {
        audio.setMuted(muted)
        current?.session.mutedChanged()
      }),
    finish: Effect.suspend(() => {
      audio.finish()
      finishAsked.openUnsafe()
      return Deferred.await(outcome)
    }),
    status: Effect.sync(() => over && lives.size === 0 ? "ended" : reconnecting ? "reconnecting" : current?.session.status() ?? "opening"),
    settings: Effect.sync(() => survival === undefined ? currentSettings() : wanted),
    buffered: Effect.sync(() => ({
      outboxBytes: current?.session.outboxBytes() ?? audio.bytes(),
      events: events.size(),
      behindSeconds: current?.session.behindSeconds() ?? seconds(audio.position())
    })),
    reject: (settings, { reason }) =>
      Effect.sync(() => current?.session.tell({ type: "SettingsRejected", settings, description: reason.message })),
    run,
    scopeClosing: Effect.sync(() => {
      closing = true
    })
  }
}

const tooOld = (): FluxError.FluxError =>
  FluxError.make(new FluxError.ConnectionLost({ detail: "the session has reached its age, and none could be had in its place" }), "streaming")

/** What an endpoint does with settings that it does not take: a refusal, or nothing (protocol 5.9). */
const mayBeAboutSettings = ({ reason, stage }: FluxError.FluxError): boolean =>
  stage === "connected" || reason._tag === "Rejected" || reason._tag === "InvalidRequest" || reason._tag === "InvalidSettings"
