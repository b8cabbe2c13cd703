/**
 * One Flux session on one connection, as a scoped Stream. Every
 * stage has its bound, and closing the Scope from any of them frees the connection. For conversations that outlive a
 * connection use `Transcriber`.
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Audio from "./Audio.ts"
import type * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import type * as FluxSettings from "./FluxSettings.ts"
import { FluxTransport } from "./FluxTransport.ts"
import { feed } from "./internal/feed.ts"
import { type FluxSession, openSession, type SessionOptions } from "./internal/openSession.ts"

export type { FluxSession, SessionOptions } from "./internal/openSession.ts"
export type { Buffered, Finish, Status } from "./internal/sessionShape.ts"

/**
 * Opens a session with settings that `FluxSettings.resolve` has passed. Returns at once: the connection is made in
 * the background, and its failure is that of `connected`, `send`, `finish` and `events`. Closing the Scope in
 * mid-session sends CloseStream, does not wait for the tail, and frees the connection, all within `disconnectTimeout`
 * a step.
 *
 * Fails with `InvalidSettings` when this endpoint does not take the settings.
 */
export const open: (
  settings: FluxSettings.Settings,
  options: SessionOptions
) => Effect.Effect<FluxSession, FluxError.FluxError, Scope.Scope | FluxTransport> = Effect.fnUntraced(
  function*(settings: FluxSettings.Settings, options: SessionOptions) {
    return yield* openSession(yield* FluxTransport, settings, options)
  }
)

/** What {@link transcribe} needs to know. */
export interface TranscribeOptions extends SessionOptions {
  readonly settings: FluxSettings.Settings
}

/**
 * Transcribes a stream of audio over one session. When the audio ends, the last words are waited for; when it fails,
 * too, and then the stream fails with the same cause. Nothing is connected before the stream is run. Chunks are copied one
 * by one, as `Transcriber.transcribe` says.
 */
export const transcribe: {
  (options: TranscribeOptions): <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport>
  <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>,
    options: TranscribeOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport>
} = dual(
  2,
  <E, R>(
    audio: Stream.Stream<Audio.Bytes, E, R>,
    options: TranscribeOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | FluxTransport> =>
    Stream.unwrap(Effect.map(open(options.settings, options), (session) => feed(session, audio)))
)
