/** A server for the media streams of a telephone exchange: mu-law audio in JSON over WebSockets, as Twilio sends it. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Config, Console, Effect, FiberSet, Layer, Schema, Stream } from "effect"
import { FluxSettings, SageMakerTransport, Transcriber } from "../src/index.ts"
import { type WebSocket, WebSocketServer } from "ws"

const Message = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ event: Schema.Literal("start"), start: Schema.Struct({ callSid: Schema.String }) }),
  Schema.Struct({ event: Schema.Literal("media"), media: Schema.Struct({ payload: Schema.String }) }),
  Schema.Struct({ event: Schema.Literals(["connected", "mark", "stop"]) })
]))
const decode = Schema.decodeUnknownSync(Message)

/** One call. The socket's callbacks push; nothing is lost while Flux is being connected. */
const answer = Effect.fn(function*(socket: WebSocket) {
  const transcriber = yield* Transcriber.Transcriber
  const run = yield* FiberSet.makeRuntime()
  const call = yield* transcriber.open()
  let name = "a call"
  socket.on("message", (data: Buffer) => {
    const message = decode(data.toString("utf8"))
    if (message.event === "start") name = message.start.callSid
    if (message.event === "stop") run(Effect.ignore(call.finish))
    if (message.event !== "media") return
    // false where a minute of it waits already: Flux is not to be had
    if (!call.offerUnsafe(Buffer.from(message.media.payload, "base64"))) socket.close()
  })
  socket.on("close", () => run(Effect.ignore(call.finish)))
  yield* Stream.runForEach(call.events, (event) =>
    event.type === "EndOfTurn" ? Console.log(`${name}: ${event.transcript}`) : Effect.void)
}, Effect.scoped, Effect.catchTag("FluxError", (error) => Console.error(error.message)))

const program = Effect.gen(function*() {
  const port = yield* Config.Int("PORT").pipe(Config.withDefault(8080))
  const run = yield* FiberSet.makeRuntime<Transcriber.Transcriber>()
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => new WebSocketServer({ port })),
    (server) => Effect.sync(() => server.close())
  )
  server.on("connection", (socket) => run(answer(socket)))
  server.on("listening", () => run(Console.log(`listening on ${JSON.stringify(server.address())}`)))
  return yield* Effect.never
})

// endpoint and region as FLUX_ENDPOINT_NAME and AWS_REGION say
const Flux = Transcriber.layer.pipe(
  Layer.provide(SageMakerTransport.layerConfig()),
  Layer.provide(FluxSettings.layer({ encoding: "mulaw", sampleRate: 8000 }))
)

program.pipe(Effect.scoped, Effect.provide(Flux), NodeRuntime.runMain)
