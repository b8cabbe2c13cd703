/** A test of one's own program over the real wire: the simulator on a free port, a container that breaks, and the ledger. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { FluxSettings, SageMakerTransport, Script, SimulatorServer, Stamp, Transcriber } from "../src/index.ts"

/** Said at these times of the call, whatever its audio holds. */
const script = Script.make({
  turns: [
    { at: 0.5, words: ["I", "would", { pause: 0.3 }, "like", "to", "cancel"] },
    { at: 4, words: "my order" }
  ],
  faults: [{ fault: "model-stream-error", turn: 1, after: 0.2 }]
})

const Transport = Layer.unwrap(Effect.map(SimulatorServer.SimulatorServer, ({ certificate, url }) =>
  SageMakerTransport.layer({
    endpointName: "any-name",
    region: "us-east-1",
    endpointUrl: url,
    ca: certificate,
    credentials: { accessKeyId: "any", secretAccessKey: "any" }
  })))
const Flux = Transcriber.layer.pipe(
  Layer.provide(Transport),
  Layer.provide(FluxSettings.layer()),
  Layer.provideMerge(SimulatorServer.layer({ script, tls: true }))
)

it.live("loses no word before the container breaks, and says why it did", () =>
  Effect.gen(function*() {
    const heard: Array<string> = []
    const sixSeconds = Stamp.audio(0, 6 * 16_000)
    const error = yield* Stream.make(sixSeconds).pipe(
      Transcriber.transcribe(),
      Stream.runForEach((event) => Effect.sync(() => {
        if (event.type === "EndOfTurn") heard.push(`${event.transcript} (${event.ending})`)
      })),
      Effect.flip
    )
    assert.deepStrictEqual(heard, ["I would like to cancel (confirmed)", "my (lost)"])
    assert.strictEqual(error.reason._tag, "ModelStreamError")

    const { ledger } = yield* SimulatorServer.SimulatorServer
    const [session] = yield* ledger
    assert.strictEqual(session?.ending, "fault")
    // the audio says where it is from: all of it came, once and in order
    assert.deepStrictEqual(session?.received.stamped.map(({ from }) => from), [0])
  }).pipe(Effect.provide(Flux)))
