import { assert, describe, it, vi } from "@effect/vitest"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import type * as http2 from "node:http2"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { addAbortSignal } from "node:stream"
import * as tls from "node:tls"
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as FluxError from "../src/FluxError.ts"
import { type FluxConnection, FluxTransport, type Frame, profiles } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as endpoint from "../src/sagemaker/endpoint.ts"
import * as certificate from "../src/simulator/server/certificate.ts"
import { withEnvironment } from "./support/awsEnvironment.ts"
import * as bare from "./support/bareServer.ts"
import { credentials as keys, seedOf, vectorMillis } from "./support/rawClient.ts"
import * as steppedClock from "./support/steppedClock.ts"

const localhost = await Effect.runPromise(certificate.make("localhost"))
const credentials = { ...keys, sessionToken: "FwoGZXIvYXdzEXAMPLETOKEN" }
const query = "model=flux-general-en&encoding=linear16&sample_rate=16000&keyterm=Ahornstrasse%20Sieben"
const audio = (bytes: number): Frame => ({ dataType: "BINARY", bytes: new Uint8Array(bytes) })
const text = (body: string): Frame => ({ dataType: "UTF8", bytes: new TextEncoder().encode(body) })

/** Sends for ever; only a failure or the peer's back-pressure stops it. */
const flood = (connection: FluxConnection) => Effect.forever(connection.send(audio(60_000)))

const transportTo = (url: string, options: SageMakerTransport.Options = {}) =>
  SageMakerTransport.make({ endpointName: "my-flux", region: "us-east-1", endpointUrl: url, credentials, ...options })
const urlOf = (server: bare.BareServer): string => `http://127.0.0.1:${server.port}`

/** A file of the test server's certificate, while the test runs. */
const caFile: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "flux-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true }))
).pipe(
  Effect.map((directory) => join(directory, "ca.pem")),
  Effect.tap((file) => Effect.promise(() => writeFile(file, localhost.cert)))
)

/** An open connection with both its ends; `close` is what closing a session's scope is. */
interface Opened {
  readonly server: bare.BareServer
  readonly call: bare.Call
  readonly connection: FluxConnection
  readonly close: Effect.Effect<void>
}
const opened = (options: SageMakerTransport.Options = {}): Effect.Effect<Opened, FluxError.FluxError, Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
    const transport = yield* transportTo(urlOf(server), options)
    const scope = yield* Scope.fork(yield* Scope.Scope)
    const connection = yield* transport.open(query).pipe(Scope.provide(scope))
    return { server, call: yield* server.call, connection, close: Scope.close(scope, Exit.void) }
  })

/** The texts of a response, and the reason why it failed, if it did. */
const readAll = (connection: FluxConnection) =>
  Effect.gen(function*() {
    const texts: Array<string> = []
    const exit = yield* connection.messages.pipe(Stream.runForEach((message) => Effect.sync(() => texts.push(message))), Effect.exit)
    const failure = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    return { texts, failure }
  })
const reasonOf = (failure: unknown): FluxError.Reason | undefined => (isFluxError(failure) ? failure.reason : undefined)
const isFluxError = (value: unknown): value is FluxError.FluxError =>
  typeof value === "object" && value !== null && "_tag" in value && value._tag === "FluxError"

/** Every way in which an error is written down. */
const writtenDown = (error: unknown): string =>
  [String(error), JSON.stringify(error), inspect(error, { depth: 20, showHidden: true }), Cause.pretty(Cause.fail(error))].join("\n")
const assertSecret = (error: unknown, call?: bare.Call): void => {
  const shown = writtenDown(error)
  const secrets = [credentials.accessKeyId, credentials.secretAccessKey, credentials.sessionToken, query, "Ahornstrasse"]
  if (call !== undefined) secrets.push(seedOf(call.headers))
  for (const secret of secrets) assert.notInclude(shown, secret)
  assert.notMatch(shown, /authorization|x-amz-security-token|\$response/i)
}

