/** Tests of one's own program without a network: the fake transport, and time as the test says. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { FakeTransport, FluxSettings, Script, Transcriber } from "../src/index.ts"
import { talk } from "./early-replies.ts"

const fake = (options: FakeTransport.Options) =>
  Transcriber.layer.pipe(Layer.provide(FakeTransport.layer(options)), Layer.provide(FluxSettings.layer()))
const script = Script.fromText("I would like to cancel")

/** Half a second of a tone, then a second of silence: one turn. */
const samples = Int16Array.from({ length: 24_000 }, (_, i) => i < 8000 ? 8000 * Math.sin(i / 5) : 0)
const audio = Stream.make(new Uint8Array(samples.buffer))
const events = audio.pipe(Transcriber.transcribe())

it.effect("hears what the caller wants", () =>
  Effect.gen(function*() {
    const ends = (yield* Stream.runCollect(events)).filter((event) => event.type === "EndOfTurn")
    assert.deepStrictEqual(ends.map((end) => end.transcript), ["I would like to cancel"])
  }).pipe(Effect.provide(fake({ script }))))

it.effect("hears it although Flux goes mute in the middle of it", () =>
  Effect.gen(function*() {
    const call = yield* Effect.forkChild(Stream.runCollect(events))
    // nobody waits these seconds
    yield* TestClock.adjust("30 seconds")
    const ends = (yield* Fiber.join(call)).filter((event) => event.type === "EndOfTurn")
    assert.deepStrictEqual(ends.map((end) => end.transcript), ["I would like to cancel"])
  }).pipe(Effect.provide(fake({ script, faults: [{ fault: "mute", session: 0, turn: 0, after: 0.2 }] }))))

it.effect("its agent answers, and is asked once however long it thinks", () =>
  Effect.gen(function*() {
    const call = yield* Effect.forkChild(talk(audio))
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(call)
    const [caller, agent, ...others] = yield* TestConsole.logLines
    assert.deepStrictEqual([caller, agent], ["caller: I would like to cancel", "agent: You asked: I would like to cancel"])
    assert.strictEqual(others.length, 1)
  }).pipe(Effect.provide(fake({ script }))))
