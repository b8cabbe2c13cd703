/**
 * One conversation over as many sessions as it takes: it opens the first one, goes on with another one where one breaks,
 * and ends as its audio does, or as the last session did that its budget had.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import * as Audio from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import type { TurnInfo } from "../FluxMessage.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { FluxTransport } from "../FluxTransport.ts"
import type { AcceptedSettings } from "./acceptedSettings.ts"
import * as audioBytes from "./audioBytes.ts"
import { firstOf } from "./bounded.ts"
import * as budgets from "./budget.ts"
import type { Events } from "./events.ts"
import * as monotonic from "./monotonic.ts"
import * as openers from "./opener.ts"
import * as relays from "./relay.ts"
import * as replayBuffers from "./replayBuffer.ts"
import * as retentions from "./retention.ts"
import type { Retry } from "./retry.ts"
import * as rotation from "./rotation.ts"
import * as sessions from "./session.ts"
import * as sessionLimits from "./sessionLimit.ts"
import type { ConnectedTo, Finish, OneSession, OpenedConversation, Purpose, SessionExit } from "./sessionShape.ts"
import * as telemetry from "./telemetry.ts"
import * as wantedSettings from "./wantedSettings.ts"

/** How many sessions of all conversations may be opened at once, by why they are. */
export interface Permits {
  readonly open: Semaphore.Semaphore
  readonly recover: Semaphore.Semaphore
  readonly rotate: Semaphore.Semaphore
}

/** What a conversation needs to outlive a session; without it the first one is the only one. */
export interface Survival {
  readonly permits: Permits
  /** What the endpoint has taken of late, whichever call asked. */
  readonly accepted: AcceptedSettings
  /** From 0 to below 1. */
  readonly random: () => number
  readonly retry?: Retry | undefined
}

