import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../src/Audio.ts"
import * as FakeTransport from "../src/FakeTransport.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as Script from "../src/simulator/Script.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { cut, draw, pcm16 } from "./support/sound.ts"

const script = Script.fromText("good morning\nhow are you today")
const layer = (options: FakeTransport.Options = { script }, settings: FluxSettings.SettingsPatch = {}) =>
  Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layer(options)),
    Layer.provide(FluxSettings.layer(settings))
  )
const line = (event: FluxEvent): Array<string> => {
  switch (event.type) {
    case "StartOfTurn":
    case "EagerEndOfTurn":
    case "TurnResumed":
      return [`${event.type} ${event.turn}: ${event.transcript}`]
    case "EndOfTurn":
      return [`EndOfTurn ${event.turn} ${event.ending}: ${event.transcript}`]
    case "Update":
      return []
    default:
      return [event.type]
  }
}
const lines = (events: ReadonlyArray<FluxEvent>): Array<string> => events.flatMap(line)

/** Two turns with a pause of 1.2 s after each. */
const call = draw("vvvvvvvv............... vvvvvvvvvvvvvvvv...............")

describe("Transcriber", () => {
  it.effect("gives the turns of a call, with times in seconds of it", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const events = yield* Stream.runCollect(transcriber.transcribe(Stream.fromIterable(cut(call, [999])), { id: "c1" }))
      assert.deepStrictEqual(lines(events), [
        "Connected",
        "StartOfTurn 0: good",
        "EndOfTurn 0 confirmed: good morning",
        "StartOfTurn 1: how",
        "EndOfTurn 1 confirmed: how are you today",
        "Disconnected"
      ])
      const ends = events.flatMap((event) => (event.type === "EndOfTurn" ? [event] : []))
      // 8 voiced frames and 9 silent ones (0.72 s, the first at or above 0.7); the second turn begins at frame 23
      assert.closeTo(ends[0]?.audioEnd ?? 0, 17 * 0.08, 1e-6)
      assert.closeTo(ends[1]?.audioEnd ?? 0, (23 + 16 + 9) * 0.08, 1e-6)
      assert.isTrue(events.every((event) => event.id === "c1"))
    }).pipe(Effect.provide(layer())))

  for (const closeMode of ["update", "end-of-turn"] as const) {
    it.effect(`audio cut in mid-word still gives its last words (close mode ${closeMode})`, () =>
      Effect.gen(function*() {
        // 2 s into the second turn's first pause-free stretch: 1.5 words of it are spoken
        const cutOff = call.subarray(0, 23 * 2560 + 6 * 2560 + 100)
        const events = yield* Stream.make(cutOff).pipe(Transcriber.transcribe({ id: "c" }), Stream.runCollect)
        assert.deepStrictEqual(lines(events).slice(-3), [
          "StartOfTurn 1: how",
          `EndOfTurn 1 ${closeMode === "update" ? "closed" : "confirmed"}: how are`,
          "Disconnected"
        ])
      }).pipe(Effect.provide(layer({ script, closeMode }))))
  }

  it.effect("eager and resumed follow from the threshold of the call", () =>
    Effect.gen(function*() {
      // pauses of 0.4 s inside the turn: over 0.35, under 0.7
      const pausing = draw("vvvvvvvv.....vvvvvvvv...............")
      const events = yield* Stream.make(pausing).pipe(
        Transcriber.transcribe({ settings: { eagerEotThreshold: 0.35 } }),
        Stream.runCollect
      )
      assert.deepStrictEqual(lines(events), [
        "Connected",
        "StartOfTurn 0: good",
        "EagerEndOfTurn 0: good morning",
        "TurnResumed 0: good morning",
        "EagerEndOfTurn 0: good morning",
        "EndOfTurn 0 confirmed: good morning",
        "Disconnected"
      ])
    }).pipe(Effect.provide(layer())))

  it.effect("audio that is pushed: send, finish, and the events until the end", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      const listening = yield* Effect.forkChild(Stream.runCollect(conversation.events), { startImmediately: true })
      for (const pcm of cut(call, [640])) yield* conversation.send(pcm)
      yield* conversation.finish
      assert.strictEqual(yield* conversation.status, "ended")
      assert.deepInclude(lines(yield* Fiber.join(listening)), "EndOfTurn 1 confirmed: how are you today")
      assert.match(conversation.id, /^[0-9a-f]{12}$/)
    }).pipe(Effect.provide(layer())))

  it.effect("a caller may reuse its buffer at once", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      const buffer = new Uint8Array(640)
      for (const pcm of cut(call, [640])) {
        buffer.fill(0)
        buffer.set(pcm)
        assert.isTrue(conversation.offerUnsafe(buffer))
        buffer.fill(0x55)
      }
      const listening = yield* Effect.forkChild(Stream.runCollect(conversation.events), { startImmediately: true })
      yield* conversation.finish
      assert.deepInclude(lines(yield* Fiber.join(listening)), "EndOfTurn 1 confirmed: how are you today")
    }).pipe(Effect.provide(layer())))

  it.effect("a turn whose audio stops is ended by silence, in its time", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      const ended = yield* Deferred.make<number>()
      yield* Effect.forkChild(
        Stream.runForEach(conversation.events, (event) =>
          event.type === "EndOfTurn" ? Deferred.succeed(ended, event.receivedAt) : Effect.void),
        { startImmediately: true }
      )
      yield* conversation.send(draw("vvvvvvvv"))
      yield* TestClock.adjust("5 seconds")
      // the chunk was 640 ms long, so silence starts after 1,280 ms; its ninth frame makes 0.72 s
      assert.strictEqual(yield* Deferred.await(ended), 1280 + 8 * 80)
    }).pipe(Effect.provide(layer())))

  it.effect("muted audio never arrives", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      yield* conversation.setMuted(true)
      yield* conversation.send(draw("vvvv"))
      yield* conversation.setMuted(false)
      yield* conversation.send(draw("...."))
      yield* conversation.finish
      const sent = (yield* (yield* FakeTransport.FakeTransport).entries).filter((entry) => entry.what === "audio")
      assert.strictEqual(sent.reduce((sum, entry) => sum + Number(entry.detail), 0), 4 * 2560)
    }).pipe(Effect.provide(layer())))

  it.effect("settings of the call are checked against the endpoint before anything is opened", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const error = yield* Effect.flip(transcriber.open({ settings: { numerals: true, eotThreshold: 2 } }))
      assert.strictEqual(error.reason._tag, "InvalidSettings")
      assert.match(error.message, /numerals.*|eotThreshold.*numerals/)
      assert.deepStrictEqual(yield* (yield* FakeTransport.FakeTransport).entries, [])
    }).pipe(Effect.provide(layer())))

  it.effect("settings that only a wider endpoint takes are taken there", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      yield* Stream.runDrain(transcriber.transcribe(Stream.empty, { settings: { numerals: true, eotThreshold: 1 } }))
      const opened = (yield* (yield* FakeTransport.FakeTransport).entries).find((entry) => entry.what === "open")
      assert.match(opened?.detail ?? "", /eot_threshold=1&numerals=true$/)
    }).pipe(Effect.provide(layer({ script, profile: "hosted-2026-09" }))))

  it.effect("defaults of FluxSettings reach the query string, and a call may override them", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      yield* Stream.runDrain(transcriber.transcribe(Stream.empty))
      yield* Stream.runDrain(transcriber.transcribe(Stream.empty, { settings: { eotThreshold: 0.8, tag: null } }))
      const opened = (yield* (yield* FakeTransport.FakeTransport).entries).filter((entry) => entry.what === "open")
      const base = "model=flux-general-en&encoding=linear16&sample_rate=16000"
      assert.deepStrictEqual(opened.map((entry) => entry.detail), [
        `${base}&eot_threshold=0.6&tag=a`,
        `${base}&eot_threshold=0.8`
      ])
    }).pipe(Effect.provide(layer({ script }, { eotThreshold: 0.6, tag: ["a"] }))))

  it.effect("raw messages come along only when asked for", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const starts = (raw: boolean) =>
        Effect.map(Stream.runCollect(transcriber.transcribe(Stream.make(call), { raw })), (events) =>
          events.flatMap((event) => (event.type === "StartOfTurn" ? [event] : [])))
      assert.isTrue((yield* starts(false)).every((event) => !("raw" in event)))
      assert.deepInclude((yield* starts(true))[0]?.raw, { type: "TurnInfo", event: "StartOfTurn" })
    }).pipe(Effect.provide(layer())))

  it.effect("audio is sent in frames of 80 ms however it was offered", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      yield* Stream.runDrain(transcriber.transcribe(Stream.fromIterable(cut(call, [1, 7, 4001]))))
      const sizes = (yield* (yield* FakeTransport.FakeTransport).entries).flatMap((entry) =>
        entry.what === "audio" ? [Number(entry.detail)] : [])
      assert.strictEqual(Audio.bytesOf(pcm16, 80), 2560)
      assert.deepStrictEqual([...new Set(sizes)], [2560])
      assert.strictEqual(sizes.reduce((sum, size) => sum + size, 0), call.length)
    }).pipe(Effect.provide(layer())))
})
