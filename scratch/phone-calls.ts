/**
 * A server for the media streams of a telephone exchange: mu-law audio in JSON over WebSockets, as Twilio sends it.
 *
 * `PORT` is where it listens, 8080 by default. `TRACK` says which legs of a call are transcribed, in the exchange's own words:
 * `inbound_track` (default), `outbound_track`, or `both_tracks`, and then each leg is a conversation of its own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, FiberSet, Layer, Option, Schema, Stream, Struct } from "effect"
import { FluxSettings, SageMakerTransport, Transcriber } from "../src/index.ts"
import { type WebSocket, WebSocketServer } from "ws"

const Track = Schema.Literals(["inbound", "outbound"])
const legsOf = { inbound_track: ["inbound"], outbound_track: ["outbound"], both_tracks: ["inbound", "outbound"] } as const
/** What is understood. Whatever else an exchange says, of key presses, of marks, or in years to come, is passed over. */
const Message = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ event: Schema.Literal("start"), start: Schema.Struct({ callSid: Schema.String.check(Schema.isPattern(/^[\w.:-]+$/)) }) }),
  Schema.Struct({
    event: Schema.Literal("media"),
    media: Schema.Struct({ track: Schema.optionalKey(Track), payload: Schema.String.check(Schema.isPattern(/^[\w+/-]*={0,2}$/)) })
  }),
  Schema.Struct({ event: Schema.Literal("stop") })
]))
const decode = Schema.decodeUnknownOption(Message)

/** One call. The socket's callbacks push, and never throw: nothing is lost while Flux is being connected. */
const answer = Effect.fn(function*(socket: WebSocket, tracks: ReadonlyArray<typeof Track.Type>) {
  // a socket that breaks is closed next; without a listener the process would be, too
  socket.on("error", () => {})
  yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
  const transcriber = yield* Transcriber.Transcriber
  const run = yield* FiberSet.makeRuntime()
  const legs = yield* Effect.forEach(tracks, (track) => Effect.map(transcriber.open(), (call) => ({ track, call })))
  const finish = () => run(Effect.forEach(legs, ({ call }) => Effect.ignore(call.finish), { concurrency: "unbounded" }))
  let name = "a call"
  socket.on("message", (data: Buffer) => {
    const message = Option.getOrUndefined(decode(data.toString("utf8")))
    if (message?.event === "start") name = message.start.callSid
    if (message?.event === "stop") finish()
    if (message?.event !== "media") return
    const { payload, track = "inbound" } = message.media
    const leg = legs.find((leg) => leg.track === track)
    // false where two minutes of it wait already: Flux is not to be had
    if (leg?.call.offerUnsafe(Buffer.from(payload, "base64")) === false) socket.close()
  })
  socket.on("close", finish)
  yield* Effect.forEach(legs, ({ call, track }) =>
    call.events.pipe(
      Stream.runForEach((event) =>
        event.type === "EndOfTurn" ? Console.log(`${name}${legs.length > 1 ? ` ${track}` : ""}: ${event.transcript}`) : Effect.void),
      Effect.catchTag("FluxError", (error) => Console.error(error.message))
    ), { concurrency: "unbounded" })
}, Effect.scoped, Effect.catchTag("FluxError", (error) => Console.error(error.message)))

const program = Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8080))
  const track = yield* Config.schema(Schema.Literals(Struct.keys(legsOf)), "TRACK").pipe(Config.withDefault("inbound_track"))
  const run = yield* FiberSet.makeRuntime<Transcriber.Transcriber>()
  // no message may be larger than what may wait
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocketServer({ port, maxPayload: 2 ** 16 })),
    (server) => Effect.sync(() => server.close())
  )
  server.on("connection", (socket) => run(answer(socket, legsOf[track])))
  server.on("listening", () => run(Console.log(`listening on ${JSON.stringify(server.address())}`)))
  return yield* Effect.callback<never, Error>((resume) => void server.on("error", (error) => resume(Effect.fail(error))))
})

// endpoint and region as FLUX_ENDPOINT_NAME and AWS_REGION say
const Flux = Transcriber.layer.pipe(
  Layer.provide(SageMakerTransport.layerConfig()),
  Layer.provide(FluxSettings.layer({ encoding: "mulaw", sampleRate: 8000 }))
)

program.pipe(Effect.scoped, Effect.provide(Flux), NodeRuntime.runMain)