describe("SageMakerTransport.open", () => {
  it.live("sends the request of protocol 5.2 and says who answered", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened({ variant: "blue" })
      assert.deepInclude(call.headers, {
        ":method": "POST",
        ":path": "/endpoints/my-flux/invocations-bidirectional-stream",
        "content-type": "application/vnd.amazon.eventstream",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        "x-amz-security-token": credentials.sessionToken,
        "x-amzn-sagemaker-model-invocation-path": "v2/listen",
        "x-amzn-sagemaker-model-query-string": query,
        "x-amzn-sagemaker-target-variant": "blue"
      })
      assert.notProperty(call.headers, "content-length")
      assert.deepStrictEqual([connection.requestId, connection.variant], ["request-1", "AllTraffic"])
      assert.strictEqual(yield* bare.expectedSeed(call, credentials), seedOf(call.headers))
    }))

  it.live("asks for no variant unless told to", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      assert.notProperty(call.headers, "x-amzn-sagemaker-target-variant")
    }))

  it.effect("signs frames in a chain from the request's signature, dated by the Clock", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      const midnight = 1_767_398_400_000
      for (const [millis, frame] of [[vectorMillis, audio(2560)], [midnight - 1, text("{}")], [midnight, audio(0)]] as const) {
        yield* TestClock.setTime(millis)
        yield* connection.send(frame)
      }
      yield* connection.end
      const frames = [yield* call.frame, yield* call.frame, yield* call.frame, yield* call.frame]
      yield* call.bodyEnded
      assert.deepStrictEqual(frames.map(bare.dateOf), [vectorMillis, midnight - 1, midnight, midnight])
      assert.deepStrictEqual(frames, [...(yield* bare.expectedFrames(call, frames, credentials))])
      assert.deepStrictEqual(frames.map((frame) => bare.decode(frame).body.length), [16 + 107 + 2560, 16 + 105 + 2, 16 + 107, 0])
      const inner = bare.decode(bare.decode(frames[1] ?? new Uint8Array()).body)
      assert.deepStrictEqual([inner.headers["DataType"]?.value, Buffer.from(inner.body).toString()], ["UTF8", "{}"])
    }))

  it.effect("dates frames by the time since the opening: a step of the wall clock in mid-call changes none", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(vectorMillis)
      const { clock, setOff } = yield* steppedClock.make
      const { call, connection } = yield* Effect.provideService(opened(), Clock.Clock, clock)
      yield* connection.send(audio(4))
      for (const step of [3_600_000, -3_600_000]) {
        setOff(step)
        yield* TestClock.adjust(80)
        yield* connection.send(audio(4))
      }
      const frames = [yield* call.frame, yield* call.frame, yield* call.frame]
      assert.deepStrictEqual(frames.map(bare.dateOf), [vectorMillis, vectorMillis + 80, vectorMillis + 160])
    }))

  it.live("keeps the chain whole when senders are interrupted", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      call.stream.pause()
      // Sends until a frame waits for the peer, and gives that up; then two more behind it.
      assert.strictEqual((yield* flood(connection).pipe(Effect.timeoutOption("100 millis")))._tag, "None")
      for (let n = 0; n < 2; n++) {
        const sender = yield* connection.send(audio(n)).pipe(Effect.forkChild({ startImmediately: true }))
        assert.isUndefined(sender.pollUnsafe())
        yield* Fiber.interrupt(sender)
      }
      call.stream.resume()
      yield* connection.send(text("after"))
      const frames: Array<Uint8Array> = []
      do frames.push(yield* call.frame)
      while (!Buffer.from(frames.at(-1) ?? []).includes("after"))
      assert.deepStrictEqual(frames, [...(yield* bare.expectedFrames(call, frames, credentials))])
      const sizes = frames.map((frame) => bare.decode(bare.decode(frame).body).body.length)
      assert.deepStrictEqual(sizes.slice(-4), [60_000, 0, 1, 5])
    }))

  it.live("signs request and frames with one identity, however often the provider changes its own", () =>
    Effect.gen(function*() {
      let asked = 0
      const provider = () => {
        asked += 1
        // Expired at once, so that the SDK never keeps them.
        return Promise.resolve({ accessKeyId: `AKID${asked}`, secretAccessKey: `secret${asked}`, expiration: new Date(0) })
      }
      const { call, connection } = yield* opened({ credentials: provider })
      yield* connection.send(audio(4))
      const signedAs = Number(/Credential=AKID(\d+)/.exec(call.headers["authorization"] ?? "")?.[1])
      const frame = yield* call.frame
      const identity = { accessKeyId: `AKID${signedAs}`, secretAccessKey: `secret${signedAs}` }
      assert.strictEqual(yield* bare.expectedSeed(call, identity), seedOf(call.headers))
      assert.deepStrictEqual([frame], [...(yield* bare.expectedFrames(call, [frame], identity))])
    }))

  it.live("trusts the certificates of caFile, and no others", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream), tls: localhost })
      const url = `https://localhost:${server.port}`
      const trusting = yield* transportTo(url, { caFile: yield* caFile })
      const connection = yield* trusting.open(query)
      assert.strictEqual(connection.variant, "AllTraffic")
      const error = yield* Effect.flatMap(transportTo(url), (transport) => transport.open(query)).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.include(error.message, `Could not connect to localhost:${server.port}: self-signed certificate`)
      assert.include(error.message, "caFile")
    }))
})

