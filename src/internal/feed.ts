/** A stream of audio goes into an open session, and its events come out. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Audio from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import type { FluxEvent } from "../FluxEvent.ts"

/** What takes audio and tells events. */
export interface Fed {
  readonly send: (pcm: Audio.Bytes) => Effect.Effect<void, FluxError>
  readonly endAudio: Effect.Effect<void>
  readonly events: Stream.Stream<FluxEvent, FluxError>
}

/**
 * The events, as long as they come. When the audio ends, the last words are waited for; when it fails, or is refused
 * by a full outbox or as no bytes, too, and then the events fail with that. When `cutOff` completes, the audio is interrupted, and has ended.
 */
export const feed = <E, R>(
  session: Fed,
  audio: Stream.Stream<Audio.Bytes, E, R>,
  cutOff: Effect.Effect<void> = Effect.never
): Stream.Stream<FluxEvent, FluxError | E, R> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const source = yield* Deferred.make<void, E | FluxError>()
      const send = (pcm: Audio.Bytes): Effect.Effect<void, FluxError> =>
        // a session that has failed says so itself, and takes this fiber along
        Effect.catchIf(session.send(pcm), (error) => !isRefused(error), () => Effect.never)
      yield* Effect.raceFirst(Stream.runForEach(audio, send), cutOff).pipe(
        Effect.onExit((exit) => Effect.andThen(session.endAudio, Deferred.done(source, exit))),
        Effect.forkScoped
      )
      // whatever came of the session, a source that has failed says why
      const sourceFailure = Effect.flatMap(Deferred.poll(source), Option.getOrElse(() => Effect.void))
      return session.events.pipe(
        Stream.catchCause((cause) => Stream.fromEffectDrain(Effect.andThen(sourceFailure, Effect.failCause(cause)))),
        Stream.concat(Stream.fromEffectDrain(Deferred.await(source)))
      )
    })
  )

/** The session lives, and did not take this audio. */
const isRefused = ({ reason }: FluxError): boolean =>
  reason._tag === "UnsupportedAudio" || (reason._tag === "BufferOverflow" && reason.buffer === "audio")
