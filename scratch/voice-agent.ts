/**
 * A voice agent on the simulator, over the wire: a caller who asks, one who goes on when the agent takes the turn for over,
 * and one who interrupts. `node scratch/voice-agent.ts`
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, References, Stream } from "effect"
import { Audio, FluxSettings, SageMakerTransport, Script, SimulatorServer, Transcriber } from "../src/index.ts"
import { talk } from "./early-replies.ts"

const script = Script.make({
  turns: [
    {
      at: 0.5,
      words: "Where is my order?",
      // probably over 1.4 s after its first word began, certainly half a second later
      endOfTurnConfidence: [{ at: 1.3, value: 0 }, { at: 1.4, value: 0.5 }, { at: 1.8, value: 0.5 }, { at: 1.9, value: 0.9 }]
    },
    {
      at: 5,
      words: ["I", "mean", { pause: 0.6 }, "the", "second", "one."],
      endOfTurnConfidence: [
        { at: 0.7, value: 0 },
        { at: 0.8, value: 0.5 },
        { at: 1.2, value: 0.5 },
        { at: 1.25, value: 0 },
        { at: 2.2, value: 0 },
        { at: 2.3, value: 0.5 },
        { at: 2.6, value: 0.5 },
        { at: 2.7, value: 0.9 }
      ]
    },
    // while the agent speaks
    { at: 8.8, words: "Never mind.", endOfTurnConfidence: [{ at: 0.7, value: 0 }, { at: 0.8, value: 0.5 }, { at: 1.2, value: 0.9 }] }
  ]
})

const Transport = Layer.unwrap(Effect.map(SimulatorServer.SimulatorServer, ({ url }) =>
  SageMakerTransport.layer({
    endpointName: "any-name",
    region: "us-east-1",
    endpointUrl: url,
    credentials: { accessKeyId: "any", secretAccessKey: "any" }
  })))
const Flux = Transcriber.layer.pipe(
  Layer.provide(Transport),
  Layer.provide(FluxSettings.layer()),
  Layer.provide(SimulatorServer.layer({ script }))
)

/** Eleven seconds of a call; the script says what is heard in them. */
const format = { encoding: "linear16", sampleRate: 16_000 } as const
const microphone = Stream.make(new Uint8Array(11 * 32_000)).pipe(Audio.frames(format), Audio.paced(format))

talk(microphone).pipe(
  Effect.provide(Flux),
  Effect.catchTag("FluxError", (error) => Console.error(error.message)),
  Effect.provideService(References.MinimumLogLevel, "Error"),
  NodeRuntime.runMain
)
