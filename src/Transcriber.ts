/**
 * What most programs call: audio goes in, the events of one conversation come out.
 *
 * For now a conversation lasts as long as one session: when its connection breaks, the open turn ends as `lost` and
 * the events fail.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import * as FluxSession from "./FluxSession.ts"
import * as FluxSettings from "./FluxSettings.ts"
import { FluxTransport } from "./FluxTransport.ts"

/** What a call may set for itself. */
export interface CallOptions {
  /** Id in every event; default 12 random hex digits. */
  readonly id?: string | undefined
  /** Laid over the settings of `FluxSettings`. */
  readonly settings?: FluxSettings.SettingsPatch | undefined
  /** How the end of the audio ends the session; default `close`. */
  readonly finish?: FluxSession.Finish | undefined
  /** When to try again to open a session; kept for conversations that survive their connection, unused so far. */
  readonly retry?: Schedule.Schedule<unknown, FluxError.FluxError> | undefined
  /** Put Flux's own messages into turn events; default false. */
  readonly raw?: boolean | undefined
}

/** A conversation under way. It lives as long as the Scope it was opened in. */
export interface Conversation {
  readonly id: string
  /** Sends audio; completes when it is in the outbox, in order. The buffer is copied. */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError.FluxError>
  /** The same for callbacks: takes all of it or nothing, and says which. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** The events, for one consumer. */
  readonly events: Stream.Stream<FluxEvent, FluxError.FluxError>
  /** Changes settings in mid-call. No endpoint is asked to yet: valid changes fail with `UnsupportedByEndpoint`. */
  readonly update: (patch: FluxSettings.SettingsPatch) => Effect.Effect<"configured" | "rotated", FluxError.FluxError>
  /** Ends the open turn now; fails with `UnsupportedByEndpoint` where the endpoint takes no ForceEndTurn. */
  readonly endTurn: Effect.Effect<void, FluxError.FluxError>
  /** While muted, audio is dropped at the door; an open turn is ended by silence. */
  readonly setMuted: (muted: boolean) => Effect.Effect<void>
  /** Ends the audio, and waits until the last words are here and the connection is freed. */
  readonly finish: Effect.Effect<void, FluxError.FluxError>
  readonly status: Effect.Effect<FluxSession.Status>
}

/** Opens conversations on the endpoint of `FluxTransport`, with the defaults of `FluxSettings`. */
export class Transcriber extends Context.Service<Transcriber, {
  /**
   * Opens a conversation for audio that is pushed. Returns once the settings are checked; audio may be sent at once
   * and is kept in order until Flux takes it. A connection that fails is told by `send`, `finish` and `events`.
   */
  readonly open: (options?: CallOptions) => Effect.Effect<Conversation, FluxError.FluxError, Scope.Scope>
  /** Transcribes a stream of audio. The last words are waited for when the audio ends, and also when it fails. */
  readonly transcribe: <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options?: CallOptions
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R>
}>()("effect-flux-sagemaker/Transcriber") {}

/** The service over a transport and settings. */
export const make: Effect.Effect<Transcriber["Service"], never, FluxTransport | FluxSettings.FluxSettings> = Effect.gen(
  function*() {
    const transport = yield* FluxTransport
    const defaults = yield* FluxSettings.FluxSettings

    const callOf = Effect.fnUntraced(function*(
      options: CallOptions
    ): Effect.fn.Return<FluxSession.TranscribeOptions, FluxError.FluxError> {
      const base = yield* defaults.get
      return {
        settings: yield* Effect.fromResult(FluxSettings.resolve(base, options.settings ?? {}, transport.capabilities)),
        id: options.id ?? (yield* randomId),
        finish: options.finish,
        raw: options.raw
      }
    })

    return Transcriber.of({
      open: Effect.fn("Transcriber.open")(
        function*(options: CallOptions = {}) {
          const call = yield* callOf(options)
          const session = yield* FluxSession.open(call.settings, call)
          return conversation(session, call, transport)
        },
        Effect.provideService(FluxTransport, transport)
      ),
      transcribe: (audio, options = {}) =>
        Stream.unwrap(Effect.map(callOf(options), (call) => FluxSession.transcribe(audio, call))).pipe(
          Stream.provideService(FluxTransport, transport)
        )
    })
  }
)

/** The service; give it a transport and settings. */
export const layer: Layer.Layer<Transcriber, never, FluxTransport | FluxSettings.FluxSettings> = Layer.effect(
  Transcriber,
  make
)

/**
 * `Transcriber.transcribe` as an operator on a stream of audio.
 *
 * @example
 * microphone.pipe(Transcriber.transcribe({ settings: { eotThreshold: 0.8 } }))
 */
export const transcribe: {
  (options?: CallOptions): <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>
  ) => Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber>
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options?: CallOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber>
} = dual(
  (args) => Stream.isStream(args[0]),
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options?: CallOptions
  ): Stream.Stream<FluxEvent, FluxError.FluxError | E, R | Transcriber> =>
    Stream.unwrap(Effect.map(Transcriber, (transcriber) => transcriber.transcribe(audio, options)))
)

const conversation = (
  session: FluxSession.FluxSession,
  call: FluxSession.TranscribeOptions,
  transport: FluxTransport["Service"]
): Conversation => {
  let muted = false
  return {
    id: call.id,
    send: (pcm) => Effect.suspend(() => (muted ? Effect.void : session.send(pcm))),
    offerUnsafe: (pcm) => muted || session.offerUnsafe(pcm),
    events: FluxSession.events(session, call),
    update: Effect.fnUntraced(function*(patch) {
      yield* Effect.fromResult(FluxSettings.resolve(call.settings, patch, transport.capabilities))
      const reason = new FluxError.UnsupportedByEndpoint({ feature: "a change of settings in mid-call" })
      return yield* FluxError.make(reason, "streaming")
    }),
    endTurn: session.forceEndTurn,
    setMuted: (value) =>
      Effect.sync(() => {
        muted = value
      }),
    finish: session.finish,
    status: session.status
  }
}

const randomId = Effect.map(Random.nextIntBetween(0, 2 ** 48), (n) => n.toString(16).padStart(12, "0"))
