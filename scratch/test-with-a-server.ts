/** A test of one's own program over the real wire: the simulator on a free port, a container that breaks, and the ledger. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { FluxSettings, SageMakerTransport, Script, SimulatorServer, Stamp, Transcriber } from "../src/index.ts"

/** Said at these times of the call, which its audio tells, whichever session hears it. */
const script = Script.make({
  clock: "stamps",
  turns: [
    { at: 0.5, words: ["I", "would", { pause: 0.3 }, "like", "to", "cancel"] },
    { at: 4, words: "my order" }
  ],
  faults: [{ fault: "model-stream-error", session: 0, turn: 1, after: 0.2 }]
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

it.live("loses no word when the container breaks in mid-turn", () =>
  Effect.gen(function*() {
    const sixSeconds = Stamp.audio(0, 6 * 16_000)
    const events = yield* Stream.runCollect(Stream.make(sixSeconds).pipe(Transcriber.transcribe()))
    const ends = events.filter((event) => event.type === "EndOfTurn")
    assert.deepStrictEqual(ends.map((end) => end.transcript), ["I would like to cancel", "my order"])
    assert.include(events.find((event) => event.type === "Reconnecting")?.detail, "The model's stream failed")

    const { ledger } = yield* SimulatorServer.SimulatorServer
    const [broken, next] = yield* ledger
    assert.strictEqual(broken?.ending, "fault")
    // the audio says where it is from: the second session hears the open turn from before its first word
    const [heard] = next?.received.stamped ?? []
    assert.isBelow(heard?.from ?? Infinity, 4 * 16_000)
    assert.strictEqual(heard?.to, 6 * 16_000)
  }).pipe(Effect.provide(Flux)))
