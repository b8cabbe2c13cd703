/**
 * The same conversations for programs without Effect: promises and async iterables, with the very behaviour of
 * `Transcriber`.
 *
 * ```ts
 * const transcriber = createTranscriber({ endpointName: "my-flux", region: "us-east-1" })
 * for await (const event of transcriber.transcribe(process.stdin)) {
 *   if (event.type === "EndOfTurn") console.log(event.transcript)
 * }
 * await transcriber.close()
 * ```
 *
 * What fails rejects with a `FluxError`, whose `reason`, `hint` and `isRetryable` are those of every other door.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Audio from "./Audio.ts"
import * as FluxError from "./FluxError.ts"
import type { FluxEvent } from "./FluxEvent.ts"
import type * as FluxSession from "./FluxSession.ts"
import * as FluxSettings from "./FluxSettings.ts"
import type { FluxTransport } from "./FluxTransport.ts"
import * as audioSource from "./internal/audioSource.ts"
import type * as SageMakerTransport from "./SageMakerTransport.ts"
import * as Transcriber from "./Transcriber.ts"

/** The endpoint (see `SageMakerTransport.Options`), how many sessions may be opened at once, and the defaults of calls. */
export interface Options extends SageMakerTransport.Options, Transcriber.Options {
  /** Settings of all calls; each may have others. Default: `FluxSettings.defaults`. */
  readonly settings?: FluxSettings.SettingsPatch | undefined
  /** From which level on the library's own logs go to stderr; default `Warn`. A session that fails is `Info`: events and errors tell of it. */
  readonly logLevel?: LogLevel.LogLevel | undefined
  /** Another transport than SageMaker's, such as `FakeTransport.layer({ ... })` in tests; no code of AWS is loaded then. */
  readonly transport?: Layer.Layer<FluxTransport, FluxError.FluxError> | undefined
}

/**
 * Audio as it comes: a Node or web stream of bytes, a generator, async or not, chunks that are there already, or all of it
 * in one piece. What a chunk may be: see `Audio.Bytes`.
 *
 * A source is pulled one chunk at a time, which is copied before the next one is pulled, so that it may fill one buffer
 * again and again; a Node stream may not, as Node itself reads ahead of whoever reads the stream. It is pulled no further
 * ahead of Flux than `outboxLimit` says, and leaves other work its turn, also where it never waits.
 */
export type AudioSource = Audio.Source

/** Conversations on one endpoint. Make one for a process, and close it when the process is to end. */
export interface PromiseTranscriber extends AsyncDisposable {
  /**
   * Transcribes audio; each iteration is a conversation of its own, which begins with it. When the audio ends, the last
   * words are waited for; when it throws, too, and then the iteration throws the same; a chunk that is no bytes throws
   * `UnsupportedAudio` likewise, and what is no source at all does so before anything is connected. Whoever leaves the loop
   * ends the conversation at once, without waiting for the last words. A source that is left before its end, for whatever
   * reason, is told so by its iterator's `return`.
   */
  readonly transcribe: (audio: AudioSource, options?: Transcriber.CallOptions) => AsyncIterable<FluxEvent>
  /** Opens a conversation for audio that is pushed; resolves once the settings are checked, before it is connected. */
  readonly open: (options?: Transcriber.CallOptions) => Promise<PromiseConversation>
  /** Changes the settings of all calls, those under way included, save for what a call has set itself. */
  readonly update: (patch: FluxSettings.SettingsPatch) => Promise<FluxSettings.Settings>
  /**
   * Ends all conversations, waits for their last words (see `Transcriber.shutdown`), and frees everything. Nothing can be
   * opened any more (`ShuttingDown`). Never rejects; whoever asks again gets the same report.
   */
  readonly close: () => Promise<Transcriber.ShutdownReport>
}

/** A conversation under way; see `Transcriber.Conversation`. */
export interface PromiseConversation extends AsyncDisposable {
  readonly id: string
  /** What Flux says, as turns; for one consumer. Throws as the conversation fails. */
  readonly events: AsyncIterable<FluxEvent>
  /** Takes audio, and resolves when all of it is in the outbox: await it, and the caller is held up where Flux is. The bytes are copied by then. */
  readonly send: (pcm: Audio.Bytes) => Promise<void>
  /**
   * The same for callbacks: takes all of it or nothing, and says which. `false` is for now. Throws a `FluxError` where no
   * later call could do better: `BufferOverflow` for more than `outboxLimit` can ever hold, `UnsupportedAudio` for what is
   * no bytes. Where a peer decides on the size of a chunk, bound what the peer may send, or catch it.
   */
  readonly offer: (pcm: Audio.Bytes) => boolean
  /** Changes settings; resolves when they are in force, rejects where they cannot be, and then the conversation goes on as before, or is over (`CallOver`). */
  readonly update: (patch: FluxSettings.SettingsPatch) => Promise<"configured" | "rotated">
  /** Ends the open turn now. */
  readonly endTurn: () => Promise<void>
  /** While muted, audio is not sent, and moves time on. */
  readonly setMuted: (muted: boolean) => void
  /** Ends the audio, waits for the last words, and frees everything; the last events can still be read. Rejects with `CallOver` where `close` comes before. */
  readonly finish: () => Promise<void>
  /** Ends the conversation without waiting for the last words, and frees its connection. Never rejects. */
  readonly close: () => Promise<void>
  readonly status: () => FluxSession.Status
  /** What is in force now. */
  readonly settings: () => FluxSettings.Settings
  /** What waits. */
  readonly buffered: () => FluxSession.Buffered
}