describe("SageMakerTransport messages", () => {
  const utf8 = Buffer.from(`{"transcript":"Zürich 😀"}`)
  const smile = utf8.indexOf(0xf0) + 2
  const umlaut = utf8.indexOf(0xc3) + 1

  const cases: ReadonlyArray<readonly [string, ReadonlyArray<Uint8Array>, ReadonlyArray<string>]> = [
    ["whole parts", [bare.responsePart("{}"), bare.responsePart("a"), bare.responsePart("")], ["{}", "a", ""]],
    [
      "parts split within code points",
      [
        bare.responsePart(utf8.subarray(0, umlaut), { CompletionState: "PARTIAL" }),
        bare.responsePart(utf8.subarray(umlaut, smile), { CompletionState: "PARTIAL" }),
        bare.responsePart(utf8.subarray(smile), { CompletionState: "COMPLETE" }),
        bare.responsePart("next", { CompletionState: "COMPLETE" })
      ],
      [utf8.toString(), "next"]
    ],
    ["a JSON object sent as binary", [bare.responsePart(`{"type":"Connected"}`, { DataType: "BINARY" })], [`{"type":"Connected"}`]],
    [
      "no other binary",
      [
        bare.responsePart("[1]", { DataType: "BINARY" }),
        bare.responsePart("nonsense", { DataType: "BINARY" }),
        bare.responsePart(Uint8Array.of(0x7b, 0xff, 0x7d), { DataType: "BINARY" }),
        bare.responsePart("text")
      ],
      ["text"]
    ],
    [
      "what it knows among what it does not",
      [
        bare.event({ ":message-type": "event", ":event-type": "Novelty" }, "{}"),
        bare.event({ ":message-type": "novelty" }, "{}"),
        bare.event({}, "{}"),
        bare.responsePart("text", { P: "abcdefgh" })
      ],
      ["text"]
    ]
  ]
  it.live.each(cases)("are %s", ([, frames, expected]) =>
    Effect.gen(function*() {
      for (const pieces of [frames, [Buffer.concat(frames)], Buffer.concat(frames).toString("latin1").split("").map((byte) => Buffer.from(byte, "latin1"))]) {
        const { call, connection } = yield* opened()
        for (const piece of pieces) call.stream.write(piece)
        call.stream.end()
        assert.deepStrictEqual(yield* readAll(connection), { texts: [...expected], failure: undefined })
      }
    }))

  const failures: ReadonlyArray<readonly [string, Uint8Array, object]> = [
    [
      "a ModelStreamError exception",
      bare.event({ ":message-type": "exception", ":exception-type": "ModelStreamError", ":content-type": "application/json" }, `{"Message":"m","ErrorCode":"c"}`),
      { _tag: "ModelStreamError", errorCode: "c", detail: "m" }
    ],
    [
      "a ModelStreamError event",
      bare.event({ ":message-type": "event", ":event-type": "ModelStreamError" }, `{"Message":"m"}`),
      { _tag: "ModelStreamError", errorCode: undefined, detail: "m" }
    ],
    [
      "an InternalStreamFailure exception",
      bare.event({ ":message-type": "exception", ":exception-type": "InternalStreamFailure" }, `{"Message":"m"}`),
      { _tag: "StreamFailure", errorCode: undefined, detail: "m" }
    ],
    [
      "an InternalStreamFailure event",
      bare.event({ ":message-type": "event", ":event-type": "InternalStreamFailure" }, "not JSON"),
      { _tag: "StreamFailure", errorCode: undefined, detail: "no message" }
    ],
    [
      "an unknown exception",
      bare.event({ ":message-type": "exception", ":exception-type": "Surprise" }, `{"message":"m"}`),
      { _tag: "StreamFailure", errorCode: "Surprise", detail: "m" }
    ],
    [
      "an error frame",
      bare.event({ ":message-type": "error", ":error-code": "InternalError", ":error-message": "m" }),
      { _tag: "StreamFailure", errorCode: "InternalError", detail: "m" }
    ],
    [
      "throttling as an exception",
      bare.event({ ":message-type": "exception", ":exception-type": "ThrottlingException" }, `{"message":null}`),
      { _tag: "Throttled", detail: "no message" }
    ],
    [
      "throttling as an error code",
      bare.event({ ":message-type": "exception", ":exception-type": "ModelStreamError" }, `{"Message":"slow down","ErrorCode":"Throttled"}`),
      { _tag: "Throttled", detail: "slow down" }
    ],
    ["bytes that are no frames", Buffer.from("HTTP/1.1 500 Internal Server Error\r\n"), { _tag: "MalformedFrame", detail: "the checksum of a message's prelude is wrong" }],
    [
      "a message beyond all bounds",
      Buffer.concat([0, 1, 2, 3, 4].map(() => bare.responsePart(new Uint8Array(262_144), { CompletionState: "PARTIAL" }))),
      { _tag: "BufferOverflow", buffer: "message", limit: 1_048_576 }
    ]
  ]
  it.live.each(failures)("end with %s, after what came before", ([, frame, expected]) =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      call.stream.write(Buffer.concat([bare.responsePart("before"), frame, bare.responsePart("after")]))
      const { failure, texts } = yield* readAll(connection)
      assert.deepStrictEqual(texts, ["before"])
      assert.deepInclude(reasonOf(failure), expected)
      assert.deepInclude(failure, { stage: "streaming", requestId: "request-1" })
      assertSecret(failure, call)
    }))

  const ends: ReadonlyArray<readonly [string, (stream: http2.ServerHttp2Stream) => void, string, string]> = [
    ["END_STREAM within a frame", (stream) => stream.end(bare.responsePart("half").subarray(0, 30)), "MalformedFrame", "ended within a frame"],
    [
      "END_STREAM within a fragmented message",
      (stream) => stream.end(bare.responsePart("half", { CompletionState: "PARTIAL" })),
      "MalformedFrame",
      "ended within a fragmented message"
    ],
    // Node's close(code) would send END_STREAM first.
    ["RST_STREAM CANCEL", (stream) => addAbortSignal(AbortSignal.abort(), stream), "ConnectionLost", "reset the stream (CANCEL)"],
    ["RST_STREAM INTERNAL_ERROR", (stream) => stream.destroy(new Error("broken")), "ConnectionLost", "NGHTTP2_INTERNAL_ERROR"],
    ["GOAWAY with an error", (stream) => stream.session?.goaway(11), "ConnectionLost", "code 11"],
    ["the session's end", (stream) => stream.session?.destroy(), "ConnectionLost", "the connection"],
    ["the socket's end", (stream) => stream.session?.socket.destroy(), "ConnectionLost", "the server closed the connection"]
  ]
  it.live.each(ends)("end with %s", ([, act, tag, detail]) =>
    Effect.gen(function*() {
      const { call, connection, server } = yield* opened()
      const reader = yield* readAll(connection).pipe(Effect.forkChild({ startImmediately: true }))
      call.stream.write(bare.responsePart("before"), () => act(call.stream))
      const { failure, texts } = yield* Fiber.join(reader)
      assert.deepStrictEqual(texts, ["before"])
      assert.strictEqual(reasonOf(failure)?._tag, tag)
      assert.include(writtenDown(failure), detail)
      assertSecret(failure, call)
      if (tag === "ConnectionLost") {
        const error = yield* connection.send(audio(4)).pipe(Effect.flip)
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        const unended = yield* connection.end.pipe(Effect.flip)
        assert.strictEqual(unended.reason._tag, "ConnectionLost")
      }
      assert.isAtMost(server.sockets.size, 1)
    }))

  it.live("wait for a reader in bounded memory", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      const frame = bare.responsePart("x".repeat(8000))
      let sent = 0
      // Each write waits for the one before, so what is sent is what the client took plus one.
      const stalled = yield* Effect.callback<void>((resume) => {
        const next = (error?: Error | null): void => {
          if (error != null) return
          sent += 1
          call.stream.write(frame, next)
        }
        next()
        const look = (last: number): void => void (last === sent ? resume(Effect.void) : setTimeout(look, 200, sent))
        look(-1)
      }).pipe(Effect.timeoutOption("5 seconds"))
      assert.strictEqual(stalled._tag, "Some")
      assert.isBelow(sent, 200)
      const messages = yield* connection.messages.pipe(Stream.take(300), Stream.runCount)
      assert.strictEqual(messages, 300)
    }))

  it.live("go on where a reader left off", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      call.stream.write(bare.responsePart("one"))
      assert.deepStrictEqual(yield* connection.messages.pipe(Stream.take(1), Stream.runCollect), ["one"])
      const waiting = yield* connection.messages.pipe(Stream.runDrain, Effect.forkChild({ startImmediately: true }))
      yield* Fiber.interrupt(waiting)
      call.stream.end(bare.responsePart("two"))
      assert.deepStrictEqual(yield* connection.messages.pipe(Stream.runCollect), ["two"])
    }))
})

