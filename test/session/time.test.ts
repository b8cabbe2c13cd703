/** Conversation time and usage: with mute, keep-alive and the watchdog's silence in any mix. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import * as Script from "../../src/simulator/Script.ts"
import { entries, fork, settings } from "../support/session.ts"
import { draw } from "../support/sound.ts"
import { connected, turnInfo } from "../support/wire.ts"

const script = Script.fromText("one two\nthree four\nfive six")
const options = { id: "call" }
const ledger = Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.ledger)
const near = (actual: number | undefined, expected: number, what: string): void =>
  assert.closeTo(actual ?? Number.NaN, expected, 0.0005, what)

/** A session whose events are kept; `hear` offers frames in real time. */
const opened = Effect.gen(function*() {
  const session = yield* FluxSession.open(settings, options)
  const events: Array<FluxEvent> = []
  const listening = yield* fork(Stream.runForEach(session.events, (event) => Effect.sync(() => void events.push(event))))
  yield* session.connected
  const hear = (pattern: string) =>
    Effect.forEach([...pattern], (mark) => Effect.andThen(session.send(draw(mark)), TestClock.adjust("80 millis")), { discard: true })
  const ends = (): ReadonlyArray<Extract<FluxEvent, { readonly type: "EndOfTurn" }>> =>
    events.flatMap((event) => (event.type === "EndOfTurn" ? [event] : []))
  return { session, events, hear, ends, listening }
})

const total = (events: ReadonlyArray<FluxEvent>) =>
  events.reduce(
    (sum, event) =>
      event.type === "EndOfTurn" || event.type === "Disconnected"
        ? { audio: sum.audio + event.usage.audioSeconds, injected: sum.injected + event.usage.injectedSeconds }
        : sum,
    { audio: 0, injected: 0 }
  )