type Services = Transcriber.Transcriber | FluxSettings.FluxSettings

/** Conversations on one endpoint. Checks nothing and connects to nothing before it is used; what is wrong rejects then. */
export const createTranscriber = (options: Options): PromiseTranscriber => {
  const { logLevel = "Warn", opens, recoveries, rotations, settings, shutdownTimeout, transport, ...endpoint } = options
  const services = Transcriber.layerWith({ opens, recoveries, rotations, shutdownTimeout }).pipe(
    Layer.provide(transport ?? sageMaker(endpoint)),
    Layer.provideMerge(FluxSettings.layer(settings)),
    Layer.provideMerge(Layer.mergeAll(Layer.succeed(References.MinimumLogLevel, logLevel), Layer.succeed(Logger.LogToStderr, true)))
  )
  const runtime = ManagedRuntime.make(services)
  const scopes = new Set<Scope.Closeable>()
  let closing: Promise<Transcriber.ShutdownReport> | undefined

  const context = Effect.suspend(() =>
    closing === undefined ? runtime.contextEffect : Effect.fail(FluxError.make(new FluxError.ShuttingDown({}), "settings")))
  const run = <A, E>(effect: Effect.Effect<A, E, Services>): Promise<A> =>
    Effect.runPromise(Effect.flatMap(context, (services) => Effect.provideContext(effect, services)))
  const closeScope = (scope: Scope.Closeable): Promise<void> => {
    scopes.delete(scope)
    return Effect.runPromise(Scope.close(scope, Exit.void))
  }

  const open = async (call?: Transcriber.CallOptions): Promise<PromiseConversation> => {
    const scope = Scope.makeUnsafe()
    scopes.add(scope)
    try {
      const opened = await run(Effect.flatMap(Transcriber.Transcriber, (transcriber) => Scope.provide(transcriber.open(call), scope)))
      return conversation(opened, () => closeScope(scope))
    } catch (error) {
      await closeScope(scope)
      throw error
    }
  }

  const transcribe = (audio: AudioSource, call?: Transcriber.CallOptions): AsyncIterable<FluxEvent> => ({
    [Symbol.asyncIterator]: () => {
      audioSource.guard(audio)
      const events = Stream.unwrap(Effect.gen(function*() {
        const chunks = yield* Effect.fromResult(audioSource.streamOf(audio))
        return Stream.provideContext(Transcriber.transcribe(chunks, call), yield* context)
      }))
      return Stream.toAsyncIterable(events)[Symbol.asyncIterator]()
    }
  })

  const end = async (): Promise<Transcriber.ShutdownReport> => {
    // one that was never used, or cannot be
    const report = await runtime.runPromise(Transcriber.shutdown).catch(() => ({ finished: 0, closed: 0, failed: [] }))
    await Promise.all([...scopes].map(closeScope))
    await runtime.dispose()
    return report
  }
  const close = (): Promise<Transcriber.ShutdownReport> => (closing ??= end())

  return {
    transcribe,
    open,
    update: (patch) => run(Effect.flatMap(FluxSettings.FluxSettings, (defaults) => defaults.update(patch))),
    close,
    [Symbol.asyncDispose]: async () => void await close()
  }
}

const conversation = (call: Transcriber.Conversation, close: () => Promise<void>): PromiseConversation => ({
  id: call.id,
  // one that is over holds nothing, also where nobody closes it
  events: Stream.toAsyncIterable(Stream.onError(call.events, (cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.promise(close))),
  send: (pcm) => Effect.runPromise(call.send(pcm)),
  offer: call.offerUnsafe,
  update: (patch) => Effect.runPromise(call.update(patch)),
  endTurn: () => Effect.runPromise(call.endTurn),
  setMuted: (muted) => Effect.runSync(call.setMuted(muted)),
  finish: () => Effect.runPromise(call.finish).finally(close),
  close,
  status: () => Effect.runSync(call.status),
  settings: () => Effect.runSync(call.settings),
  buffered: () => Effect.runSync(call.buffered),
  [Symbol.asyncDispose]: close
})

/** Its code is loaded where it is wanted. */
const sageMaker = (options: SageMakerTransport.Options): Layer.Layer<FluxTransport, FluxError.FluxError> =>
  Layer.unwrap(Effect.map(Effect.promise(() => import("./SageMakerTransport.ts")), ({ layer }) => layer(options)))