describe("SageMakerTransport ends", () => {
  it.live("well: the response, then the empty frame and END_STREAM, then the socket", () =>
    Effect.gen(function*() {
      const { call, close, connection, server } = yield* opened()
      yield* connection.send(text(`{"type":"CloseStream"}`))
      call.stream.end(bare.responsePart("last"))
      assert.deepStrictEqual(yield* readAll(connection), { texts: ["last"], failure: undefined })
      yield* connection.end
      yield* connection.end
      yield* close
      const frames = [yield* call.frame, yield* call.frame]
      yield* call.bodyEnded
      assert.strictEqual(frames[1]?.length, 83)
      assert.deepStrictEqual(frames, [...(yield* bare.expectedFrames(call, frames, credentials))])
      assert.strictEqual(yield* call.closed, 0)
      const error = yield* connection.send(audio(4)).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      yield* server.vacant
    }))

  it.live("by reset when the scope closes, whatever else is going on", () =>
    Effect.gen(function*() {
      for (const busy of [false, true]) {
        const { call, close, connection, server } = yield* opened()
        if (busy) {
          call.stream.pause()
          yield* flood(connection).pipe(Effect.timeoutOption("100 millis"))
        }
        const sender = yield* flood(connection).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
        const reader = yield* readAll(connection).pipe(Effect.forkChild({ startImmediately: true }))
        yield* close
        assert.strictEqual((yield* Fiber.join(sender)).reason._tag, "ConnectionLost")
        assert.include(writtenDown((yield* Fiber.join(reader)).failure), "this side closed the connection")
        assert.strictEqual(yield* call.closed, 8)
        yield* server.vacant
        assert.strictEqual((yield* connection.send(audio(4)).pipe(Effect.flip)).reason._tag, "ConnectionLost")
      }
    }))

  it.live("a waiting send with a typed error when the peer goes", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      call.stream.pause()
      yield* flood(connection).pipe(Effect.timeoutOption("100 millis"))
      const sender = yield* connection.send(audio(4)).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      call.stream.session?.socket.destroy()
      assert.strictEqual((yield* Fiber.join(sender)).reason._tag, "ConnectionLost")
    }))

  it.live("nothing early: a send to a peer that does not read waits", () =>
    Effect.gen(function*() {
      const { call, connection } = yield* opened()
      call.stream.pause()
      let sent = 0
      const sender = yield* connection.send(audio(2560)).pipe(
        Effect.tap(() => Effect.sync(() => void (sent += 1))),
        Effect.forever,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.sleep("300 millis")
      // The window is 64 KiB, and the server's Node buffers as much before it stops reading.
      assert.isBelow(sent * 2560, 2 * 65_536 + 20_000)
      assert.isUndefined(sender.pollUnsafe())
      yield* Fiber.interrupt(sender)
    }))

  it.live("an open that is interrupted, at any moment", () =>
    Effect.gen(function*() {
      for (const connections of ["isolated", "shared"] as const) {
        const server = yield* bare.serve()
        const transport = yield* transportTo(urlOf(server), { connections })
        const opening = yield* transport.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
        const call = yield* server.call
        yield* Fiber.interrupt(opening)
        assert.strictEqual(yield* call.closed, 8)
        yield* server.vacant
        for (let turns = 0; turns < 24; turns++) {
          const early = yield* transport.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
          for (let n = 0; n < turns; n++) yield* Effect.promise(() => Promise.resolve())
          yield* Fiber.interrupt(early)
        }
        // Whatever was still under way of those would be at the server before this one, and would stay.
        const last = yield* transport.open("model=last").pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
        yield* Effect.repeat(server.call, {
          until: (call) => call.headers["x-amzn-sagemaker-model-query-string"] === "model=last"
        })
        yield* Fiber.interrupt(last)
        yield* server.vacant
      }
    }))

  it.live("an open that is interrupted within the TLS handshake", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ tls: localhost })
      const transport = yield* transportTo(`https://localhost:${server.port}`, { caFile: yield* caFile })
      for (let millis = 0; millis < 15; millis++) {
        const result = yield* transport.open(query).pipe(Effect.scoped, Effect.timeoutOption(millis))
        assert.strictEqual(result._tag, "None")
      }
      yield* server.vacant
    }))

  it.live("an open to a port that accepts and hangs", () =>
    Effect.gen(function*() {
      const sockets = new Set<net.Socket>()
      const silent = yield* listen((socket) => {
        sockets.add(socket)
        socket.resume()
        socket.on("close", () => sockets.delete(socket))
      })
      for (const scheme of ["http", "https"]) {
        const transport = yield* transportTo(`${scheme}://127.0.0.1:${silent}`)
        const result = yield* transport.open(query).pipe(Effect.scoped, Effect.timeoutOption("200 millis"))
        assert.strictEqual(result._tag, "None")
        yield* Effect.sync(() => sockets.size).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (size) => size === 0 }),
          Effect.timeout("2 seconds")
        )
      }
    }))

  it.live("with the client's socket, even if the peer no longer reads from its own", () =>
    Effect.gen(function*() {
      const { freeze, transport } = yield* freezable("isolated")
      const before = tcpSockets()
      const scope = yield* Scope.make()
      const connection = yield* transport.open(query).pipe(Scope.provide(scope))
      // The client's, the server's, and two of the proxy between them.
      assert.strictEqual(tcpSockets(), before + 4)
      yield* freeze
      const sender = yield* flood(connection).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      yield* Effect.sleep("300 millis")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(sender)).reason._tag, "ConnectionLost")
      yield* Effect.sync(tcpSockets).pipe(
        Effect.delay("10 millis"),
        Effect.repeat({ until: (count) => count === before + 3 }),
        Effect.timeout("2 seconds")
      )
    }))

  it.live("a send that waits, also where others keep the connection", () =>
    Effect.gen(function*() {
      const { freeze, transport } = yield* freezable("shared")
      const scope = yield* Scope.make()
      const connection = yield* transport.open(query).pipe(Scope.provide(scope))
      yield* transport.open(query)
      yield* freeze
      const sender = yield* flood(connection).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      yield* Effect.sleep("300 millis")
      assert.isUndefined(sender.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(sender)).reason._tag, "ConnectionLost")
    }))
})