describe("conversation time", () => {
  it.effect("does not count the watchdog's silence", () =>
    Effect.gen(function*() {
      const { ends, hear, listening, session } = yield* opened
      // 0.64 s are spoken, and the source stops: silence ends the turn, 0.72 s of it
      yield* hear("vvvvvvvv")
      yield* TestClock.adjust("20 seconds")
      const [first] = ends()
      near(first?.audioStart, 0, "start of the first turn")
      near(first?.audioEnd, 0.64, "its end is where the caller stopped")
      // Flux heard 1.36 s up to the end, of which 0.64 s were offered
      assert.deepStrictEqual(first?.usage, { audioSeconds: 0.64, injectedSeconds: 0.72 })
      yield* hear("vvvvvvvv..............")
      yield* session.finish
      yield* Fiber.join(listening)
      const [, second] = ends()
      // the second turn begins with its first voiced frame, which is the ninth of the conversation
      near(second?.words[0]?.end, 0.64 + 4 * 0.08, "the first word is four frames long")
      near(second?.audioEnd, 0.64 + 8 * 0.08 + 9 * 0.08, "end of the second turn")
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))

  it.effect("does not count keep-alives", () =>
    Effect.gen(function*() {
      const { ends, hear, listening, session } = yield* opened
      yield* TestClock.adjust("1000 seconds")
      yield* hear("vvvvvvvv..............")
      yield* session.finish
      yield* Fiber.join(listening)
      const sent = (yield* entries).filter(({ detail, what }) => what === "audio" && detail === "2")
      assert.strictEqual(sent.length, 100)
      // 100 samples are 6.25 ms
      const [turn] = ends()
      // Flux hears frames of its own, which begin 6.25 ms before ours: it tells up to one frame later
      assert.isAtLeast(turn?.audioEnd ?? 0, 17 * 0.08 - 0.00625 - 0.0005)
      assert.isAtMost(turn?.audioEnd ?? 0, 18 * 0.08)
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))

  it.effect("counts what was muted, which Flux never heard", () =>
    Effect.gen(function*() {
      const { ends, hear, listening, session } = yield* opened
      yield* hear("vvvvvvvv..............")
      yield* session.setMuted(true)
      yield* hear("v".repeat(50))
      yield* session.setMuted(false)
      yield* hear("vvvvvvvv..............")
      yield* session.finish
      yield* Fiber.join(listening)
      const [first, second] = ends()
      near(first?.audioEnd, 17 * 0.08, "end of the first turn")
      near(second?.words[0]?.end, (22 + 50 + 4) * 0.08, "the first word after 4 s of mute")
      near(second?.audioEnd, (22 + 50 + 17) * 0.08, "end of the second turn")
      const [record] = yield* ledger
      near(record?.received.audioSeconds, 44 * 0.08, "what Flux heard")
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))

  it.effect("holds in a mix of mute in a turn, pauses and keep-alives; usage adds up to what was sent", () =>
    Effect.gen(function*() {
      const { ends, events, hear, listening, session } = yield* opened
      yield* hear("vvvvvvvv")
      // muted in the turn: silence at once, until it ends; the source goes on for 4 s
      yield* session.setMuted(true)
      yield* hear("v".repeat(50))
      assert.strictEqual(ends().length, 1)
      yield* session.setMuted(false)
      // the source is away for 35 s, then speaks
      yield* TestClock.adjust("35 seconds")
      yield* hear("vvvvvvvv")
      yield* TestClock.adjust("5 seconds")
      yield* session.finish
      yield* Fiber.join(listening)
      const [first, second] = ends()
      near(first?.audioEnd, 8 * 0.08, "the first turn ends where it was muted")
      // 3 samples of keep-alive shift Flux's frames by 0.2 ms
      assert.closeTo(second?.words[0]?.start ?? 0, (8 + 50) * 0.08, 0.081)
      assert.closeTo(second?.audioEnd ?? 0, (8 + 50 + 8) * 0.08, 0.001)
      const [record] = yield* ledger
      const { audio, injected } = total(events)
      near(audio, 16 * 0.08, "offered and sent")
      assert.closeTo(audio + injected, record?.received.audioSeconds ?? 0, 1e-5)
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))

  it.effect("of what ended before a gap is from before it, however late it is told", () =>
    Effect.gen(function*() {
      const { events, session } = yield* opened
      yield* session.send(draw("vvv"))
      yield* session.setMuted(true)
      yield* session.send(draw("v".repeat(25)))
      yield* session.setMuted(false)
      yield* session.send(draw("v"))
      yield* TestClock.adjust("2 seconds")
      const [start, update] = events.filter((event) => "audioEnd" in event && "transcript" in event)
      assert.deepInclude(start, { type: "StartOfTurn", audioEnd: 0.24 })
      // its word begins where the gap ends
      assert.deepInclude(update, { type: "Update", audioEnd: 2.32, words: [{ word: "one", confidence: 0.9, start: 2.24, end: 2.32 }] })
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let frames = 0
      return {
        opened: (server) => server.say(connected),
        received: (frame, server) => {
          frames += 1
          if (frame.dataType === "UTF8") return server.end
          const words = [{ word: "one", confidence: 0.9, start: 0.24, end: 0.32 }]
          return frames < 4 ? Effect.void : Effect.forEach([
            turnInfo({ event: "StartOfTurn", transcript: "one", end: 0.24 }),
            turnInfo({ event: "Update", transcript: "one", end: 0.32, extra: { words } })
          ], server.say, { discard: true })
        }
      }
    }))))

  it.effect("an odd byte before mute and after it shifts nothing", () =>
    Effect.gen(function*() {
      const { ends, hear, listening, session } = yield* opened
      const voice = draw("vvvvvvvv")
      yield* session.send(voice.subarray(0, 1))
      yield* session.setMuted(true)
      yield* session.send(voice.subarray(1, 2560))
      yield* session.setMuted(false)
      yield* session.send(voice.subarray(2560))
      yield* hear("..............")
      yield* session.finish
      yield* Fiber.join(listening)
      const [turn] = ends()
      near(turn?.audioEnd, (8 + 9) * 0.08, "in conversation time")
      const [record] = yield* ledger
      assert.strictEqual(record?.received.audioBytes, 7 * 2560 + 14 * 2560)
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))
})

describe("usage", () => {
  it.effect("is that of the turn, however much was sent before its end was told", () =>
    Effect.gen(function*() {
      const { events, listening, session } = yield* opened
      yield* session.send(draw("vvvvvvvv..............vvvvvvvv.............."))
      yield* session.finish
      yield* Fiber.join(listening)
      const told = events.flatMap((event) => (event.type === "EndOfTurn" ? [event.usage.audioSeconds] : []))
      assert.deepStrictEqual(told, [1.36, 1.76])
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))

  it.effect("is told turn by turn, and the rest at the end", () =>
    Effect.gen(function*() {
      const { events, hear, listening, session } = yield* opened
      yield* hear("vvvvvvvv..............vvvvvvvv..............")
      yield* session.finish
      yield* Fiber.join(listening)
      const told = events.flatMap((event) => event.type === "EndOfTurn" || event.type === "Disconnected" ? [event.usage] : [])
      // turns end after 9 silent frames; 5 are left of the second pause
      assert.deepStrictEqual(told, [
        { audioSeconds: 1.36, injectedSeconds: 0 },
        { audioSeconds: 1.76, injectedSeconds: 0 },
        { audioSeconds: 0.4, injectedSeconds: 0 }
      ])
    }).pipe(Effect.provide(FakeTransport.layer({ script }))))
})
