import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSession from "../src/FluxSession.ts"
import { atCloseStream, audioTimes, chunk, collect, entries, errorOf, fork, polite, quiet, reasonOf, settings, settingsOf, start, steps, summary, update, withPeer } from "./support/session.ts"
import { connected, turnInfo } from "./support/wire.ts"

const options = { settings, id: "call" }

describe("FluxSession: bounds", () => {
  const timesOut = (peer: FakeTransport.Peer, seconds: number, audio: Stream.Stream<Uint8Array> = Stream.never) =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(audio, options)))
      yield* TestClock.adjust(seconds * 1000 - 1)
      assert.isUndefined(fiber.pollUnsafe(), "not before its bound")
      yield* TestClock.adjust(1)
      assert.isDefined(fiber.pollUnsafe(), "at its bound")
      return yield* Fiber.join(fiber)
    }).pipe(withPeer(peer))

  it.effect("opening has 15 s for the response headers", () =>
    Effect.gen(function*() {
      const { exit } = yield* timesOut({ ...polite, accept: Effect.never }, 15)
      assert.deepInclude(reasonOf(exit), { _tag: "ConnectTimeout", stage: "open", seconds: 15 })
    }))

  it.effect("Flux has 10 s to say Connected, from the headers on", () =>
    Effect.gen(function*() {
      const peer = { ...polite, accept: Effect.sleep("4 seconds"), opened: () => Effect.void }
      const { exit } = yield* timesOut(peer, 14)
      assert.deepInclude(reasonOf(exit), { _tag: "ConnectTimeout", stage: "connected", seconds: 10 })
    }))

  it.effect("the tail has 15 s after CloseStream; the words so far are promoted and the end is a normal one", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* timesOut(atCloseStream(() => Effect.void), 15, Stream.make(chunk(80)))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(seen, [
        "Connected",
        "StartOfTurn 0: hello",
        "Update 0: hello there",
        "Warning DRAIN_TIMEOUT",
        "EndOfTurn 0 closed: hello there",
        "Disconnected"
      ])
    }))

  it.effect("a server that goes mute with audio untold is no normal end", () =>
    Effect.gen(function*() {
      const peer = { ...polite, received: (frame: { dataType: string }, server: FakeTransport.Server) =>
        frame.dataType === "UTF8" ? Effect.void : server.say(start) }
      // 800 ms are sent, of which Flux has told 240
      const { exit, seen } = yield* timesOut(peer, 15, Stream.make(chunk(800)))
      assert.deepInclude(reasonOf(exit), { _tag: "Stalled", seconds: 15 })
      assert.include(seen, "EndOfTurn 0 lost: hello")
    }))

  it.effect("a frame that stays unwritten for 5 s fails the session", () =>
    Effect.gen(function*() {
      const { exit } = yield* timesOut({ ...quiet, received: () => Effect.never }, 5, Stream.make(chunk(80)))
      assert.deepInclude(reasonOf(exit), { _tag: "SendTimeout", seconds: 5 })
    }))

  it.effect("each step of disconnecting has 2 s, whatever hangs", () =>
    Effect.gen(function*() {
      const hung = { ...quiet, ended: () => Effect.never, released: Effect.never }
      const { exit } = yield* timesOut(hung, 4, Stream.empty)
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("closing the scope on a server that hangs ends within three steps", () =>
    Effect.gen(function*() {
      const stuck = yield* Deferred.make<void>()
      const peer: FakeTransport.Peer = {
        ...quiet,
        received: () => Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never),
        released: Effect.never
      }
      yield* Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* FluxSession.open(settings, { id: "call" }).pipe(Scope.provide(scope))
        yield* session.send(chunk(80))
        yield* Deferred.await(stuck)
        const closing = yield* fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust(3999)
        assert.isUndefined(closing.pollUnsafe())
        yield* TestClock.adjust(1)
        assert.isDefined(closing.pollUnsafe())
      }).pipe(withPeer(peer))
    }))
})