/** One attempt in the place of a session that broke, ms: the caller waits, and others for the permit. */
const recoveryBound = 5000
/** Most audio that is kept, whatever the setting. */
const maxKeptBytes = 8 * 1024 * 1024

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
  const now = (): number => monotonic.millis(clock)

  const connected = Deferred.makeUnsafe<ConnectedTo, FluxError.FluxError>()
  const outcome = Deferred.makeUnsafe<void, FluxError.FluxError>()
  const finishAsked = Latch.makeUnsafe(false)
  let reconnecting = false
  let recoveredAtEnd = false
  /** The session in hand was given up for its age. */
  let tooOld: FluxError.FluxError | undefined
  let scopeClosed = false
  let over = false

  // --- its parts

  let settings = (): FluxSettings.Settings => options.settings
  let kept: { readonly window: Duration.Duration; readonly bytes: number } | undefined
  /** Asked for each frame. */
  const keptBytes = (window: Duration.Duration): number => {
    if (kept?.window !== window) kept = { window, bytes: Math.min(maxKeptBytes, Audio.bytesOf(format, Duration.toMillis(window))) }
    return kept.bytes
  }
  const retention = retentions.make()
  const audio = replayBuffers.make({
    format,
    clock,
    limit: () => FluxSettings.outboxLimit(settings()),
    policy: () => settings().outboxPolicy,
    full: (overflow) => FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", ...overflow }), "streaming"),
    keepLimit: () => survival === undefined ? 0 : keptBytes(settings().replayWindow),
    precious: ({ from }) => retention.isOfTurn(from / format.sampleRate, Duration.toSeconds(settings().replayWindow))
  })
  const relay = relays.make({ audio, retention, sampleRate: format.sampleRate, keeps: survival !== undefined, onTakeOver: (live) => void wanted.inForce(live.asked) })
  const wanted = wantedSettings.make({ initial: options.settings, current: relay.current, isEnding: audio.isFinishing })
  settings = () => relay.current()?.session.settings() ?? wanted.get()
  const wasConnected = (): boolean => Deferred.isDoneUnsafe(connected)
  const sessionLimit = sessionLimits.make(now)
  const budget = budgets.make({
    clock,
    retry: survival?.retry,
    wasConnected,
    // what has been changed since then is given up by itself
    suspectsSettings: () => !wasConnected() && survival?.accepted.has(wanted.get()) !== true,
    sessions: sessionLimit
  })
  /** Who has set when to try again has set all there is to it. */
  const attemptBound = ({ openTimeout }: FluxSettings.Settings, purpose: Purpose): number =>
    purpose === "recovery" && survival?.retry === undefined
      ? Math.min(recoveryBound, Duration.toMillis(openTimeout))
      : Number.POSITIVE_INFINITY
  const opener = openers.make({
    session: (settings, session, purpose, live) =>
      sessions.make({
        transport,
        settings,
        clock,
        context,
        finish: options.finish,
        session,
        events,
        audio,
        attemptBound: attemptBound(settings, purpose),
        onReady: (to) => {
          survival?.accepted.note(settings)
          if (purpose !== "rotation") sessionLimit.note()
          live().connectedAt = now()
          Deferred.doneUnsafe(connected, Exit.succeed(to))
          openers.ready(live())
        },
        onTurnInfo: (info) => onTurnInfo(live(), info),
        onCapped: () => relay.onCapped(live()),
        onOver: (exit) => {
          openers.settle(live(), exit)
          relay.onOver(live())
        }
      }),
    patience: () => settings().disconnectTimeout
  })
  const onTurnInfo = (live: relays.Live, info: TurnInfo): void => {
    // nobody can have told of what was not sent
    const bounded = { ...info, audio_window_end: Math.min(info.audio_window_end, live.session.reached()) }
    budget.take(bounded)
    relay.onTurnInfo(live, bounded)
  }
  const tellReconnecting = ({ reason }: FluxError.FluxError): void =>
    relay.current()?.session.tell({ type: "Reconnecting", attempt: budget.attempts() + 1, reason: reason._tag, detail: reason.message })

  /** A change that nobody could ask the session before for has come with this one. */
  const tellApplied = (live: relays.Live): void => {
    const names = wanted.inForce(live.asked)
    if (names.length > 0) live.session.tell({ type: "SettingsApplied", settings: names })
  }

  // --- its life

  const first = (scope: Scope.Scope): Effect.Effect<relays.Live, FluxError.FluxError> =>
    survival === undefined ? opener.once(scope, "first", wanted.get(), relay.begin) : opener.open(scope, {
      purpose: "first",
      permits: survival.permits.open,
      budget,
      settings: wanted.get,
      prepare: relay.begin,
      onFailure: () => false,
      onRetry: tellReconnecting,
      tooLate: afterEnd(({ connectedTimeout, openTimeout }) => Duration.sum(openTimeout, connectedTimeout))
    })
  /** A call whose audio has ended does not wait for a session for ever, whatever the budget. */
  const afterEnd = (bound: (settings: FluxSettings.Settings) => Duration.Duration): Effect.Effect<never, FluxError.FluxError> =>
    Effect.andThen(
      finishAsked.await,
      Effect.suspend(() => budget.after(Duration.toMillis(bound(settings()))))
    )
  const recover = (error: FluxError.FluxError, scope: Scope.Scope, { permits }: Survival) =>
    Effect.gen(function*() {
      if (audio.isFinishing() && recoveredAtEnd) return yield* error
      recoveredAtEnd = audio.isFinishing()
      const connectedAt = relay.current()?.connectedAt
      if (connectedAt !== undefined) budget.outlived(now() - connectedAt)
      tooOld = undefined
      const delay = yield* budget.next(error)
      reconnecting = true
      telemetry.reconnectsBy("failure").updateUnsafe(1, context)
      tellReconnecting(error)
      const next = relay.takeWaiting()
      if (next !== undefined && !relays.isOver(next)) {
        sessionLimit.note()
        relay.resume(next)
      } else {
        yield* opener.open(scope, {
          purpose: "recovery",
          delay,
          permits: permits.recover,
          budget,
          settings: wanted.get,
          prepare: relay.resume,
          onFailure: wanted.blame,
          onRetry: tellReconnecting,
          // as long as for the last words, also where it has not been tried yet
          tooLate: afterEnd(({ drainTimeout }) => drainTimeout)
        })
      }
      reconnecting = false
      const live = relay.current()
      if (live === undefined) return
      tellApplied(live)
      live.session.tell({ type: "Resumed", behindSeconds: live.session.behindSeconds() })
    })
  /** Until the session in hand is over, whichever that is. */
  const currentOver: Effect.Effect<void, FluxError.FluxError> = Effect.suspend(() => {
    const live = relay.current()
    if (live === undefined) return Effect.never
    const over = Effect.suspend(() => tooOld === undefined ? currentOver : Effect.fail(tooOld))
    if (!relays.isOver(live)) return Effect.andThen(relay.stirred, over)
    return tooOld === undefined ? Deferred.await(live.over) : Effect.fail(tooOld)
  })
  const rotating = (scope: Scope.Scope): Effect.Effect<never, FluxError.FluxError> =>
    survival === undefined ? Effect.never : rotation.run({
      relay,
      opener,
      wanted,
      permits: survival.permits.rotate,
      scope,
      clock,
      sessionLimit,
      random: survival.random,
      context,
      isEnding: audio.isFinishing,
      onTooOld: (error) => {
        tooOld = error
      }
    })
  const live = (scope: Scope.Scope) =>
    Effect.gen(function*() {
      tellApplied(yield* first(scope))
      while (true) {
        const exit = yield* Effect.exit(firstOf([currentOver, rotating(scope)], settings().disconnectTimeout))
        const error = Option.getOrUndefined(Exit.findErrorOption(exit))
        if (survival === undefined || error === undefined || !budget.mayHeal(error)) return yield* exit
        const next = relay.current()
        // another one may have taken over in the moment in which this one broke
        const isReplaced = tooOld === undefined && next !== undefined && !relays.isOver(next)
        if (!isReplaced) yield* recover(error, scope, survival)
      }
    })

  /** What whoever asks something of the conversation fails with from now on. */
  const errorOf = (cause: Cause.Cause<FluxError.FluxError>): FluxError.FluxError =>
    Option.getOrElse(Cause.findErrorOption(cause), () =>
      FluxError.make(scopeClosed ? new FluxError.CallOver({ ending: "closed" }) : new FluxError.ConnectionLost({ detail: "the session died" }), "closing"))
  const tellLost = (): void => {
    const session = relay.current()?.session
    if (session === undefined) return
    session.tell({ type: "ReaderStopped", ending: "lost" })
    // one that has not come to where another one was had still to hear what was told
    const from = Math.floor(Math.max(session.reached(), retention.told()) * format.sampleRate)
    if (survival === undefined) return
    for (const range of [...audio.takeDropped(), ...audio.rangesFrom(from)].toSorted((a, b) => a.from - b.from)) {
      session.tell({ type: "AudioDropped", from: range.from / format.sampleRate, to: range.to / format.sampleRate })
    }
  }
  const end = (exit: SessionExit, scope: Scope.Closeable) =>
    Effect.gen(function*() {
      const error = Exit.isFailure(exit) ? errorOf(exit.cause) : wantedSettings.over()
      over = true
      reconnecting = false
      // audio that would come now would be dropped, and nobody told
      if (Exit.isFailure(exit)) audio.fail(error)
      if (Exit.isFailure(exit) && !scopeClosed) tellLost()
      wanted.stop(error)
      for (const other of opener.lives()) if (!relays.isOver(other)) other.session.scopeClosing()
      yield* Scope.close(scope, exit)
      // between two sessions none has said so
      if (scopeClosed) relay.current()?.session.tell({ type: "ReaderStopped", ending: "closed" })
      audio.finish()
      Deferred.doneUnsafe(connected, Exit.fail(error))
      // an interruption is not that of those who wait
      Deferred.doneUnsafe(outcome, Exit.hasInterrupts(exit) ? Exit.fail(error) : exit)
      // whoever still listens after the Scope was closed has heard all there is
      if (Exit.isSuccess(exit) || scopeClosed) events.end()
      else events.failCause(exit.cause)
    })

  // --- what it can be asked

  /** Undefined between two tries, when none hears. */
  const inHand = (): OneSession | undefined => {
    const live = relay.current()
    return live === undefined || (!over && relays.isOver(live)) ? undefined : live.session
  }
  /** The session that breaks, or ends with the conversation, is not the last word on it. */
  const isRetried = (error: FluxError.FluxError): boolean =>
    survival !== undefined && (budget.mayHeal(error) || error.reason._tag === "CallOver")
  /** Again on the session that goes on, where one breaks or is replaced. */
  const endTurn = (asked: number): Effect.Effect<void, FluxError.FluxError> => Effect.suspend(() => {
    const live = relay.current()
    if (live === undefined || over) return Deferred.await(outcome)
    const { session } = live
    // one that is no more has not heard what was offered since
    const isDeaf = relays.isOver(live) || session.isRetired()
    const ended = isDeaf ? Deferred.await(outcome) : Effect.catchIf(session.endTurn(asked), isRetried, () => Deferred.await(outcome))
    return Effect.raceFirst(ended, Effect.flatMap(relay.changed, () => endTurn(asked)))
  })
  const endAudio = (): void => {
    audio.finish()
    finishAsked.openUnsafe()
  }
  /** Without another session there is only what this one can have. */
  const change: OpenedConversation["change"] = (next) =>
    Effect.suspend(() => {
      const session = relay.current()?.session
      if (survival !== undefined || session === undefined) return wanted.change(next)
      return Effect.as(Effect.andThen(wanted.isOpen, session.change(next)), "configured" as const)
    })

  return {
    connected: Deferred.await(connected),
    ...audioBytes.door(audio),
    endAudio: Effect.sync(endAudio),
    update: (settings) => change(() => Result.succeed(settings)),
    change,
    endTurn: Effect.suspend(() => endTurn(audio.position())),
    setMuted: (muted) =>
      Effect.sync(() => {
        audio.setMuted(muted)
        relay.current()?.session.mutedChanged()
      }),
    finish: Effect.suspend(() => {
      endAudio()
      return Deferred.await(outcome)
    }),
    status: Effect.sync(() => {
      if (Deferred.isDoneUnsafe(outcome)) return "ended"
      if (reconnecting) return "reconnecting"
      return inHand()?.status() ?? (Deferred.isDoneUnsafe(connected) ? "reconnecting" : "opening")
    }),
    settings: Effect.sync(() => (survival === undefined ? settings() : wanted.get())),
    buffered: Effect.sync(() => {
      const session = inHand()
      return {
        outboxBytes: session?.outboxBytes() ?? audio.bytes(),
        events: events.size(),
        behindSeconds: session?.behindSeconds() ?? Math.max(0, audio.position() / format.sampleRate - retention.told())
      }
    }),
    reject: (settings, { reason }) =>
      Effect.sync(() => relay.current()?.session.tell({ type: "SettingsRejected", settings, description: reason.message })),
    run: Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const exit = yield* Effect.exit(restore(live(scope)))
        yield* end(exit, scope)
      })
    ),
    scopeClosing: Effect.sync(() => {
      scopeClosed = true
    })
  }
}
