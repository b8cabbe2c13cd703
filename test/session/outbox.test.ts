/** What a session does with audio that does not fit, by policy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as Audio from "../../src/Audio.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
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

  // more than ten frames never fit, whatever is taken
  for (const outboxPolicy of ["suspend", "fail"] as const) {
    it.effect(`${outboxPolicy}: a callback's chunk that can never go in is an error that says so, and one that may is none`, () =>
      Effect.gen(function*() {
        const { session } = yield* opened({ outboxPolicy })
        const whole = Stamp.audio(0, 10 * frame)
        const tooLarge = Stamp.audio(10 * frame, 10 * frame + 1)
        /** What it is thrown, or says. */
        const offer = (pcm: Audio.Bytes): unknown => {
          const taken = Result.try(() => session.offerUnsafe(pcm))
          return Result.isSuccess(taken) ? taken.success : taken.failure instanceof FluxError.FluxError ? taken.failure.reason : taken.failure
        }
        const never = (limit: number) => ({ _tag: "BufferOverflow", buffer: "audio", limit, chunk: tooLarge.length })
        assert.deepInclude(offer(tooLarge), never(20 * frame))
        assert.deepInclude(offer(tooLarge.buffer), never(20 * frame))
        assert.isTrue(offer(whole))
        // whether it is full makes no difference
        assert.deepInclude(offer(tooLarge), never(20 * frame))
        assert.isFalse(offer(whole))
        yield* session.setMuted(true)
        assert.isTrue(offer(tooLarge), "it is not sent")
        yield* session.setMuted(false)
        yield* TestClock.adjust("5 seconds")
        assert.isTrue(offer(Stamp.audio(20 * frame + 1, 10 * frame)), "there is room again")
        yield* session.finish
        assert.isFalse(offer(tooLarge), "nothing goes in any more, of whatever size")
        assert.deepStrictEqual(yield* stamped, [[0, 10], [20 + 1 / frame, 30 + 1 / frame]])
      }).pipe(late))
  }

  it.effect("a callback's chunk that leaves no room for half a sample can never go in", () =>
    Effect.gen(function*() {
      const { session } = yield* opened({})
      assert.isTrue(session.offerUnsafe(new Uint8Array(1)))
      const error = Result.try(() => session.offerUnsafe(new Uint8Array(20 * frame)))
      assert.match(String(Result.isFailure(error) && error.failure), /A chunk of 25600 bytes can never go into the audio buffer, which holds 25599 bytes .* or raise outboxLimit/)
      assert.isTrue(session.offerUnsafe(new Uint8Array(20 * frame - 1)))
    }).pipe(late))

  it.effect("under mute any chunk goes in by and by: behind who waits, false is for now", () =>
    Effect.gen(function*() {
      const { session } = yield* opened({})
      const waiting = yield* fork(session.send(Stamp.audio(0, 25 * frame)))
      yield* session.setMuted(true)
      assert.isFalse(session.offerUnsafe(new Uint8Array(20 * frame + 2)))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(waiting)
      assert.isTrue(session.offerUnsafe(new Uint8Array(20 * frame + 2)))
    }).pipe(late))

  it.effect("fail: a sender's chunk that can never go in is refused as such", () =>
    Effect.gen(function*() {
      const { session } = yield* opened({ outboxPolicy: "fail" })
      const error = yield* Effect.flip(session.send(new Uint8Array(20 * frame + 1)))
      assert.deepInclude(error.reason, { _tag: "BufferOverflow", buffer: "audio", limit: 20 * frame, chunk: 20 * frame + 1 })
    }).pipe(late))

  it.effect("drop-oldest: of a chunk that is larger than all room the end stays, by a sender and by a callback", () =>
    Effect.gen(function*() {
      for (const how of ["send", "offer"] as const) {
        const { dropped, session } = yield* opened({ outboxPolicy: "drop-oldest" })
        const chunk = Stamp.audio(0, 25 * frame)
        if (how === "send") yield* session.send(chunk)
        else assert.isTrue(session.offerUnsafe(chunk))
        yield* TestClock.adjust("5 seconds")
        yield* session.finish
        assert.deepStrictEqual(dropped(), [[0, 15 * 0.08]], how)
      }
      assert.deepStrictEqual(yield* stamped, [[15, 25]])
    }).pipe(late))

  it.effect("what is no bytes is refused at every door, and the session lives", () =>
    Effect.gen(function*() {
      const { session } = yield* opened({})
      const text = "noise" as unknown as Uint8Array
      assert.strictEqual((yield* Effect.flip(session.send(text))).reason._tag, "UnsupportedAudio")
      assert.throws(() => session.offerUnsafe(text), FluxError.FluxError, /a chunk of audio is text, not bytes/)
      yield* session.send(Stamp.audio(0, frame))
      yield* TestClock.adjust("5 seconds")
      yield* session.finish
      const transcribed = yield* fork(Effect.exit(Stream.runDrain(
        FluxSession.transcribe(Stream.make(Stamp.audio(0, frame), text), { id: "stream", settings: settingsOf({}) })
      )))
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(reasonOf(yield* Fiber.join(transcribed)), { _tag: "UnsupportedAudio" })
      assert.deepStrictEqual(yield* stamped, [[0, 1]])
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
