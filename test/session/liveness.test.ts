/** A session that is up stays up for as long as Flux lives, and not a bound longer. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import * as Script from "../../src/simulator/Script.ts"
import { chunk, collect, entries, errorOf, fork, polite, quiet, reasonOf, settings, settingsOf, withPeer } from "../support/session.ts"
import { cut, draw, pcm16 } from "../support/sound.ts"
import { connected, turnInfo } from "../support/wire.ts"

const options = { settings, id: "call" }
/** 80 ms at a time, in real time. */
const live = (audio: Uint8Array) => Audio.paced(Stream.fromIterable(cut(audio, [2560])), pcm16)
const sizes = Effect.map(entries, (all) => all.flatMap(({ at, detail, what }) => (what === "audio" ? [[at, Number(detail)]] : [])))
const script = Script.fromText("good morning\nhow are you today")
const simulated = (faults: FakeTransport.Options["faults"] = []) => Effect.provide(FakeTransport.layer({ script, faults }))

describe("keep-alive", () => {
  it.effect("is one sample, ten seconds after whatever was sent last, for as long as nobody speaks", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.connected
      yield* TestClock.adjust("4 seconds")
      yield* session.send(chunk(80))
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* sizes, [[4000, 2560]])
      yield* TestClock.adjust("20001 millis")
      assert.deepStrictEqual(yield* sizes, [[4000, 2560], [14_000, 2], [24_000, 2], [34_000, 2]])
      // it counts from what was sent, not from its own times
      yield* session.send(chunk(80))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* sizes).length, 5)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* sizes).at(-1), [44_000, 2])
    }).pipe(withPeer(quiet)))

  it.effect("begins with Connected, and has the interval and the sample of the settings", () =>
    Effect.gen(function*() {
      const patch = { keepAliveInterval: "3 seconds", encoding: "mulaw", sampleRate: 8000 } as const
      yield* FluxSession.open(settingsOf(patch), { id: "call" })
      yield* TestClock.adjust("13 seconds")
      assert.deepStrictEqual(yield* sizes, [[8000, 1], [11_000, 1]])
    }).pipe(withPeer({ ...quiet, opened: (server) => Effect.delay(server.say(connected), "5 seconds") })))

  it.effect("is not there in an open turn, nor after the end of the audio", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settingsOf({ watchdogMinTimeout: "30 seconds" }), { id: "call" })
      yield* session.send(chunk(80))
      yield* TestClock.adjust("25 seconds")
      assert.deepStrictEqual(yield* sizes, [[0, 2560]])
      yield* session.endAudio
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual((yield* sizes).length, 1)
      // the drain's bound
      yield* TestClock.adjust("1 second")
    }).pipe(withPeer({
      ...polite,
      received: (frame, server) => frame.dataType === "UTF8" ? Effect.void : polite.received?.(frame, server) ?? Effect.void
    })))

  it.effect("does not gather for a server that does not take what was offered", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settingsOf({ sendTimeout: "40 seconds" }), { id: "call" })
      yield* session.send(chunk(80))
      yield* TestClock.adjust("34 seconds")
      assert.deepStrictEqual(yield* sizes, [[0, 2560]])
      assert.strictEqual((yield* session.buffered).outboxBytes, 0)
      yield* TestClock.adjust("2 seconds")
      const [, ...later] = yield* sizes
      assert.isAtMost(later.length, 1)
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let first = true
      return {
        ...quiet,
        received: (frame, server) => {
          const waits = first
          first = false
          return frame.dataType === "UTF8" ? server.end : waits ? Effect.sleep("35 seconds") : Effect.void
        }
      }
    }))))
})

/** Tells of every 240 ms of audio, in a turn or outside, until it has told so often; then it is mute. */
const tells = (times: number, inTurn: boolean, ends = true): FakeTransport.Peer => {
  let heard = 0
  return {
    opened: (server) => server.say(connected),
    received: (frame, server) => {
      if (frame.dataType === "UTF8") return ends ? server.end : Effect.void
      // a single sample is nothing to tell of
      if (frame.bytes.length === 2) return Effect.void
      heard += frame.bytes.length / 32_000
      if (heard * 1000 < 240 || heard > times * 0.24 + 0.001) return Effect.void
      return server.say(turnInfo({ event: "Update", transcript: inTurn ? "hello" : "", end: heard }))
    }
  }
}