/** A transport through a proxy that can stop reading, as a peer does whose machine is gone. Windows are no limit. */
const freezable = (connections: SageMakerTransport.ConnectionMode) =>
  Effect.gen(function*() {
    const server = yield* bare.serve({
      answer: (stream) => {
        stream.session?.setLocalWindowSize(2 ** 31 - 1)
        bare.accept(stream)
      },
      settings: { initialWindowSize: 2 ** 31 - 1 }
    })
    const sockets: Array<net.Socket> = []
    const port = yield* listen((client) => {
      const link = net.connect(server.port)
      sockets.push(client, link)
      client.on("error", () => undefined).pipe(link)
      link.on("error", () => undefined).pipe(client)
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
    const freeze = Effect.sync(() => sockets.forEach((socket) => socket.unpipe().pause()))
    return { freeze, transport: yield* transportTo(`http://127.0.0.1:${port}`, { connections }) }
  })

describe("SageMakerTransport connections", () => {
  it.live("are one for each stream", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const transport = yield* transportTo(urlOf(server))
      yield* transport.open(query)
      yield* transport.open(query)
      assert.strictEqual(server.connections(), 2)
    }))

  it.live("are shared if asked for, and closed with the transport", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const scope = yield* Scope.make()
      const transport = yield* transportTo(urlOf(server), { connections: "shared" }).pipe(Scope.provide(scope))
      const first = yield* Scope.make()
      const one = yield* transport.open(query).pipe(Scope.provide(first))
      const two = yield* transport.open(query)
      assert.strictEqual(server.connections(), 1)
      const [callOne, callTwo] = [yield* server.call, yield* server.call]
      yield* one.send(text("1"))
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* callOne.closed, 8)
      yield* two.send(text("2"))
      const frame = yield* callTwo.frame
      assert.deepStrictEqual([frame], [...(yield* bare.expectedFrames(callTwo, [frame], credentials))])
      yield* Effect.scoped(transport.open(query))
      assert.strictEqual(server.connections(), 1)
      yield* Scope.close(scope, Exit.void)
      yield* server.vacant
      assert.strictEqual((yield* two.send(audio(4)).pipe(Effect.flip)).reason._tag, "ConnectionLost")
    }))

  it.live("that are shared outlive opens that fail or are interrupted", () =>
    Effect.gen(function*() {
      let status: number | undefined = 200
      const server = yield* bare.serve({
        answer: (stream) => {
          if (status === undefined) return
          if (status === 200) return bare.accept(stream)
          stream.respond({ ":status": status })
          stream.end()
        }
      })
      const transport = yield* transportTo(urlOf(server), { connections: "shared" })
      const first = yield* transport.open(query)
      const call = yield* server.call
      status = 424
      for (let n = 0; n < 3; n++) yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
      status = 200
      yield* transport.open(query)
      assert.strictEqual(server.connections(), 1)
      for (let turns = 0; turns < 24; turns++) {
        const early = yield* transport.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
        for (let n = 0; n < turns; n++) yield* Effect.promise(() => Promise.resolve())
        yield* Fiber.interrupt(early)
      }
      // One that never answers is the end of sharing, but not of those who share already.
      status = undefined
      const unanswered = yield* transport.open("model=last").pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
      yield* Effect.repeat(server.call, {
        until: (call) => call.headers["x-amzn-sagemaker-model-query-string"] === "model=last"
      })
      yield* Fiber.interrupt(unanswered)
      yield* first.send(text("still here"))
      const frame = yield* call.frame
      assert.deepStrictEqual([frame], [...(yield* bare.expectedFrames(call, [frame], credentials))])
    }))

  it.live("that are shared take 256 streams at once, without a complaint of Node", () =>
    Effect.gen(function*() {
      const warnings: Array<Error> = []
      const onWarning = (warning: Error): void => void warnings.push(warning)
      process.on("warning", onWarning)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("warning", onWarning)))
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const transport = yield* transportTo(urlOf(server), { connections: "shared" })
      yield* Effect.forEach(Array.from({ length: 257 }), () => transport.open(query), { concurrency: "unbounded" })
      assert.strictEqual(server.connections(), 2)
      assert.deepStrictEqual(warnings, [])
    }))

  it.live("that never answered, or whose peer stopped reading, are not shared further", () =>
    Effect.gen(function*() {
      let answers = false
      const server = yield* bare.serve({ answer: (stream) => (answers ? bare.accept(stream) : undefined) })
      const transport = yield* transportTo(urlOf(server), { connections: "shared" })
      yield* transport.open(query).pipe(Effect.scoped, Effect.timeoutOption("100 millis"))
      yield* server.call
      answers = true
      const scope = yield* Scope.make()
      const connection = yield* transport.open(query).pipe(Scope.provide(scope))
      assert.strictEqual(server.connections(), 2)
      const call = yield* server.call
      call.stream.pause()
      assert.strictEqual((yield* flood(connection).pipe(Effect.timeoutOption("100 millis")))._tag, "None")
      yield* Scope.close(scope, Exit.void)
      yield* transport.open(query)
      assert.strictEqual(server.connections(), 3)
    }))
})

