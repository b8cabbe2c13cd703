/**
 * A transport without a network, for tests: your program runs unchanged, time is TestClock's, and the other side is
 * the simulator's model of Flux or a `Peer` that you write. Everything that reaches it is recorded.
 *
 * @example
 * const test = program.pipe(Effect.provide(Transcriber.layer.pipe(
 *   Layer.provideMerge(FakeTransport.layer({ script: Script.fromText("hello there") })),
 *   Layer.provide(FluxSettings.layer())
 * )))
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FluxError from "./FluxError.ts"
import { type Capabilities, defaultProfile, FluxTransport, type Frame, profiles } from "./FluxTransport.ts"
import * as FluxModel from "./simulator/FluxModel.ts"
import type { Script } from "./simulator/Script.ts"

/** The server's side of one connection, for a {@link Peer} to act on. */
export interface Server {
  /** Sends a text message. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Ends the response cleanly. */
  readonly end: Effect.Effect<void>
  /** Breaks the response. */
  readonly fail: (reason: FluxError.Reason) => Effect.Effect<void>
}

/** How the other side of one connection behaves; what is left out is done at once and says nothing. */
export interface Peer {
  /** Comes before the response headers: may wait, fail, or never complete. */
  readonly accept?: Effect.Effect<void, FluxError.FluxError> | undefined
  /** Runs from the response headers on, in a fiber of its own. */
  readonly opened?: ((server: Server) => Effect.Effect<void>) | undefined
  /** Takes one message; `send` completes when it does, so waiting here is a peer that does not read. */
  readonly received?: ((frame: Frame, server: Server) => Effect.Effect<void, FluxError.FluxError>) | undefined
  /** The request body has ended. */
  readonly ended?: ((server: Server) => Effect.Effect<void>) | undefined
  /** Part of freeing the connection; may hang. */
  readonly released?: Effect.Effect<void> | undefined
}

/** Something that reached the fake: `at` in ms on the Clock, `session` from 0, `detail` the query, the text, or the bytes of audio. */
export interface Entry {
  readonly at: number
  readonly session: number
  readonly what: "open" | "audio" | "text" | "end" | "disconnect"
  readonly detail: string
}

/** What has reached the fake so far, in order. */
export class FakeTransport extends Context.Service<FakeTransport, {
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
}>()("effect-flux-sagemaker/FakeTransport") {}

/** How the simulated Flux behaves. */
export interface Options {
  /** What is said; default: placeholders, such as `speech-1`. */
  readonly script?: Script | undefined
  /** What CloseStream does to an open turn; default `update`. */
  readonly closeMode?: FluxModel.CloseMode | undefined
  /** What the endpoint takes; default that of the profile `flux-english-20260311`. */
  readonly capabilities?: Capabilities | undefined
  /** Time before the response headers; default none. */
  readonly headersAfter?: Duration.Input | undefined
  /** Time from headers to Connected; default none. */
  readonly connectedAfter?: Duration.Input | undefined
}

/** The simulator's model of Flux on every connection. */
export const layer = (options: Options = {}): Layer.Layer<FluxTransport | FakeTransport> =>
  layerPeer((query, session) => modelPeer(query, session, options), options)

/** The other side as you write it: a new {@link Peer} for each connection, in the order of opening. */
export const layerPeer = (
  peer: (query: string, session: number) => Peer,
  options: { readonly capabilities?: Capabilities | undefined } = {}
): Layer.Layer<FluxTransport | FakeTransport> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const entries: Array<Entry> = []
      let sessions = 0
      const open = Effect.fnUntraced(function*(query: string) {
        const session = sessions++
        const { accept = Effect.void, ended, opened, received, released = Effect.void } = peer(query, session)
        const record = (what: Entry["what"], detail: string): void =>
          void entries.push({ at: clock.currentTimeMillisUnsafe(), session, what, detail })
        record("open", query)
        yield* Effect.addFinalizer((exit) =>
          Effect.andThen(released, Effect.sync(() => record("disconnect", exit._tag)))
        )
        yield* accept
        const queue = yield* Queue.unbounded<string, FluxError.FluxError | Cause.Done>()
        const server: Server = {
          say: (text) => Effect.sync(() => void Queue.offerUnsafe(queue, text)),
          end: Effect.asVoid(Queue.end(queue)),
          fail: (reason) => Effect.asVoid(Queue.fail(queue, FluxError.make(reason, "streaming")))
        }
        if (opened !== undefined) yield* Effect.forkScoped(opened(server), { startImmediately: true })
        return {
          requestId: `fake-${session}`,
          variant: "simulator",
          messages: Stream.fromQueue(queue),
          send: (frame: Frame) =>
            Effect.suspend(() => {
              if (frame.dataType === "BINARY") record("audio", String(frame.bytes.length))
              else record("text", new TextDecoder().decode(frame.bytes))
              return received === undefined ? Effect.void : received(frame, server)
            }),
          end: Effect.suspend(() => {
            record("end", "")
            return ended === undefined ? Effect.void : ended(server)
          })
        }
      })
      return Context.mergeAll(
        Context.make(FluxTransport, { capabilities: options.capabilities ?? profiles[defaultProfile], open }),
        Context.make(FakeTransport, { entries: Effect.sync(() => entries.slice()) })
      )
    })
  )

/** The simulator's model of Flux as a {@link Peer}, to be wrapped by one's own. */
export const modelPeer = (query: string, session: number, options: Options = {}): Peer => {
  const made = FluxModel.make({
    query,
    requestId: `00000000-0000-4000-8000-${session.toString(16).padStart(12, "0")}`,
    script: options.script,
    closeMode: options.closeMode,
    limits: options.capabilities
  })
  const { connectedAfter = 0, headersAfter = 0 } = options
  if (Result.isFailure(made)) {
    const reason = new FluxError.Rejected({ detail: "Failed to establish WebSocket connection" })
    return { accept: Effect.delay(Effect.fail(FluxError.make(reason, "open")), headersAfter) }
  }
  const model = made.success
  return {
    accept: Effect.sleep(headersAfter),
    opened: (server) => Effect.delay(Effect.suspend(() => server.say(model.connected())), connectedAfter),
    received: (frame, server) => {
      if (frame.dataType === "BINARY") return sayAll(server, model.audio(frame.bytes))
      const { closes, messages } = model.text(new TextDecoder().decode(frame.bytes))
      return Effect.andThen(sayAll(server, messages), closes ? server.end : Effect.void)
    },
    ended: (server) => server.end
  }
}

const sayAll = (server: Server, messages: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.forEach(messages, server.say, { discard: true })
