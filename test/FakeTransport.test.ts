import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import { FluxTransport, type Frame, profiles } from "../src/FluxTransport.ts"
import * as Fault from "../src/simulator/Fault.ts"
import * as Profile from "../src/simulator/Profile.ts"
import * as Recording from "../src/simulator/Recording.ts"
import * as Script from "../src/simulator/Script.ts"
import * as Stamp from "../src/simulator/Stamp.ts"
import * as Transcriber from "../src/Transcriber.ts"
import * as faultTable from "./support/faultTable.ts"
import { baseQuery, closeStream } from "./support/flux.ts"
import { once } from "./support/session.ts"
import { draw } from "./support/sound.ts"

const layer = (options: FakeTransport.Options) =>
  Transcriber.layer.pipe(Layer.provideMerge(FakeTransport.layer(options)), Layer.provide(FluxSettings.layer()))

describe("FakeTransport", () => {
  describe("every fault is an event or a typed error, within the client's bounds", () => {
    it.effect.each(faultTable.rows)("$flag", (row) =>
      Effect.gen(function*() {
        const calling = yield* Effect.forkChild(faultTable.run(row), { startImmediately: true })
        // more than the bounds of opening, Connected, sending, draining and freeing together, and no silence for the watchdog
        yield* TestClock.adjust("12 seconds")
        if (calling.pollUnsafe() === undefined) assert.fail("hangs")
        const { error, events } = yield* Fiber.join(calling)
        assert.deepStrictEqual({ events, error }, { events: row.events, error: row.error })
        const [record] = yield* (yield* FakeTransport.FakeTransport).ledger
        const fault = faultTable.faultOf(row)
        const happened = new Set(record?.faults.map((happened) => happened.fault))
        assert.deepStrictEqual([...happened], fault.fault.startsWith("configure") ? [] : [fault.fault])
        assert.notStrictEqual(record?.ending, "open")
      }).pipe(Effect.provide(layer({ script: faultTable.script, faults: [faultTable.faultOf(row)] }))))
    it("the table has a row for each", () => {
      const told = new Set<string>(faultTable.rows.map((row) => faultTable.faultOf(row).fault))
      assert.deepStrictEqual(Fault.names.filter((name) => !told.has(name)), [])
    })
  })

  describe("a script that goes by stamps", () => {
    const script = Script.make({
      clock: "stamps",
      turns: [{ at: 0.5, words: "I would like" }, { at: 3, words: ["to", "cancel", { pause: 0.2 }, "my", "order"] }],
      faults: [{ fault: "reset", at: 3.4, session: 0 }]
    })
    const seconds = (from: number, to: number) => Stream.make(Stamp.audio(from * 16_000, (to - from) * 16_000))

    it.effect("says after a reconnect what belongs to the part of the call that is sent then", () =>
      Effect.gen(function*() {
        const heard = (audio: Stream.Stream<Uint8Array>) =>
          audio.pipe(
            Transcriber.transcribe({ retry: once }),
            Stream.runFold(
              (): ReadonlyArray<string> => [],
              (texts, event) => (event.type === "EndOfTurn" ? [...texts, event.transcript] : texts)
            )
          )
        // broken off at 3.4 s of audio, in the second turn
        const error = yield* Effect.flip(heard(seconds(0, 6)))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        // from the beginning of that turn, and from the middle of its second word
        assert.deepStrictEqual(yield* heard(seconds(2, 6)), ["to cancel my order"])
        assert.deepStrictEqual(yield* heard(seconds(3.5, 6)), ["my order"])
        const sessions = yield* (yield* FakeTransport.FakeTransport).ledger
        assert.deepStrictEqual(sessions.map(({ received }) => received.stamped.map(({ from }) => from)), [[0], [32_000], [56_000]])
      }).pipe(Effect.provide(layer({ script }))))
  })

  const open = Effect.flatMap(FluxTransport, (transport) => transport.open(baseQuery))
  const ledger = Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.ledger)
  const audio: Frame = { dataType: "BINARY", bytes: draw("vvv") }
  const close: Frame = { dataType: "UTF8", bytes: new TextEncoder().encode(closeStream) }
  const withFaults = (...faults: ReadonlyArray<Fault.Fault>) => Effect.provide(FakeTransport.layer({ faults }))

  it.effect("a connection that breaks before the response headers fails the opening", () => {
    const lines: ReadonlyArray<object> = [
      { capture: 1, content: false, startedAt: 0, capabilities: "flux-english-20260311" },
      { session: 0, at: 0, what: "open", query: baseQuery },
      { session: 0, at: 5, what: "refused", reason: { tag: "ConnectionLost", detail: "the server reset the stream (CANCEL)" } }
    ]
    const replay = Result.getOrThrow(Recording.parse(lines.map((line) => JSON.stringify(line)).join("\n")))
    return Effect.gen(function*() {
      const opening = yield* Effect.forkChild(Effect.flip(open), { startImmediately: true })
      yield* TestClock.adjust("5 millis")
      const error = yield* Fiber.join(opening)
      assert.deepInclude(error.reason, { _tag: "ConnectionLost", detail: "the server reset the stream (CANCEL)" })
      assert.strictEqual(error.stage, "open")
    }).pipe(Effect.scoped, Effect.provide(FakeTransport.layer({ replay })))
  })

  // the words are those of SageMakerTransport on node:http2; the fault table holds both to most of them
  const breaks: ReadonlyArray<readonly [Fault.Fault, reason: object]> = [
    [{ fault: "reset" }, { _tag: "ConnectionLost", detail: "Stream closed with error code NGHTTP2_INTERNAL_ERROR" }],
    [{ fault: "reset", code: 8 }, { _tag: "ConnectionLost", detail: "the server reset the stream (CANCEL)" }],
    [{ fault: "reset", code: 99 }, { _tag: "ConnectionLost", detail: "Stream closed with error code 99" }],
    [{ fault: "go-away", code: 11 }, { _tag: "ConnectionLost", detail: "Session closed with error code 11" }],
    [{ fault: "drop-socket" }, { _tag: "ConnectionLost", detail: "the server closed the connection" }],
    [{ fault: "corrupt-crc" }, { _tag: "MalformedFrame", detail: "the checksum of a message is wrong" }],
    [{ fault: "model-stream-error", errorCode: "ModelInvocationTimeExceeded" }, {
      _tag: "ModelStreamError",
      errorCode: "ModelInvocationTimeExceeded",
      detail: "An error occurred while streaming the inference response"
    }],
    [{ fault: "internal-stream-failure", as: "event" }, { _tag: "StreamFailure", errorCode: undefined }],
    [{ fault: "error-frame", code: "Surprise" }, { _tag: "StreamFailure", errorCode: "Surprise" }],
    [{ fault: "error-frame", code: "ThrottlingException" }, { _tag: "Throttled" }],
    [{ fault: "error-frame", code: "AccessDeniedException" }, { _tag: "StreamFailure", errorCode: "AccessDeniedException" }]
  ]
  it.effect.each(breaks)("%o breaks the stream as a server would", ([fault, reason]) =>
    Effect.gen(function*() {
      const connection = yield* open
      const { error, texts } = yield* drain(connection.messages)
      // what was said before is there
      assert.match(texts[0] ?? "", /"Connected"/)
      assert.deepInclude(error?.reason, reason)
      assert.deepInclude(error, { stage: "streaming", requestId: connection.requestId })
    }).pipe(withFaults(fault)))

  it.effect.each([{ fault: "reset" }, { fault: "drop-socket" }, { fault: "go-away", code: 2 }] as const)("after $fault nothing can be sent", (fault) =>
    Effect.gen(function*() {
      const connection = yield* open
      const { error } = yield* drain(connection.messages)
      assert.strictEqual(yield* Effect.flip(connection.send(audio)), error)
      assert.strictEqual(yield* Effect.flip(connection.end), error)
    }).pipe(withFaults(fault)))

  it.effect("after a reset with NO_ERROR the response has ended, and nothing can be sent", () =>
    Effect.gen(function*() {
      const connection = yield* open
      assert.strictEqual((yield* drain(connection.messages)).error, undefined)
      assert.deepInclude((yield* Effect.flip(connection.send(audio))).reason, {
        _tag: "ConnectionLost",
        detail: "the server reset the stream (NO_ERROR)"
      })
    }).pipe(withFaults({ fault: "reset", code: 0 })))

  it.effect("after a clean end it can, and nothing comes of it", () =>
    Effect.gen(function*() {
      const connection = yield* open
      yield* connection.send(close)
      const { error, texts } = yield* drain(connection.messages)
      assert.deepStrictEqual([texts.length, error], [1, undefined])
      yield* connection.send(audio)
      yield* connection.end
      const [record] = yield* ledger
      assert.deepInclude(record, { ending: "flux-closed" })
      assert.deepInclude(record?.received, { audioBytes: 0 })
    }).pipe(withFaults()))

  it.effect("a server that does not read is a send that never completes, and can be given up", () =>
    Effect.gen(function*() {
      const connection = yield* open
      for (const write of [connection.send(audio), connection.end]) {
        const writing = yield* Effect.forkChild(write, { startImmediately: true })
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(writing.pollUnsafe(), undefined)
        yield* Fiber.interrupt(writing)
      }
      assert.deepStrictEqual((yield* ledger)[0]?.received.audioBytes, 0)
    }).pipe(withFaults({ fault: "stop-reading" })))

  it.effect.each([
    ["reset", "Failure"],
    ["end", "Success"]
  ] as const)("what was not read is over with the response: %s", ([as, expected]) =>
    Effect.gen(function*() {
      const connection = yield* open
      const writing = yield* Effect.forkChild(Effect.exit(connection.send(audio)), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(writing))._tag, expected)
      assert.strictEqual((yield* Effect.exit(connection.end))._tag, expected)
    }).pipe(withFaults({ fault: "stop-reading" }, { fault: "lifetime", seconds: 5, as })))

  it.effect("nothing can be sent once the request body has ended", () =>
    Effect.gen(function*() {
      const connection = yield* open
      yield* connection.end
      const error = yield* Effect.flip(connection.send(audio))
      assert.deepInclude(error.reason, { _tag: "ConnectionLost", detail: "the request has ended" })
    }).pipe(withFaults()))

  it.effect("a refusal says what the container or SageMaker said, in the client's words", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.flatMap(FluxTransport, (transport) => transport.open(`${baseQuery}&numerals=true`)))
      assert.deepInclude(error, { stage: "open", requestId: "fake-0" })
      assert.deepInclude(error.reason, { _tag: "Rejected", originalStatusCode: 424 })
      assert.match(error.message, /Failed to establish WebSocket connection/)
      // the true reason is for the ledger alone
      assert.notMatch(error.message, /unknown parameter/)
      assert.deepInclude((yield* ledger)[0], { ending: "refused", reason: "unknown parameter numerals" })
    }).pipe(withFaults()))

  it.effect("an opening that is given up, and a connection that is freed, are lost to the endpoint", () =>
    Effect.gen(function*() {
      const opening = yield* Effect.forkChild(Effect.scoped(open), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(opening)
      const scope = yield* Scope.make()
      yield* open.pipe(Scope.provide(scope))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* ledger).map(({ ending }) => ending), ["lost", "open"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* ledger).map(({ endedAt, ending }) => [ending, endedAt]), [["lost", 1000], ["lost", 2000]])
    }).pipe(withFaults({ fault: "no-headers", session: 0 })))

  it.effect("timers of a connection that is gone do nothing", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* open.pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual((yield* ledger)[0]?.faults, [])
      assert.deepInclude((yield* ledger)[0], { ending: "lost", endedAt: 0 })
    }).pipe(withFaults()))

  it.effect("max-streams counts the sessions open now", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* open.pipe(Scope.provide(scope))
      assert.strictEqual((yield* Effect.flip(Effect.scoped(open))).reason._tag, "Rejected")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.scoped(open)
      assert.deepStrictEqual((yield* ledger).map(({ ending }) => ending), ["lost", "refused", "lost"])
    }).pipe(withFaults({ fault: "max-streams", streams: 1 })))

  it.effect("the client is told what the profile takes, unless told otherwise", () =>
    Effect.gen(function*() {
      const told = (options: FakeTransport.Options) =>
        Effect.map(FluxTransport, ({ capabilities }) => capabilities).pipe(Effect.provide(FakeTransport.layer(options)))
      for (const name of ["flux-english-20260311", "flux-multi-20260417", "hosted-2026-09"] as const) {
        assert.deepStrictEqual(yield* told({ profile: name }), profiles[name])
        assert.deepStrictEqual(yield* told({ profile: Profile.profiles[name] }), profiles[name])
      }
      assert.deepStrictEqual(yield* told({}), profiles["flux-english-20260311"])
      const capabilities = { ...profiles["hosted-2026-09"], numerals: false }
      assert.deepStrictEqual(yield* told({ profile: "flux-english-20260311", capabilities }), capabilities)
    }))
})

/** Everything that is said, and how it ended; what is no typed error is a defect of the test. */
const drain = <E>(messages: Stream.Stream<string, E>) =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    const exit = yield* Effect.exit(Stream.runForEach(messages, (text) => Effect.sync(() => texts.push(text))))
    if (Exit.isSuccess(exit)) return { texts, error: undefined }
    const [reason] = exit.cause.reasons
    return reason !== undefined && Cause.isFailReason(reason)
      ? { texts, error: reason.error }
      : yield* Effect.die(Cause.squash(exit.cause))
  })