/** A TCP server on loopback; gives its port. */
const listen = (onSocket: (socket: net.Socket) => void, server = net.createServer()): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.on(server instanceof tls.Server ? "secureConnection" : "connection", onSocket)
      server.on("tlsClientError", () => undefined)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )
const tcpSockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

describe("SageMakerTransport connecting", () => {
  it.live("says why there is no connection, and says it only to the caller", () =>
    Effect.gen(function*() {
      const consoles = (["log", "info", "warn", "error"] as const).map((method) => vi.spyOn(console, method))
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.restoreAllMocks()))
      const refused = yield* Effect.scoped(listen(() => undefined))
      const http1 = yield* listen((socket) => void socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const noAlpn = yield* listen((socket) => void socket.on("error", () => undefined), tls.createServer(localhost))
      const hangsUp = yield* listen((socket) => void socket.destroy())
      const attempts: ReadonlyArray<readonly [string, string, RegExp]> = [
        [`http://127.0.0.1:${refused}`, `127.0.0.1:${refused}`, /ECONNREFUSED.*Nothing listens there/],
        ["http://flux.invalid:8443", "flux.invalid:8443", /ENOTFOUND|EAI_AGAIN/],
        [`http://127.0.0.1:${http1}`, `127.0.0.1:${http1}`, /speaks HTTP\/2/],
        [`http://127.0.0.1:${hangsUp}`, `127.0.0.1:${hangsUp}`, /8443/],
        [`https://localhost:${noAlpn}`, `localhost:${noAlpn}`, /self-signed certificate/]
      ]
      for (const [url, target, message] of attempts) {
        const transport = yield* transportTo(url)
        const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", target })
        assert.strictEqual(error.stage, "open")
        assert.match(error.message, message)
        assertSecret(error)
      }
      for (const method of consoles) assert.strictEqual(method.mock.calls.length, 0)
    }))

  it.live("says that a TLS server has no HTTP/2", () =>
    Effect.gen(function*() {
      const port = yield* listen((socket) => void socket.on("error", () => undefined), tls.createServer(localhost))
      const transport = yield* transportTo(`https://localhost:${port}`, { caFile: yield* caFile })
      const error = yield* transport.open(query).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.include(error.message, "the server does not offer HTTP/2")
    }))

  it.live("tells a connection that broke while opening from one that never was", () =>
    Effect.gen(function*() {
      for (const connections of ["isolated", "shared"] as const) {
        const server = yield* bare.serve({ answer: (stream) => stream.close(7) })
        const transport = yield* transportTo(urlOf(server), { connections })
        for (let n = 0; n < 2; n++) {
          const error = yield* transport.open(query).pipe(Effect.flip)
          assert.strictEqual(error.reason._tag, "ConnectionLost")
          assert.strictEqual(error.stage, "open")
          assert.include(writtenDown(error), "REFUSED_STREAM")
          assertSecret(error, yield* server.call)
        }
      }
    }))

  it.live("says that there are no credentials, and connects to nothing", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const failing = [
        () => Promise.reject(new Error("the role is gone")),
        () => Promise.resolve({ accessKeyId: "", secretAccessKey: "x" }),
        () => Promise.resolve({ accessKeyId: "x", secretAccessKey: "" })
      ]
      for (const credentials of failing) {
        const transport = yield* transportTo(urlOf(server), { credentials })
        const error = yield* transport.open(query).pipe(Effect.flip)
        assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
        assert.strictEqual(error.stage, "open")
      }
      assert.strictEqual(server.connections(), 0)
    }))
})

