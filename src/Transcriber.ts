/**
 * What most programs call: audio goes in, the events of one conversation come out, over as many sessions as it takes.
 *
 * Where a session breaks, another one hears what is not settled and goes on; before SageMaker cuts a stream for its age,
 * and for settings that a running session cannot have, another one takes over at the end of a turn.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Audio from "./Audio.ts"
import type * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import type * as FluxSession from "./FluxSession.ts"
import * as FluxSettings from "./FluxSettings.ts"
import { FluxTransport } from "./FluxTransport.ts"
import * as acceptedSettings from "./internal/acceptedSettings.ts"
import * as callSettings from "./internal/callSettings.ts"
import { feed } from "./internal/feed.ts"
import * as monotonic from "./internal/monotonic.ts"
import { openSession } from "./internal/openSession.ts"
import * as retries from "./internal/retry.ts"
import type { Applied } from "./internal/sessionShape.ts"
import * as shutdowns from "./internal/shutdown.ts"

export type { ShutdownReport } from "./internal/shutdown.ts"

/**
 * When a call tries again that sets no `retry`: at random within 100 ms, doubling to 5 s (full jitter), for 30 s from the
 * first failure; gives what the wait is drawn from. As a `retry` it has only these waits and this time: the other rules of
 * the default are not in it (see {@link CallOptions}).
 */
export const defaultRetry: Schedule.Schedule<Duration.Duration, FluxError.FluxError> = retries.defaultRetry

/** What a call may set for itself. */
export interface CallOptions {
  /** Id in every event; default 12 random hex digits. */
  readonly id?: string | undefined
  /** Laid over the settings of `FluxSettings`. */
  readonly settings?: FluxSettings.SettingsPatch | undefined
  /** How the end of the audio ends the session; default `close`. */
  readonly finish?: FluxSession.Finish | undefined
  /**
   * When to try again to get a session; its input is what the last one failed with, it is stepped with monotonic ms, and it
   * begins anew once Flux has told of new audio. What no other session would cure (see `FluxError.isRetryable`) is never
   * tried again, and there is no other bound.
   *
   * Default: the waits of {@link defaultRetry}, for 30 s without a session, in which waiting for a permit does not count, and
   * which begin anew with a session that has lived for as long, too; an attempt in the place of a session that broke lasts
   * 5 s at most. Before the call's first Connected, what only somebody could mend fails at once (rights, certificates, a 400,
   * settings), and a server that is not reached at all is tried for 5 s; after it all but settings may heal. A `Rejected` is
   * tried three times where it may be about the settings: until this endpoint has taken such settings within the last ten
   * minutes, or this call was Connected with them. And a call has at most 20 sessions in ten minutes, not counting those that
   * replace another one as planned.
   */
  readonly retry?: Schedule.Schedule<unknown, FluxError.FluxError> | undefined
  /** Put Flux's own messages into turn events; default false. */
  readonly raw?: boolean | undefined
}

/** A conversation under way. It lives as long as the Scope it was opened in. */
export interface Conversation extends
  Pick<FluxSession.FluxSession, "send" | "offerUnsafe" | "events" | "endTurn" | "setMuted" | "finish" | "status" | "settings" | "buffered">
{
  readonly id: string
  /**
   * Changes settings in mid-call: absent keys stay as they are, `null` is back to the default. Completes when they are in
   * force: at once for what only this client does, when Flux has taken it for thresholds, keyterms, language hints and
   * numerals (`configured`), with another session for all that the running one cannot have (`rotated`), which takes over
   * when no turn is open. All or nothing. Fails with `InvalidSettings`; with `UnsupportedByEndpoint` for another encoding
   * or sample rate; with `SettingsRefused` and `ConfigureUnanswered`; and with what the other session failed with: then
   * the conversation goes on as before, and says `SettingsRejected`. After `finish`, and where the end comes before they
   * are in force, with `CallOver`.
   */
  readonly update: (patch: FluxSettings.SettingsPatch) => Effect.Effect<Applied, FluxError.FluxError>
}

/** Opens conversations on the endpoint of `FluxTransport`, with the defaults of `FluxSettings`. */
export class Transcriber extends Context.Service<Transcriber, {
  /**
   * Opens a conversation for audio that is pushed. Returns once the settings are checked; audio may be sent at once
   * and is kept in order until Flux takes it. A conversation that fails for good is told by `send`, `finish` and `events`:
   * with `RetriesExhausted`, or with what no other session would cure. Fails with `ShuttingDown` after `shutdown`.
   */
  readonly open: (options?: CallOptions) => Effect.Effect<Conversation, FluxError.FluxError, Scope.Scope>
  /**
   * Transcribes a stream of audio. The last words are waited for when the audio ends, and also when it fails. `shutdown`
   * interrupts the audio, and then the events end as if it had ended.
   *
   * Each chunk is copied before the stream is asked for the next one. A source that fills one buffer again and again is
   * heard as it is where the stream takes one chunk at a time from it: `Stream.fromIterable(source, { chunkSize: 1 })`, as
   * without it up to 4,096 are taken at once, which are then all the last one. `Stream.fromAsyncIterable`, `Audio.frames`
   * and `Audio.paced` take one at a time; a `Stream.buffer` in between does not.
   */
  readonly transcribe: <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>,
    options?: CallOptions
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R>
  /**
   * Ends all conversations at once, as each one's `finish` does, and tells how they ended; for a process that is to end.
   * From its first moment on no conversation can be opened. Completes when all are over, within the bounds of their
   * settings and of `retry`, at the latest after `shutdownTimeout`: what is not over by then is reported as failed and
   * left to its Scope. The last words wait in each one's `events` when it does. Never fails; whoever asks again gets the
   * same report, and an interruption ends only the waiting.
   */
  readonly shutdown: Effect.Effect<shutdowns.ShutdownReport>
}>()("effect-flux-sagemaker/Transcriber") {}

