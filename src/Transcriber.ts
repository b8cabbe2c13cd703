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
import type * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import type * as FluxSession from "./FluxSession.ts"
import * as FluxSettings from "./FluxSettings.ts"
import { FluxTransport } from "./FluxTransport.ts"
import * as callSettings from "./internal/callSettings.ts"
import { feed } from "./internal/feed.ts"
import { openSession } from "./internal/openSession.ts"

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
export interface Conversation extends
  Pick<FluxSession.FluxSession, "send" | "offerUnsafe" | "events" | "endTurn" | "setMuted" | "finish" | "status" | "settings" | "buffered">
{
  readonly id: string
  /**
   * Changes settings in mid-call: absent keys stay as they are, `null` is back to the default. Completes when they are in
   * force: at once for what only this client does, when Flux has taken it for thresholds, keyterms, language hints and
   * numerals. All or nothing. Fails with `InvalidSettings`; with `UnsupportedByEndpoint` where the endpoint takes no
   * Configure, or for what only another session can change; with `SettingsRefused` and `ConfigureUnanswered`.
   */
  readonly update: (patch: FluxSettings.SettingsPatch) => Effect.Effect<"configured" | "rotated", FluxError.FluxError>
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

    const opened = Effect.fnUntraced(function*(options: CallOptions) {
      const base = yield* defaults.get
      const own = options.settings ?? {}
      const settings = yield* Effect.fromResult(FluxSettings.resolve(base, own, transport.capabilities))
      const id = options.id ?? (yield* randomId)
      const session = yield* openSession(transport, settings, { id, finish: options.finish, raw: options.raw })
      const layered = callSettings.make({ session, capabilities: transport.capabilities, base, own })
      yield* Effect.forkScoped(layered.follow(defaults.changes))
      return { ...session, id, update: layered.update }
    })

    return Transcriber.of({
      // the conversation has a span of its own, as long as it lives
      open: (options = {}) => opened(options),
      transcribe: (audio, options = {}) => Stream.unwrap(Effect.map(opened(options), (call) => feed(call, audio)))
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

const randomId = Effect.map(Random.nextIntBetween(0, 2 ** 48), (n) => n.toString(16).padStart(12, "0"))
