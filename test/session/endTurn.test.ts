/** `endTurn`: by ForceEndTurn where Flux takes it, else by silence. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type * as FluxError from "../../src/FluxError.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import { profiles } from "../../src/FluxTransport.ts"
import * as Script from "../../src/simulator/Script.ts"
import { chunk, collect, entries, fork, settings, summary } from "../support/session.ts"
import { draw } from "../support/sound.ts"
import { connected, turnInfo } from "../support/wire.ts"

const script = Script.fromText("one two three\nfour five six")
const narrow = FakeTransport.layer({ script })
const wide = FakeTransport.layer({ script, profile: "hosted-2026-09" })
const texts = Effect.map(entries, (all) => all.flatMap(({ detail, what }) => (what === "text" ? [detail] : [])))
const sizes = Effect.map(entries, (all) => all.flatMap(({ at, detail, what }) => (what === "audio" ? [[at, Number(detail)]] : [])))

const speaking = (pattern: string, id = "call") =>
  Effect.gen(function*() {
    const session = yield* FluxSession.open(settings, { id })
    const seen: Array<string> = []
    yield* fork(Stream.runForEach(session.events, (event) => Effect.sync(() => void seen.push(summary(event)))).pipe(Effect.ignore))
    yield* session.connected
    yield* session.send(draw(pattern))
    yield* TestClock.adjust(0)
    return { session, ends: () => seen.filter((line) => line.startsWith("EndOfTurn")), seen }
  })

describe("endTurn by ForceEndTurn", () => {
  it.effect("comes behind all audio offered so far, and completes with the turn", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("vvvvvvvv")
      yield* session.send(draw("vv").subarray(0, 3000))
      yield* session.endTurn
      // a word for every four voiced frames, and the ninth begins the third
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 confirmed: one two three"])
      assert.deepStrictEqual(yield* texts, [`{"type":"ForceEndTurn"}`])
      // the audio before it, with the part of a frame
      assert.strictEqual((yield* sizes).reduce((sum, [, bytes]) => sum + (bytes ?? 0), 0), 8 * 2560 + 3000)
      assert.strictEqual((yield* entries).at(-1)?.what, "text")
    }).pipe(Effect.provide(wide)))

  it.effect("is not sent where there is nothing to end", () =>
    Effect.gen(function*() {
      const { session } = yield* speaking("")
      yield* session.endTurn
      assert.deepStrictEqual(yield* texts, [])
    }).pipe(Effect.provide(wide)))

  it.effect("completes when Flux says that no turn is open", () =>
    Effect.gen(function*() {
      const { seen, session } = yield* speaking("....")
      yield* session.endTurn
      assert.deepStrictEqual(seen, ["Connected", "Warning FORCE_END_TURN_NO_ACTIVE_TURN"])
    }).pipe(Effect.provide(wide)))

  it.effect("is sent once for all who ask at once", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("vvvvvvvv")
      yield* Effect.all([session.endTurn, session.endTurn, session.endTurn], { concurrency: "unbounded" })
      assert.strictEqual((yield* texts).length, 1)
      assert.strictEqual(ends().length, 1)
    }).pipe(Effect.provide(wide)))

  it.effect("is sent once, also where Flux ends the turn short of all audio", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("vvv")
      yield* Effect.all([session.endTurn, session.endTurn], { concurrency: "unbounded" })
      assert.strictEqual((yield* texts).length, 1)
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 confirmed: one"])
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => ({
      opened: (server) => server.say(connected),
      received: (frame, server) => {
        if (frame.dataType === "BINARY") return server.say(turnInfo({ event: "Update", transcript: "one", end: 0.08 }))
        return new TextDecoder().decode(frame.bytes).includes("Close")
          ? server.end
          : server.say(turnInfo({ event: "EndOfTurn", transcript: "one", end: 0.08 }))
      }
    }), { capabilities: profiles["hosted-2026-09"] }))))

  it.effect("whose answer never comes gives the turn up after eotTimeoutMs + 2 s", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("v")
      const ending = yield* fork(session.endTurn)
      yield* TestClock.adjust("6999 millis")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(ending)))
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 closed: one"])
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => ({
      opened: (server) => server.say(connected),
      received: (frame, server) =>
        frame.dataType === "BINARY"
          ? server.say(turnInfo({ event: "Update", transcript: "one", end: 0.08 }))
          : new TextDecoder().decode(frame.bytes).includes("Close") ? server.end : Effect.void
    }), { capabilities: profiles["hosted-2026-09"] }))))
})

describe("endTurn by silence", () => {
  it.effect("sends it in real time until Flux ends the turn", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("vvvvvvvv")
      const ending = yield* fork(session.endTurn)
      // nine silent frames are 0.72 s, over the threshold of 0.7; the first one goes at once
      yield* TestClock.adjust("639 millis")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("81 millis")
      assert.isDefined(ending.pollUnsafe())
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 confirmed: one two three"])
      assert.deepStrictEqual(yield* texts, [])
      const silence = (yield* sizes).slice(8)
      assert.deepStrictEqual(silence, Array.from({ length: 9 }, (_, i) => [i * 80, 2560]))
    }).pipe(Effect.provide(narrow)))

  it.effect("keeps audio that is offered meanwhile for the next turn", () =>
    Effect.gen(function*() {
      const { ends, seen, session } = yield* speaking("vvvvvvvv")
      const ending = yield* fork(session.endTurn)
      yield* session.send(draw("vvvvvvvv"))
      assert.strictEqual((yield* session.buffered).outboxBytes, 8 * 2560)
      yield* TestClock.adjust("720 millis")
      yield* Fiber.join(ending)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* session.buffered).outboxBytes, 0)
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 confirmed: one two three"])
      assert.include(seen, "StartOfTurn 1: four")
    }).pipe(Effect.provide(narrow)))

  it.effect("sends nothing where no turn is open and all audio is answered", () =>
    Effect.gen(function*() {
      const { session } = yield* speaking("...")
      yield* TestClock.adjust(0)
      yield* session.endTurn
      assert.strictEqual((yield* sizes).length, 3)
    }).pipe(Effect.provide(narrow)))

  const stubborn = FakeTransport.layerPeer(() => {
    let frames = 0
    return {
      opened: (server) => server.say(connected),
      received: (frame, server) => {
        if (frame.dataType === "UTF8") return server.end
        frames += 1
        return server.say(turnInfo({ event: "Update", transcript: "one", end: frames * 0.08 }))
      }
    }
  })

  it.effect("gives a turn up that Flux does not end, after eotTimeoutMs + 2 s, and lets the audio go on", () =>
    Effect.gen(function*() {
      const { ends, session } = yield* speaking("v")
      const ending = yield* fork(session.endTurn)
      yield* session.send(chunk(80))
      yield* TestClock.adjust("6999 millis")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("81 millis")
      assert.isDefined(ending.pollUnsafe())
      assert.deepStrictEqual(ends(), ["EndOfTurn 0 closed: one"])
      assert.strictEqual((yield* session.buffered).outboxBytes, 0)
      // the watchdog adds none of its own: a frame at first, one every 80 ms, and what was kept
      assert.strictEqual((yield* sizes).length, 1 + 88 + 1)
    }).pipe(Effect.provide(stubborn)))

  it.effect("that is interrupted lets the audio go on", () =>
    Effect.gen(function*() {
      const { session } = yield* speaking("v")
      const ending = yield* fork(session.endTurn)
      yield* session.send(chunk(80))
      yield* TestClock.adjust("160 millis")
      yield* Fiber.interrupt(ending)
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* session.buffered).outboxBytes, 0)
    }).pipe(Effect.provide(stubborn)))

  it.effect("ends with the session: by finish well, by a failure with its error", () =>
    Effect.gen(function*() {
      const { session } = yield* speaking("v")
      const ending = yield* fork(session.endTurn)
      const finishing = yield* fork(session.finish)
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(ending)))
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(finishing)))
      // afterwards there is no turn to end
      yield* session.endTurn
    }).pipe(Effect.provide(stubborn)))

  it.effect("does not outlive the Scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* FluxSession.open(settings, { id: "call" }).pipe(Scope.provide(scope))
      yield* session.connected
      yield* session.send(chunk(80))
      yield* TestClock.adjust(0)
      const ending = yield* fork(Effect.exit(session.endTurn))
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.isDefined(ending.pollUnsafe())
    }).pipe(Effect.provide(stubborn)))

  it.effect("fails with a session that fails", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(Effect.scoped(Effect.gen(function*() {
        const session = yield* FluxSession.open(settings, { id: "call" })
        yield* session.send(draw("vvvvvvvv"))
        yield* fork(collect(session.events))
        yield* TestClock.adjust(0)
        return yield* Effect.flip(session.endTurn)
      })))
      yield* TestClock.adjust("10 seconds")
      const error: FluxError.FluxError = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "ModelStreamError")
    }).pipe(Effect.provide(FakeTransport.layer({ script, faults: [{ fault: "model-stream-error", at: 1 }] }))))
})