describe("FluxSession: order of closing", () => {
  it.effect("end of audio: CloseStream, the tail, the body's end, disconnect", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.make(chunk(80)), options))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "end", "disconnect Success"])
    }).pipe(withPeer(polite)))

  it.effect("the body is not ended before the server has: that would cut the tail", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.make(chunk(80)), options)))
      yield* TestClock.adjust(2999)
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream"])
      yield* TestClock.adjust(1)
      const { seen } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.slice(-2), ["EndOfTurn 0 confirmed: hello there friend", "Disconnected"])
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "end", "disconnect Success"])
    }).pipe(withPeer(atCloseStream((server) =>
      Effect.asVoid(Effect.forkDetach(Effect.delay(
        Effect.andThen(server.say(turnInfo({ event: "EndOfTurn", transcript: "hello there friend" })), server.end),
        "3 seconds"
      )))
    ))))

  it.effect("ModelStreamError after CloseStream is a normal end", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* collect(FluxSession.transcribe(Stream.make(chunk(80)), options))
      assert.isTrue(Exit.isSuccess(exit))
      assert.include(seen, "EndOfTurn 0 closed: hello there")
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "end", "disconnect Success"])
    }).pipe(withPeer(atCloseStream((server) => server.fail(new FluxError.ModelStreamError({ detail: "closed" }))))))

  it.effect("a lost connection after CloseStream, in an open turn, is no normal end", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* collect(FluxSession.transcribe(Stream.make(chunk(80)), options))
      assert.deepInclude(reasonOf(exit), { _tag: "ConnectionLost" })
      assert.include(seen, "EndOfTurn 0 lost: hello there")
    }).pipe(withPeer(atCloseStream((server) => server.fail(new FluxError.ConnectionLost({ detail: "reset" }))))))

  it.effect("a reader that fails: the turn is lost, then the error; nothing is sent, all is freed", () =>
    Effect.gen(function*() {
      const audio = Stream.concat(Stream.make(chunk(80)), Stream.never)
      const { exit, seen } = yield* collect(FluxSession.transcribe(audio, options))
      assert.deepInclude(reasonOf(exit), { _tag: "ModelStreamError", detail: "container died" })
      assert.deepStrictEqual(seen, [
        "Connected",
        "StartOfTurn 0: hello",
        "Update 0: hello there",
        "EndOfTurn 0 lost: hello there",
        "Disconnected"
      ])
      assert.deepStrictEqual(yield* steps, ["open", "disconnect Failure"])
    }).pipe(withPeer({
      ...polite,
      received: (_, server) =>
        Effect.andThen(
          Effect.andThen(server.say(start), server.say(update)),
          server.fail(new FluxError.ModelStreamError({ detail: "container died" }))
        )
    })))

  it.effect("a server that ends in mid-session is a lost connection, with its request id", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.never, options))
      const error = errorOf(exit)
      assert.strictEqual(error?.reason._tag, "ConnectionLost")
      assert.strictEqual(error?.stage, "streaming")
      assert.strictEqual(error?.requestId, "fake-0")
    }).pipe(withPeer({ ...polite, opened: (server) => Effect.andThen(server.say(connected), server.end) })))

  it.effect("Flux's Error ends the session with its code", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.never, options))
      assert.deepInclude(reasonOf(exit), { _tag: "FluxFatal", code: "INTERNAL_SERVER_ERROR" })
    }).pipe(withPeer({
      ...polite,
      opened: (server) =>
        Effect.andThen(
          server.say(connected),
          server.say(JSON.stringify({ type: "Error", sequence_id: 1, code: "INTERNAL_SERVER_ERROR", description: "x" }))
        )
    })))

  it.effect("an audio source that fails: its words are drained and promoted, then its own error", () =>
    Effect.gen(function*() {
      const audio = Stream.concat(Stream.make(chunk(80)), Stream.fail("microphone unplugged"))
      const { exit, seen } = yield* collect(FluxSession.transcribe(audio, options))
      assert.deepStrictEqual(exit, Exit.fail("microphone unplugged"))
      assert.deepStrictEqual(seen.slice(-2), ["EndOfTurn 0 closed: hello there", "Disconnected"])
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "end", "disconnect Success"])
    }).pipe(withPeer(polite)))

  it.effect("a source that dies is not swallowed", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.die("bug"), options))
      assert.isTrue(Exit.hasDies(exit))
    }).pipe(withPeer(polite)))

  it.effect("interruption: CloseStream, no waiting for the tail, disconnect", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.concat(Stream.make(chunk(80)), Stream.never), options)))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "disconnect Failure"])
    }).pipe(withPeer({ ...polite, received: () => Effect.void })))

  it.effect("a consumer that takes one event and leaves closes the session", () =>
    Effect.gen(function*() {
      yield* FluxSession.transcribe(Stream.never, options).pipe(Stream.take(1), Stream.runDrain)
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "disconnect Failure"])
    }).pipe(withPeer(quiet)))

  it.effect("when source and session both fail, the source's error is told", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.fail("unplugged"), options)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).exit, Exit.fail("unplugged"))
    }).pipe(withPeer({ ...quiet, opened: () => Effect.void })))

  it.effect("a failed write tells its own reason, however long it took", () =>
    Effect.gen(function*() {
      const audio = Stream.concat(Stream.make(chunk(80)), Stream.never)
      const fiber = yield* fork(collect(FluxSession.transcribe(audio, options)))
      yield* TestClock.adjust("6 seconds")
      assert.deepInclude(reasonOf((yield* Fiber.join(fiber)).exit), { _tag: "ConnectionLost", detail: "reset" })
    }).pipe(withPeer({
      ...quiet,
      received: () =>
        Effect.delay(
          Effect.fail(FluxError.make(new FluxError.ConnectionLost({ detail: "reset" }), "streaming")),
          "4700 millis"
        )
    })))

  it.effect("a CloseStream that cannot be written does not cut the tail", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.make(chunk(80)), options)))
      yield* TestClock.adjust("10 seconds")
      const { seen } = yield* Fiber.join(fiber)
      assert.include(seen, "EndOfTurn 0 confirmed: hello there friend")
    }).pipe(withPeer({
      ...polite,
      received: (frame, server) =>
        frame.dataType === "BINARY"
          ? server.say(start)
          : Effect.andThen(
            Effect.forkDetach(Effect.delay(
              Effect.andThen(server.say(turnInfo({ event: "EndOfTurn", transcript: "hello there friend" })), server.end),
              "9 seconds"
            )),
            Effect.fail(FluxError.make(new FluxError.ConnectionLost({ detail: "half closed" }), "streaming"))
          )
    })))

  it.effect("a stream that ends before Connected points to the settings", () =>
    Effect.gen(function*() {
      for (const end of ["end", "fail"] as const) {
        const session = yield* FluxSession.open(settings, { id: "call" }).pipe(withPeer({
          opened: (server) => end === "end" ? server.end : server.fail(new FluxError.ModelStreamError({ detail: "closed" }))
        }))
        const error = yield* Effect.flip(session.finish)
        assert.strictEqual(error.stage, "connected")
        assert.match(error.message, /settings that the deployed bundle refuses/)
      }
    }))

  it.effect("a transport that interrupts itself is a lost connection, not a quiet end", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.never, options))
      assert.deepInclude(reasonOf(exit), { _tag: "ConnectionLost" })
    }).pipe(withPeer({ ...quiet, accept: Effect.interrupt })))

  it.effect("once the session is over, whoever sends is told", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* FluxSession.open(settingsOf({ outboxLimit: 5120 }), { id: "call" }).pipe(Scope.provide(scope))
      yield* session.send(chunk(160))
      const waiting = yield* fork(Effect.exit(session.send(chunk(80))))
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(session.send(chunk(80)))))
      assert.isFalse(session.offerUnsafe(chunk(80)))
    }).pipe(withPeer({ ...quiet, opened: () => Effect.void })))

  it.effect("a transport that dies is a failure for those who send, too", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(session.finish)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(session.send(chunk(80)))))
    }).pipe(withPeer({ ...quiet, accept: Effect.die("bug") })))

  it.effect("a transport that refuses interruption outlives no bound", () =>
    Effect.gen(function*() {
      const stubborn = Effect.uninterruptible(Effect.never)
      const opening = yield* FluxSession.open(settings, { id: "call" }).pipe(withPeer({ accept: stubborn }))
      const failing = yield* fork(Effect.exit(opening.finish))
      yield* TestClock.adjust("17 seconds")
      // freeing what never opened has its own bound
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(reasonOf(yield* Fiber.join(failing)), { _tag: "ConnectTimeout" })

      const scope = yield* Scope.make()
      const session = yield* FluxSession.open(settings, { id: "call" }).pipe(
        Scope.provide(scope),
        withPeer({ ...quiet, received: () => stubborn })
      )
      yield* session.send(chunk(80))
      yield* TestClock.adjust(0)
      const closing = yield* fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("6 seconds")
      assert.isDefined(closing.pollUnsafe())
    }))

  it.effect("interruption while opening frees what was begun", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.never, options)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* steps, ["open", "disconnect Failure"])
    }).pipe(withPeer({ accept: Effect.never })))
})

