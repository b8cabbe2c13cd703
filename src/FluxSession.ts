/**
 * One Flux session on one connection, as a scoped Stream. Every
 * stage has its bound, and closing the Scope from any of them frees the connection. For conversations that outlive a
 * connection use `Transcriber`.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import * as FluxSettings from "./FluxSettings.ts"
import { FluxTransport } from "./FluxTransport.ts"
import { type Finish, type FluxSession, make } from "./internal/session.ts"
import * as signals from "./internal/signals.ts"

export type { Finish, FluxSession, Status } from "./internal/session.ts"
export type { Signal } from "./internal/signals.ts"

/** See {@link open}. */
export interface SessionOptions {
  /** Default `close`. */
  readonly finish?: Finish | undefined
}

/**
 * Opens a session with settings that `FluxSettings.resolve` has passed. Returns at once: the connection is made in
 * the background, and its failure is that of `connected`, `send`, `finish` and `signals`. Closing the Scope in
 * mid-session sends CloseStream, does not wait for the tail, and frees the connection, all within `disconnectTimeout`
 * a step.
 *
 * Fails with `InvalidSettings` when this endpoint does not take the settings.
 */
export const open: (
  settings: FluxSettings.Settings,
  options?: SessionOptions
) => Effect.Effect<FluxSession, FluxError.FluxError, Scope.Scope | FluxTransport> = Effect.fn("FluxSession.open")(
  function*(settings: FluxSettings.Settings, options: SessionOptions = {}) {
    const transport = yield* FluxTransport
    const checked = yield* Effect.fromResult(FluxSettings.resolve(settings, {}, transport.capabilities))
    const clock = yield* Clock.Clock
    const session = make(transport, checked, clock, options.finish ?? "close")
    yield* Effect.forkScoped(session.run, { startImmediately: true })
    yield* Effect.addFinalizer(() => session.scopeClosing)
    return session
  }
)

/** What {@link transcribe} needs to know. */
export interface TranscribeOptions extends SessionOptions {
  readonly settings: FluxSettings.Settings
  /** Id in the events. */
  readonly id: string
  /** Put Flux's own messages into turn events; default false. */
  readonly raw?: boolean | undefined
}

/**
 * Transcribes a stream of audio over one session. When the audio ends, the last words are waited for; when it fails,
 * too, and then the stream fails with the same cause. Nothing is connected before the stream is run.
 */
export const transcribe: {
  (options: TranscribeOptions): <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport>
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options: TranscribeOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport>
} = dual(
  2,
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options: TranscribeOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport> =>
    Stream.unwrap(
      Effect.gen(function*() {
        const session = yield* open(options.settings, options)
        const source = yield* Deferred.make<void, E>()
        yield* audio.pipe(
          // a session that has failed says so itself, and takes this fiber along
          Stream.runForEach((pcm) => Effect.catch(session.send(pcm), () => Effect.never)),
          Effect.onExit((exit) => Effect.andThen(session.endAudio, Deferred.done(source, exit))),
          Effect.forkScoped
        )
        // whatever came of the session, a source that has failed says why
        const sourceFailure = Effect.flatMap(Deferred.poll(source), Option.getOrElse(() => Effect.void))
        return events(session, options).pipe(
          Stream.catchCause((cause) => Stream.fromEffectDrain(Effect.andThen(sourceFailure, Effect.failCause(cause)))),
          Stream.concat(Stream.fromEffectDrain(Deferred.await(source)))
        )
      })
    )
)

/** The signals of a session as events. */
export const events = (
  session: FluxSession,
  options: Omit<TranscribeOptions, "finish">
): Stream.Stream<FluxEvent, FluxError.FluxError> =>
  Stream.suspend(() => {
    const toEvents = signals.toEvents({
      id: options.id,
      session: 0,
      raw: options.raw ?? false,
      settings: () => options.settings
    })
    return Stream.flattenIterable(Stream.map(session.signals, toEvents))
  })
