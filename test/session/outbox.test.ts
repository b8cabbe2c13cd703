/** What a session does with audio that does not fit, by policy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import { fork, reasonOf, settingsOf } from "../support/session.ts"

const frame = 1280
/** Ten frames wait at the most, and Flux says Connected after five seconds. */
const late = Effect.provide(FakeTransport.layer({ script: Script.fromText("a"), faults: [{ fault: "late-connected", delay: 5000 }] }))
const opened = (patch: FluxSettings.SettingsPatch) =>
  Effect.gen(function*() {
    const session = yield* FluxSession.open(settingsOf({ outboxLimit: 10 * 2 * frame, ...patch }), { id: "call" })
    const events: Array<FluxEvent> = []
    yield* fork(Stream.runForEach(session.events, (event) => Effect.sync(() => void events.push(event))).pipe(Effect.ignore))
    const dropped = () => events.flatMap((event) => event.type === "AudioDropped" ? [[event.audioStart, event.audioEnd]] : [])
    return { session, dropped, events }
  })
const stamped = Effect.flatMap(FakeTransport.FakeTransport, (fake) =>
  Effect.map(fake.ledger, ([record]) => record?.received.stamped.map(({ from, to }) => [from / frame, to / frame])))

describe("outboxPolicy", () => {
  it.effect("suspend: whoever sends waits, and nothing is lost", () =>
    Effect.gen(function*() {
      const { dropped, session } = yield* opened({})
      const sending = yield* fork(session.send(Stamp.audio(0, 25 * frame)))
      assert.isFalse(session.offerUnsafe(Stamp.audio(25 * frame, frame)))
      assert.strictEqual((yield* session.buffered).outboxBytes, 20 * frame)
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(sending.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(sending)
      yield* session.finish
      assert.deepStrictEqual(yield* stamped, [[0, 25]])
      assert.deepStrictEqual(dropped(), [])
    }).pipe(late))

  it.effect("drop-oldest: the latest audio is there, and what went is told in conversation time, before what follows it", () =>
    Effect.gen(function*() {
      const { dropped, events, session } = yield* opened({ outboxPolicy: "drop-oldest" })
      for (let i = 0; i < 20; i++) yield* session.send(Stamp.audio(i * frame, frame))
      for (let i = 20; i < 25; i++) assert.isTrue(session.offerUnsafe(Stamp.audio(i * frame, frame)))
      assert.strictEqual((yield* session.buffered).outboxBytes, 20 * frame)
      yield* TestClock.adjust("5 seconds")
      yield* session.finish
      assert.deepStrictEqual(yield* stamped, [[15, 25]])
      assert.deepStrictEqual(dropped(), [[0, 15 * 0.08]])
      assert.deepStrictEqual(events.slice(0, 2).map(({ type }) => type), ["Connected", "AudioDropped"])
    }).pipe(late))

  it.effect("fail: the sender is told, nothing of its chunk goes in, and the session lives", () =>
    Effect.gen(function*() {
      const { dropped, session } = yield* opened({ outboxPolicy: "fail" })
      yield* session.send(Stamp.audio(0, 9 * frame))
      const error = yield* Effect.flip(session.send(Stamp.audio(9 * frame, 2 * frame)))
      assert.deepInclude(error.reason, { _tag: "BufferOverflow", buffer: "audio", limit: 20 * frame })
      assert.isFalse(session.offerUnsafe(Stamp.audio(9 * frame, 2 * frame)))
      assert.isTrue(session.offerUnsafe(Stamp.audio(9 * frame, frame)))
      yield* TestClock.adjust("5 seconds")
      yield* session.finish
      assert.deepStrictEqual(yield* stamped, [[0, 10]])
      assert.deepStrictEqual(dropped(), [])
    }).pipe(late))

  it.effect("fail ends a stream of audio that does not wait, after the words it had", () =>
    Effect.gen(function*() {
      const settings = settingsOf({ outboxLimit: 20 * frame, outboxPolicy: "fail" })
      const audio = Stream.make(Stamp.audio(0, 9 * frame), Stamp.audio(9 * frame, 9 * frame))
      const seen: Array<string> = []
      const fiber = yield* FluxSession.transcribe(audio, { id: "call", settings }).pipe(
        Stream.runForEach(({ type }) => Effect.sync(() => void seen.push(type))),
        Effect.exit,
        fork
      )
      yield* TestClock.adjust("5 seconds")
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(reasonOf(exit), { _tag: "BufferOverflow", buffer: "audio" })
      assert.deepStrictEqual([seen[0], seen.at(-1)], ["Connected", "Disconnected"])
      assert.deepStrictEqual(yield* stamped, [[0, 9]])
    }).pipe(late))

  it.effect("what was dropped is told also where the session fails before it sends again", () =>
    Effect.gen(function*() {
      const { dropped, session } = yield* opened({ outboxPolicy: "drop-oldest", connectedTimeout: "2 seconds" })
      for (let i = 0; i < 12; i++) yield* session.send(Stamp.audio(i * frame, frame))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* session.status, "ended")
      assert.deepStrictEqual(dropped(), [[0, 2 * 0.08]])
    }).pipe(late))

  it.effect("drop-oldest keeps the audio of an open turn, as long as there is other audio to drop", () =>
    Effect.gen(function*() {
      const { dropped, events, session } = yield* opened({ outboxPolicy: "drop-oldest", outboxLimit: 400 * 2 * frame, sendTimeout: "5 minutes" })
      // 0.24 s open a turn; then the server takes nothing more for a while
      for (let i = 0; i < 3; i++) yield* session.send(new Uint8Array(2 * frame).fill(i % 2 === 0 ? 0x40 : 0x3f))
      yield* TestClock.adjust(0)
      assert.include(events.map(({ type }) => type), "StartOfTurn")
      // 40 s come, of which 32 s fit: the first 15 s from 2 s before the turn are kept, what is after them goes
      for (let i = 3; i < 503; i++) yield* session.send(Stamp.audio(i * frame, frame))
      yield* TestClock.adjust("1 minute")
      const [[from = 0, to = 0] = []] = dropped()
      // the turn was told of at 0.24 s: kept is what begins before 13.24 s
      assert.closeTo(from, 0.24 - 2 + 15, 0.081)
      assert.closeTo(to - from, 100 * 0.08, 0.161)
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let frames = 0
      return {
        opened: (server) => server.say(`{"type":"Connected","request_id":"r","sequence_id":0}`),
        received: (sent, server) => {
          if (sent.dataType === "UTF8") return server.end
          frames += 1
          if (frames === 4) return Effect.sleep("50 seconds")
          return frames > 3 ? Effect.void : server.say(JSON.stringify({
            type: "TurnInfo", request_id: "r", sequence_id: frames, event: frames === 1 ? "StartOfTurn" : "Update", turn_index: 0,
            audio_window_start: 0, audio_window_end: 0.24, transcript: "a", words: [], end_of_turn_confidence: 0
          }))
        }
      }
    }))))
})