describe("FluxSession: the silence watchdog", () => {
  const talk = Effect.fnUntraced(function*(chunkMillis: number) {
    const session = yield* FluxSession.open(settings, { id: "call" })
    yield* session.connected
    yield* session.send(chunk(chunkMillis))
    yield* TestClock.adjust(0)
    return session
  })
  const silenceAfter = (offered: number) =>
    Effect.map(audioTimes, (times) => times.slice(offered))
  /** A turn that never ends by itself. */
  const opensTurn: FakeTransport.Peer = {
    ...polite,
    received: (frame, server) => (frame.dataType === "UTF8" ? server.end : server.say(update))
  }

  it.effect("first frame 500 ms after the last chunk, then one every 80 ms", () =>
    Effect.gen(function*() {
      yield* talk(80)
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(yield* silenceAfter(1), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* silenceAfter(1), [500])
      yield* TestClock.adjust(240)
      assert.deepStrictEqual(yield* silenceAfter(1), [500, 580, 660, 740])
      const silence = (yield* entries).at(-1)
      assert.strictEqual(silence?.detail, "2560")
    }).pipe(withPeer(opensTurn)))

  it.effect("a source of 400 ms chunks is given twice its chunk", () =>
    Effect.gen(function*() {
      yield* talk(400)
      yield* TestClock.adjust(799)
      assert.deepStrictEqual(yield* silenceAfter(5), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* silenceAfter(5), [800])
    }).pipe(withPeer(opensTurn)))

  it.effect("stops when audio comes again, and waits anew", () =>
    Effect.gen(function*() {
      const session = yield* talk(80)
      yield* TestClock.adjust(580)
      yield* session.send(chunk(80))
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(yield* silenceAfter(1), [500, 580, 580])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual((yield* silenceAfter(1)).at(-1), 1080)
    }).pipe(withPeer(opensTurn)))

  it.effect("keeps still when Flux has gone on to the next turn without an EndOfTurn", () =>
    Effect.gen(function*() {
      yield* talk(80)
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* silenceAfter(1), [])
    }).pipe(withPeer({
      ...polite,
      received: (_, server) => Effect.andThen(server.say(start), server.say(turnInfo({ event: "Update", turn: 1 })))
    })))

  it.effect("is there for a turn that was told before Connected, and for one with the words of a turn given up", () =>
    Effect.gen(function*() {
      const session = yield* talk(80)
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(yield* silenceAfter(1), [500])
      yield* TestClock.adjust("15 seconds")
      const before = (yield* audioTimes).length
      assert.strictEqual(before, 126)
      yield* session.send(chunk(80))
      yield* TestClock.adjust(500)
      assert.strictEqual((yield* audioTimes).length, before + 2)
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let frames = 0
      return {
        opened: (server) => Effect.andThen(server.say(update), server.say(connected)),
        received: ({ bytes }, server) => {
          // but for samples that keep the session alive
          if (bytes.length > 2) frames += 1
          return server.say(frames === 127 ? turnInfo({ event: "StartOfTurn", turn: 1, transcript: "hello there" }) : update)
        }
      }
    }))))

  it.effect("half a sample does not stop it", () =>
    Effect.gen(function*() {
      const session = yield* talk(80)
      yield* session.send(new Uint8Array(1))
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(yield* silenceAfter(1), [500])
    }).pipe(withPeer(opensTurn)))

  it.effect("keeps still outside a turn", () =>
    Effect.gen(function*() {
      yield* talk(80)
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* silenceAfter(1), [])
    }).pipe(withPeer(quiet)))

  it.effect("keeps still while the server does not take what was offered", () =>
    Effect.gen(function*() {
      yield* talk(80)
      yield* TestClock.adjust("10 seconds")
      // taken after 4 s; had silence gathered meanwhile, it would come all at once
      const times = yield* silenceAfter(1)
      assert.isAbove(times.length, 10)
      times.forEach((at, i) => assert.isAtLeast(at, 4000 + i * 80))
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let taken = false
      return {
        ...polite,
        opened: (server) => Effect.andThen(server.say(connected), server.say(update)),
        received: (frame, server) => {
          const first = !taken
          taken = true
          return frame.dataType === "UTF8" ? server.end : first ? Effect.sleep("4 seconds") : Effect.void
        }
      }
    }))))

  it.effect("at the cap of eotTimeoutMs + 5 s the turn ends and the session lives", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      const seen: Array<string> = []
      yield* fork(Stream.runForEach(session.events, (event) =>
        Effect.sync(() => void seen.push(summary(event)))))
      yield* session.connected
      yield* session.send(chunk(80))
      // 10 s of silence are 125 frames: the last is sent at 500 + 124 * 80 ms, and 80 ms later it is over
      yield* TestClock.adjust(500 + 125 * 80 - 1)
      assert.strictEqual((yield* silenceAfter(1)).length, 125)
      assert.deepStrictEqual(seen.filter((line) => line.startsWith("EndOfTurn")), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(seen.filter((line) => line.startsWith("EndOfTurn")), ["EndOfTurn 0 closed: hello there"])
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* silenceAfter(1)).length, 125)
      assert.strictEqual(yield* session.status, "ready")
    }).pipe(withPeer({
      ...polite,
      received: (frame, server) => (frame.dataType === "UTF8" ? server.end : server.say(update))
    })))
})

