/** A test of one's own program without a network: the fake transport, and time as the test says. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { FakeTransport, FluxSettings, Script, Transcriber } from "../src/index.ts"

const Fake = Transcriber.layer.pipe(
  Layer.provide(FakeTransport.layer({ script: Script.fromText("I would like to cancel") })),
  Layer.provide(FluxSettings.layer())
)

/** Half a second of a tone, then a second of silence: one turn. */
const samples = Int16Array.from({ length: 24_000 }, (_, i) => i < 8000 ? 8000 * Math.sin(i / 5) : 0)

it.effect("hears what the caller wants", () =>
  Effect.gen(function*() {
    const events = yield* Stream.make(new Uint8Array(samples.buffer)).pipe(Transcriber.transcribe(), Stream.runCollect)
    const ends = events.filter((event) => event.type === "EndOfTurn")
    assert.deepStrictEqual(ends.map((end) => end.transcript), ["I would like to cancel"])
  }).pipe(Effect.provide(Fake)))