describe("SageMakerTransport refusals", () => {
  const refuse = (status: number, headers: http2.OutgoingHttpHeaders, body: string) => (stream: http2.ServerHttp2Stream): void => {
    stream.respond({ ":status": status, "x-amzn-requestid": "request-2", ...headers })
    stream.end(body)
  }
  const model = `{"Message":"Received server error (424) from primary with message \\"Failed to establish WebSocket connection\\"","OriginalStatusCode":400,"OriginalMessage":"o","LogStreamArn":"arn:aws:logs:x","ErrorCode":"e"}`
  const table: ReadonlyArray<readonly [number, http2.OutgoingHttpHeaders, string, object]> = [
    [400, { "x-amzn-errortype": "InputValidationError" }, `{"Message":"bad","ErrorCode":"c"}`, { _tag: "InvalidRequest", status: 400, errorType: "InputValidationError", detail: "bad" }],
    [400, { "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/" }, `{"message":null}`, { _tag: "Throttled", detail: "HTTP 400 without a message" }],
    [429, {}, "", { _tag: "Throttled", detail: "HTTP 429 without a message" }],
    [403, {}, `{"__type":"com.amazonaws#AccessDeniedException","Message":"not you"}`, { _tag: "Unauthorized", status: 403, errorType: "AccessDeniedException", detail: "not you" }],
    [403, { "x-amzn-errortype": "InvalidSignatureException" }, `{"message":"does not match"}`, { _tag: "Unauthorized", errorType: "InvalidSignatureException", detail: "does not match" }],
    [400, { "x-amzn-errortype": "UnrecognizedClientException" }, `{"message":"m"}`, { _tag: "Unauthorized", status: 400, errorType: "UnrecognizedClientException", detail: "m" }],
    [424, { "x-amzn-errortype": "ModelError" }, model, {
      _tag: "Rejected",
      detail: `Received server error (424) from primary with message "Failed to establish WebSocket connection"`,
      originalStatusCode: 400,
      logStreamArn: "arn:aws:logs:x"
    }],
    [424, {}, "", { _tag: "Rejected", detail: "HTTP 424 without a message", originalStatusCode: undefined, logStreamArn: undefined }],
    [500, { "content-type": "text/html" }, "<html><head><title>500</title></head>\n<body><h1>Internal   error</h1>\n<p>more</p></body></html>", { _tag: "ServiceUnavailable", status: 500, detail: "Internal error" }],
    [503, { "x-amzn-errortype": "ServiceUnavailableError" }, `{"Message":"${"x".repeat(400)}"}`, { _tag: "ServiceUnavailable", status: 503, detail: `${"x".repeat(297)}...` }],
    [404, {}, "no such thing", { _tag: "InvalidRequest", status: 404, detail: "no such thing" }],
    [302, { location: "elsewhere" }, "", { _tag: "InvalidRequest", status: 302 }]
  ]
  it.live.each(table)("%i %o", ([status, headers, body, expected]) =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: refuse(status, headers, body) })
      const transport = yield* transportTo(urlOf(server))
      const error = yield* transport.open(query).pipe(Effect.flip)
      assert.deepInclude(error.reason, expected)
      assert.deepInclude(error, { stage: "open", requestId: "request-2" })
      assertSecret(error, yield* server.call)
      yield* server.vacant
    }))

  it.live("never repeat what AWS repeats of the request", () =>
    Effect.gen(function*() {
      const said = [
        `The request signature we calculated does not match.\n\nThe Canonical String should have been 'POST\n/\nx-amz-security-token:${credentials.sessionToken}'`,
        `Value '${query}' at 'modelQueryString' failed to satisfy constraint`,
        `Value '${decodeURIComponent(query)}' failed, with token ${credentials.sessionToken} and ${credentials.secretAccessKey} of ${credentials.accessKeyId}`
      ]
      for (const message of said) {
        const server = yield* bare.serve({
          answer: (stream, headers) =>
            refuse(403, {}, JSON.stringify({ message: `${seedOf({ authorization: String(headers.authorization) })} ${message}` }))(stream)
        })
        const transport = yield* transportTo(urlOf(server))
        assertSecret(yield* transport.open(query).pipe(Effect.flip), yield* server.call)
      }
      for (const message of said) {
        const { call, connection } = yield* opened()
        const body = JSON.stringify({ Message: `${seedOf(call.headers)} ${message}` })
        call.stream.write(bare.event({ ":message-type": "exception", ":exception-type": "ModelStreamError" }, body))
        const { failure } = yield* readAll(connection)
        assert.strictEqual(reasonOf(failure)?._tag, "ModelStreamError")
        assertSecret(failure, call)
      }
    }))

  it.live("do not hang on a body that never ends, nor keep all of it", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({
        answer: (stream) => {
          stream.respond({ ":status": 500 })
          const more = (error?: Error | null): void => void (error == null ? stream.write("x".repeat(16_384), more) : undefined)
          more()
        }
      })
      const transport = yield* transportTo(urlOf(server))
      const error = yield* transport.open(query).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "ServiceUnavailable")
      yield* server.vacant
    }))

  it.live("teach the clock: after a refusal from another time the open goes on, request and frames dated by the server's", () =>
    Effect.gen(function*() {
      const hour = 3_600_000
      let first = true
      const server = yield* bare.serve({
        answer: (stream) => {
          if (!first) return bare.accept(stream)
          first = false
          refuse(403, { date: new Date(Date.now() + hour).toUTCString(), "x-amzn-errortype": "InvalidSignatureException" }, `{"message":"Signature expired"}`)(stream)
        }
      })
      const transport = yield* transportTo(urlOf(server))
      const connection = yield* transport.open(query)
      yield* server.call
      const call = yield* server.call
      yield* connection.send(audio(4))
      const off = (at: number): number => Math.abs(at - (Date.now() + hour))
      const stamp = (call.headers["x-amz-date"] ?? "").replace(/^(....)(..)(..T..)(..)(..)Z$/, "$1-$2-$3:$4:$5Z")
      assert.isBelow(off(Date.parse(stamp)), 10_000)
      assert.isBelow(off(bare.dateOf(yield* call.frame)), 10_000)
    }))
})