describe("FluxSession: ends and consumers", () => {
  it.effect("finish: silence goes on until Flux ends the turn, then CloseStream", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.make(chunk(80)), { ...options, finish: "silence" })))
      yield* TestClock.adjust("20 seconds")
      const { seen } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.slice(-2), ["EndOfTurn 0 confirmed: hello there", "Disconnected"])
      // the chunk at 0, ten frames of silence from 0 on every 80 ms
      assert.deepStrictEqual(yield* audioTimes, [0, ...Array.from({ length: 10 }, (_, i) => i * 80)])
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let frames = 0
      return {
        ...polite,
        received: (frame, server) => {
          if (frame.dataType === "UTF8") return server.end
          frames += 1
          return server.say(
            frames === 11
              ? turnInfo({ event: "EndOfTurn", transcript: "hello there", end: frames * 0.08 })
              : turnInfo({ event: "Update", transcript: "hello there", end: frames * 0.08 })
          )
        }
      }
    }))))

  it.effect("finish: silence counts time, not frames, with a server that is slow to take them", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.make(chunk(80)), { ...options, finish: "silence" })))
      yield* TestClock.adjust("40 seconds")
      assert.isDefined(fiber.pollUnsafe())
    }).pipe(withPeer({
      ...polite,
      received: (frame, server) => frame.dataType === "UTF8" ? server.end : Effect.delay(server.say(start), "4 seconds")
    })))

  it.effect("finish: silence gives up at eotTimeoutMs + 2 s", () =>
    Effect.gen(function*() {
      const fiber = yield* fork(collect(FluxSession.transcribe(Stream.make(chunk(80)), { ...options, finish: "silence" })))
      yield* TestClock.adjust(6999)
      assert.deepStrictEqual(yield* steps, ["open"])
      yield* TestClock.adjust(41)
      assert.deepStrictEqual(yield* steps, ["open", "text CloseStream", "end", "disconnect Success"])
      yield* Fiber.join(fiber)
    }).pipe(withPeer(polite)))

  it.effect("a consumer slower than every bound hears every change of turn, and the session lives", () =>
    Effect.gen(function*() {
      const turns = 5
      const seen: Array<string> = []
      const audio = Stream.fromIterable(Array.from({ length: turns }, () => chunk(80))).pipe(
        Stream.mapEffect((pcm) => Effect.delay(Effect.succeed(pcm), "2 seconds"))
      )
      const fiber = yield* fork(
        FluxSession.transcribe(audio, options).pipe(
          Stream.runForEach((event) =>
            Effect.delay(Effect.sync(() => void seen.push(summary(event))), "60 seconds")
          ),
          Effect.exit
        )
      )
      yield* TestClock.adjust("30 minutes")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
      const changes = seen.filter((line) => /^(StartOfTurn|EndOfTurn)/.test(line))
      assert.deepStrictEqual(
        changes,
        Array.from({ length: turns }, (_, i) => [`StartOfTurn ${i}: a`, `EndOfTurn ${i} confirmed: a b c`]).flat()
      )
      // of two Updates in a row that waited, the first was superseded
      assert.include(seen, "Update 4: a b c")
      assert.notInclude(seen, "Update 4: a b")
    }).pipe(Effect.provide(FakeTransport.layerPeer(() => {
      let turn = -1
      return {
        ...polite,
        received: (frame, server) => {
          if (frame.dataType === "UTF8") return server.end
          turn += 1
          const say = (event: string, transcript: string) => server.say(turnInfo({ event, turn, transcript }))
          return say("StartOfTurn", "a").pipe(
            Effect.andThen(say("Update", "a b")),
            Effect.andThen(say("Update", "a b c")),
            Effect.andThen(say("EndOfTurn", "a b c"))
          )
        }
      }
    }))))

  it.effect("a consumer that never reads makes it overflow, not grow; its turns still end", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.send(chunk(80))
      const error = yield* Effect.flip(session.finish)
      assert.deepInclude(error.reason, { _tag: "BufferOverflow", buffer: "events", limit: 4096 })
      const { seen } = yield* collect(session.events)
      const count = (type: string) => seen.filter((line) => line.startsWith(type)).length
      assert.strictEqual(count("StartOfTurn"), count("EndOfTurn"))
      assert.strictEqual(seen.at(-1), "Disconnected")
    }).pipe(withPeer({
      ...polite,
      received: (_, server) =>
        Effect.forEach(Array.from({ length: 2100 }, (_, turn) => turn), (turn) =>
          Effect.andThen(
            server.say(turnInfo({ event: "StartOfTurn", turn, transcript: "a" })),
            server.say(turnInfo({ event: "EndOfTurn", turn, transcript: "a" }))
          ), { discard: true })
    })))

  it.effect("audio sent before Connected waits, in order, and nothing goes out before it", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.send(chunk(80))
      yield* session.send(chunk(40))
      assert.isTrue(session.offerUnsafe(chunk(40)))
      yield* TestClock.adjust(2999)
      assert.deepStrictEqual(yield* audioTimes, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* audioTimes, [3000, 3000])
    }).pipe(withPeer({ ...quiet, opened: (server) => Effect.delay(server.say(connected), "3 seconds") })))

  it.effect("a part of a frame is let go after 80 ms, and at the end", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.connected
      yield* session.send(chunk(50))
      yield* TestClock.adjust(79)
      assert.deepStrictEqual(yield* audioTimes, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* audioTimes, [80])
      yield* session.send(chunk(30))
      yield* session.finish
      const sizes = (yield* entries).filter((entry) => entry.what === "audio").map((entry) => entry.detail)
      assert.deepStrictEqual(sizes, ["1600", "960"])
    }).pipe(withPeer(quiet)))

  it.effect("a full outbox suspends the sender and refuses the callback", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settingsOf({ outboxLimit: 5120 }), { id: "call" })
      yield* session.send(chunk(160))
      assert.isFalse(session.offerUnsafe(chunk(10)))
      const waiting = yield* fork(session.send(chunk(80)))
      yield* TestClock.adjust(999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isDefined(waiting.pollUnsafe())
      yield* session.finish
      assert.strictEqual((yield* audioTimes).length, 3)
    }).pipe(withPeer({ ...quiet, opened: (server) => Effect.delay(server.say(connected), "1 second") })))

  it.effect("what is broken is a Warning with its field, what is unknown passes, and the call lives", () =>
    Effect.gen(function*() {
      const events: Array<FluxEvent> = []
      yield* Stream.runForEach(FluxSession.transcribe(Stream.make(chunk(80)), options), (event) =>
        Effect.sync(() => void events.push(event)))
      const warnings = events.flatMap((event) => (event.type === "Warning" ? [event.description] : []))
      assert.strictEqual(warnings.length, 2)
      assert.match(warnings[0] ?? "", /not JSON/)
      assert.match(warnings[1] ?? "", /TurnInfo.*audio_window_end/)
      const unknown = events.flatMap((event) => (event.type === "Unrecognized" ? [event.messageType] : []))
      assert.deepStrictEqual(unknown, ["Metadata", "TurnInfo TurnPondered"])
    }).pipe(withPeer({
      ...quiet,
      opened: (server) =>
        Effect.forEach([
          connected,
          "}",
          turnInfo({ event: "Update", extra: { audio_window_end: "soon" } }),
          JSON.stringify({ type: "Metadata", duration: 3 }),
          turnInfo({ event: "TurnPondered" })
        ], server.say, { discard: true })
    })))

  it.effect("an unreadable Connected fails the session", () =>
    Effect.gen(function*() {
      const { exit } = yield* collect(FluxSession.transcribe(Stream.never, options))
      assert.deepInclude(reasonOf(exit), { _tag: "MalformedFrame" })
    }).pipe(withPeer({ ...quiet, opened: (server) => server.say(JSON.stringify({ type: "Connected" })) })))
})
