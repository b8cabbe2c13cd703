/** A call in an Effect program: audio from a file at the pace of speech, turns on the console. Needs a real endpoint. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Stream } from "effect"
import { Audio, AudioFile, FluxSettings, SageMakerTransport, Transcriber } from "../src/index.ts"

const Flux = Transcriber.layer.pipe(
  Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux-endpoint", region: "us-east-2" })),
  Layer.provide(FluxSettings.layer({ eotThreshold: 0.7, eagerEotThreshold: 0.5 }))
)

const call = Effect.gen(function*() {
  const file = yield* AudioFile.open("call.wav")
  const turns = file.audio.pipe(
    Audio.paced(file.format),
    Transcriber.transcribe({ settings: file.format })
  )
  yield* Stream.runForEach(turns, (event) =>
    event.type === "EndOfTurn" ? Console.log(event.transcript) : Effect.void)
})

call.pipe(
  Effect.scoped,
  Effect.provide(Flux),
  Effect.catchTag("FluxError", (error) => Console.error(error.message)),
  NodeRuntime.runMain
)