describe("SageMakerTransport settings", () => {
  const url = (server: bare.BareServer, more: Readonly<Record<string, string>> = {}): Layer.Layer<never> =>
    ConfigProvider.layer(ConfigProvider.fromEnvRecord({
      FLUX_ENDPOINT_NAME: "my-flux",
      FLUX_ENDPOINT_URL: urlOf(server),
      AWS_REGION: "eu-central-1",
      ...more
    }))
  const config = SageMakerTransport.config.pipe(Config.map((options) => Object.assign({ credentials }, options)))
  const opening = Effect.flatMap(FluxTransport, (transport) => transport.open(query))

  it.live("come from the environment", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const environment = url(server, { FLUX_TARGET_VARIANT: "blue", FLUX_CAPABILITIES: "flux-multi-20260417", FLUX_CONNECTIONS: "shared" })
      const capabilities = yield* Effect.gen(function*() {
        yield* opening
        yield* opening
        return (yield* FluxTransport).capabilities
      }).pipe(Effect.provide(SageMakerTransport.layerConfig(config).pipe(Layer.provide(environment))))
      const call = yield* server.call
      assert.strictEqual(call.headers["x-amzn-sagemaker-target-variant"], "blue")
      assert.include(call.headers["authorization"], "/eu-central-1/sagemaker/aws4_request")
      assert.strictEqual(capabilities, profiles["flux-multi-20260417"])
      assert.strictEqual(server.connections(), 1)
    }))

  it.effect("come from it without what stands around them, and a blank one is none", () =>
    Effect.gen(function*() {
      const sound = {
        FLUX_ENDPOINT_NAME: "my-flux",
        FLUX_ENDPOINT_URL: "http://127.0.0.1:1",
        FLUX_TARGET_VARIANT: "blue",
        FLUX_CA_FILE: "my ca.pem",
        FLUX_CAPABILITIES: "flux-multi-20260417",
        FLUX_CONNECTIONS: "shared",
        AWS_REGION: "eu-central-1"
      }
      const read = (change: (text: string) => string) =>
        SageMakerTransport.config.parse(ConfigProvider.fromEnvRecord(Object.fromEntries(Object.entries(sound).map(([name, text]) => [name, change(text)]))))
      const expected = yield* read((text) => text)
      assert.deepInclude(expected, { endpointName: "my-flux", caFile: "my ca.pem", usualRegion: "eu-central-1", connections: "shared" })
      for (const around of ["\r", " ", "\t", "\r\n"]) assert.deepStrictEqual(yield* read((text) => `${around}${text}${around}`), expected)
      assert.deepStrictEqual(Object.values(yield* read(() => " \r")), Object.values(expected).map(() => undefined))
    }))

  it.effect("take the region of the environment only where the URL names none", () =>
    Effect.gen(function*() {
      const read = (variables: Readonly<Record<string, string>>) =>
        SageMakerTransport.config.parse(ConfigProvider.fromEnvRecord({ FLUX_ENDPOINT_NAME: "my-flux", ...variables })).pipe(
          Effect.flatMap(endpoint.examine),
          Effect.map(({ region }) => region),
          withEnvironment({})
        )
      const elsewhere = { FLUX_ENDPOINT_URL: "https://runtime.sagemaker.us-west-2.amazonaws.com:8443" }
      assert.strictEqual(yield* read({ AWS_REGION: "eu-central-1", AWS_DEFAULT_REGION: "eu-west-1" }), "eu-central-1")
      assert.strictEqual(yield* read({ AWS_DEFAULT_REGION: "eu-west-1" }), "eu-west-1")
      assert.strictEqual(yield* read({ AWS_REGION: "eu-central-1", ...elsewhere }), "us-west-2")
      assert.isUndefined(yield* read({}))
    }))

  it.live("are refused by name before any connection", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve({ answer: (stream) => bare.accept(stream) })
      const environment = url(server, { FLUX_ENDPOINT_NAME: "" })
      const error = yield* opening.pipe(
        Effect.provide(SageMakerTransport.layerConfig(config).pipe(Layer.provide(environment))),
        Effect.flip
      )
      assert.isTrue(isFluxError(error))
      assert.deepStrictEqual(isFluxError(error) && error.reason._tag === "InvalidSettings" ? error.reason.issues : [], [
        { setting: "endpointName", problem: "is required: the name of the SageMaker endpoint" }
      ])
      const unknown = yield* opening.pipe(
        Effect.provide(SageMakerTransport.layerConfig(config).pipe(Layer.provide(url(server, { FLUX_CAPABILITIES: "newest" })))),
        Effect.flip
      )
      assert.strictEqual(unknown._tag, "ConfigError")
      assert.strictEqual(server.connections(), 0)
    }))
})