describe("a Flux that goes mute", () => {
  const dies = (peer: FakeTransport.Peer, at: number, audio: Stream.Stream<Uint8Array>) =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(audio, options)))
      yield* TestClock.adjust(at - 1)
      assert.isUndefined(fiber.pollUnsafe(), "not before its bound")
      yield* TestClock.adjust(1)
      assert.isDefined(fiber.pollUnsafe(), "at its bound")
      return yield* Fiber.join(fiber)
    }).pipe(withPeer(peer))

  it.effect("in a turn is Stalled 10 s after the first audio that it did not answer", () =>
    Effect.gen(function*() {
      // told at 160 ms (the third frame) for the first and last time; the next frame goes at 240 ms
      const { exit, seen } = yield* dies(tells(1, true), 10_240, live(chunk(60_000)))
      assert.deepInclude(reasonOf(exit), { _tag: "Stalled", seconds: 10 })
      assert.strictEqual(errorOf(exit)?.stage, "streaming")
      assert.deepStrictEqual(seen.slice(-2), ["EndOfTurn 0 lost: hello", "Disconnected"])
    }))

  it.effect("between turns is Stalled, too, once it has told of idle audio", () =>
    Effect.gen(function*() {
      const { exit } = yield* dies(tells(1, false), 10_240, live(chunk(60_000)))
      assert.deepInclude(reasonOf(exit), { _tag: "Stalled", seconds: 10 })
    }))

  it.effect("between turns is not, where it has never told of idle audio", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(live(chunk(60_000)), options)))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(withPeer(quiet)))

  it.effect("is not told from one by less than two seconds of audio", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.send(chunk(240))
      yield* TestClock.adjust(0)
      // 1.92 s that nobody answers
      yield* session.send(chunk(24 * 80))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* session.status, "ready")
      yield* session.send(chunk(80))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* session.status, "ended")
      assert.deepInclude((yield* Effect.flip(session.finish)).reason, { _tag: "Stalled" })
    }).pipe(withPeer(tells(1, false))))

  it.effect("has all of its bound after a pause in which only the session was kept alive", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.send(chunk(240))
      yield* TestClock.adjust("35 seconds")
      yield* fork(Stream.runForEach(live(chunk(60_000)), session.send).pipe(Effect.ignore))
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(yield* session.status, "ready")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* session.status, "ended")
    }).pipe(withPeer(tells(1, false))))

  it.effect("after CloseStream has the bound of the drain instead", () =>
    Effect.gen(function*() {
      // told of 240 ms of 4 s; 10 s after that are over before 15 s after the end of the audio
      const fiber = yield* fork(collect(FluxSession.transcribe(live(chunk(4000)), options)))
      yield* TestClock.adjust("18900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("100 millis")
      assert.deepInclude(reasonOf((yield* Fiber.join(fiber)).exit), { _tag: "Stalled", seconds: 15 })
    }).pipe(withPeer(tells(1, true, false))))

  it.effect("any message counts as a sign of life, whatever it says", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(live(chunk(30_000)), options)))
      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(withPeer({
      ...polite,
      opened: (server) =>
        Effect.andThen(
          Effect.andThen(server.say(connected), server.say(turnInfo({ event: "StartOfTurn", transcript: "a" }))),
          Effect.forever(Effect.delay(server.say(`{"type":"Novelty"}`), "9 seconds"))
        ),
      received: () => Effect.void
    })))

  it.effect("has the bound of the settings", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settingsOf({ stallTimeout: "3 seconds" }), { id: "call" })
      yield* fork(Stream.runForEach(live(chunk(60_000)), session.send).pipe(Effect.ignore))
      yield* TestClock.adjust("3239 millis")
      assert.strictEqual(yield* session.status, "ready")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* session.status, "ended")
    }).pipe(withPeer(tells(1, true))))
})

describe("a source that pauses for 30 s", () => {
  const pause = Stream.fromEffectDrain(Effect.sleep("30 seconds"))
  const first = live(draw("vvvvvvvv..............."))
  const second = live(draw("vvvvvvvvvvvvvvvv..............."))

  it.effect("between turns keeps its session", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.concat(Stream.concat(first, pause), second), options)))
      yield* TestClock.adjust("40 seconds")
      const { exit, seen } = yield* Fiber.join(fiber)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(seen.filter((line) => !line.startsWith("Update")), [
        "Connected",
        "StartOfTurn 0: good",
        "EndOfTurn 0 confirmed: good morning",
        "StartOfTurn 1: how",
        "EndOfTurn 1 confirmed: how are you today",
        "Disconnected"
      ])
    }).pipe(simulated()))

  it.effect("in a turn keeps it, too: silence ends the turn", () =>
    Effect.gen(function*() {
      const inTurn = live(draw("vvvvvvvv"))
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.concat(Stream.concat(inTurn, pause), second), options)))
      yield* TestClock.adjust("40 seconds")
      const { exit, seen } = yield* Fiber.join(fiber)
      assert.strictEqual(exit._tag, "Success")
      assert.include(seen, "EndOfTurn 0 confirmed: good morning")
      assert.include(seen, "EndOfTurn 1 confirmed: how are you today")
    }).pipe(simulated()))

  it.effect("does not hide that Flux went mute in a turn", () =>
    Effect.gen(function*() {
      const inTurn = live(draw("vvvvvvvvvvvv"))
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.concat(inTurn, pause), options)))
      // mute from 0.5 s on; silence goes out in place of the source
      yield* TestClock.adjust("10500 millis")
      assert.deepInclude(reasonOf((yield* Fiber.join(fiber)).exit), { _tag: "Stalled" })
    }).pipe(simulated([{ fault: "mute", at: 0.5 }])))
})