/**
 * How many sessions may be opened at once, so that a burst of one kind does not hold up another; and how long the end of
 * all may take.
 */
export interface Options {
  /** For new conversations; default 32. */
  readonly opens?: number | undefined
  /** In the place of sessions that broke; default 32. */
  readonly recoveries?: number | undefined
  /** In the place of sessions that are too old, or have other settings; default 8. */
  readonly rotations?: number | undefined
  /**
   * How long `shutdown` waits for conversations that are not over; default 2 minutes. With the default bounds, one whose
   * Flux has gone mute takes 30 s (`drainTimeout`, and again on another session), and one that is not Connected yet up to
   * 30 s before that. Set it to less than whoever ends the process gives it.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/** The service over a transport and settings. */
export const make = Effect.fnUntraced(function*(
  { opens = 32, recoveries = 32, rotations = 8, shutdownTimeout = "2 minutes" }: Options = {}
): Effect.fn.Return<Transcriber["Service"], never, FluxTransport | FluxSettings.FluxSettings> {
  const transport = yield* FluxTransport
  const defaults = yield* FluxSettings.FluxSettings
  const permits = {
    open: yield* Semaphore.make(opens),
    recover: yield* Semaphore.make(recoveries),
    rotate: yield* Semaphore.make(rotations)
  }
  const clock = yield* Clock.Clock
  const accepted = acceptedSettings.make(() => monotonic.millis(clock))
  const calls = shutdowns.make({ clock, timeout: Duration.fromInputUnsafe(shutdownTimeout) })

  const opened = Effect.fnUntraced(function*(options: CallOptions) {
    yield* calls.check
    const base = yield* defaults.get
    const own = options.settings ?? {}
    const settings = yield* Effect.fromResult(FluxSettings.resolve(base, own, transport.capabilities))
    const id = options.id ?? (yield* randomId)
    const random = yield* Random.Random
    const { finish, raw, retry } = options
    const opening = openSession(transport, settings, { id, finish, raw }, {
      permits,
      accepted,
      random: () => random.nextDoubleUnsafe(),
      retry
    })
    const scope = yield* Scope.fork(yield* Effect.scope)
    const call = yield* Effect.tap(opening, (call) => calls.enter({ ...call, id })).pipe(
      Scope.provide(scope),
      // a shutdown that has begun by now knows nothing of it
      Effect.onError(() => Scope.close(scope, Exit.void)),
      Effect.uninterruptible
    )
    const layered = callSettings.make({ session: call, capabilities: transport.capabilities, base, own })
    yield* Effect.forkScoped(layered.follow(defaults.changes))
    return { ...call, id, update: layered.update }
  })

  return Transcriber.of({
    // the conversation has a span of its own, as long as it lives
    open: (options = {}) => opened(options),
    transcribe: (audio, options = {}) => Stream.unwrap(Effect.map(opened(options), (call) => feed(call, audio, calls.begun))),
    shutdown: calls.shutdown
  })
})

/** The service; give it a transport and settings. */
export const layer: Layer.Layer<Transcriber, never, FluxTransport | FluxSettings.FluxSettings> = Layer.effect(
  Transcriber,
  make()
)

/** {@link layer} with other limits. */
export const layerWith = (options: Options): Layer.Layer<Transcriber, never, FluxTransport | FluxSettings.FluxSettings> =>
  Layer.effect(Transcriber, make(options))

/**
 * `Transcriber.transcribe` as an operator on a stream of audio.
 *
 * @example
 * microphone.pipe(Transcriber.transcribe({ settings: { eotThreshold: 0.8 } }))
 */
export const transcribe: {
  (options?: CallOptions): <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber>
  <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>,
    options?: CallOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber>
} = dual(
  (args) => Stream.isStream(args[0]),
  <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>,
    options?: CallOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber> =>
    Stream.unwrap(Effect.map(Transcriber, (transcriber) => transcriber.transcribe(audio, options)))
)

/** `Transcriber.shutdown` of the service in the context. */
export const shutdown: Effect.Effect<shutdowns.ShutdownReport, never, Transcriber> = Effect.flatMap(
  Transcriber,
  (transcriber) => transcriber.shutdown
)

const randomId = Effect.map(Random.nextIntBetween(0, 2 ** 48), (n) => n.toString(16).padStart(12, "0"))
