import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as certificate from "../../src/simulator/server/certificate.ts"
import { idleMillis } from "../../src/simulator/server/front.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import { fromText } from "../../src/simulator/Script.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { baseQuery, closeStream, open, turnInfos } from "../support/flux.ts"
import * as h2 from "../support/h2Frames.ts"
import * as raw from "../support/rawClient.ts"
import { call } from "../support/sdkClient.ts"
import { cut, draw } from "../support/sound.ts"

const script = fromText("Hello, how are you?\nFine.")
const { accessKeyId, secretAccessKey } = raw.credentials
const verifyCredentials = { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }

/** Log lines of the server. */
class Lines extends Context.Service<Lines, Queue.Queue<string>>()("test/Lines") {}

/** A simulator, with its log to be read. */
const simulator = (options: SimulatorServer.Options = {}): Layer.Layer<
  SimulatorServer.SimulatorServer | Lines,
  SimulatorServer.ListenFailed | certificate.CertificateFailed
> =>
  Layer.unwrap(
    Effect.gen(function*() {
      const lines = yield* Queue.unbounded<string>()
      const logger = Logger.make((line) => void Queue.offerUnsafe(lines, Logger.formatJson.log(line)))
      return SimulatorServer.layer({ script, ...options }).pipe(
        Layer.provide(Layer.mergeAll(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All"))),
        Layer.merge(Layer.succeed(Lines, lines))
      )
    })
  )

/** A connection that the test's scope closes. */
const connect = (options?: http2.SecureClientSessionOptions): Effect.Effect<
  http2.ClientHttp2Session,
  never,
  SimulatorServer.SimulatorServer | Scope.Scope
> =>
  Effect.flatMap(SimulatorServer.SimulatorServer, ({ url }) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const session = http2.connect(url, options)
        session.on("error", () => {})
        return session
      }),
      (session) => Effect.sync(() => session.destroy())
    ))

/** A signed request on a new connection, by default that of protocol 5.4. */
const request = Effect.fnUntraced(function*(options: raw.RequestOptions = {}, connection?: http2.SecureClientSessionOptions) {
  const session = yield* connect(connection)
  const headers = yield* Effect.promise(() => raw.signedHeaders(options))
  const exchange = raw.exchange(session, headers)
  const seal = raw.makeSealer(raw.seedOf(headers), options)
  return { session, exchange, seal, stream: exchange.stream }
})

/** A connection on which nothing is said. */
const knock = (port: number): Promise<net.Socket> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(socket))
    socket.on("error", () => {}).resume()
  })
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** The next log line, which must be about that. */
const logged = (about: string): Effect.Effect<string, never, Lines> =>
  Effect.map(Effect.flatMap(Lines, Queue.take), (line) => {
    assert.include(line, about)
    return line
  })
const ended = (...endings: ReadonlyArray<string>): Effect.Effect<void, never, Lines | SimulatorServer.SimulatorServer> =>
  Effect.gen(function*() {
    assert.include(endings, /"ending":"([a-z-]+)"/.exec(yield* logged("Simulated session ended"))?.[1])
    assert.strictEqual(yield* (yield* SimulatorServer.SimulatorServer).sessions, 0)
  })

/** What the model itself says, with the session's id taken out. */
const anonymous = (texts: ReadonlyArray<string>): Array<string> =>
  texts.map((text) => text.replace(/"request_id":"[0-9a-f-]{36}",/, ""))
const expected = (audio: Uint8Array): Array<string> => {
  const model = open(baseQuery, { script })
  return anonymous([...model.audio(audio), ...model.text(closeStream).messages].map(({ text }) => text))
}

const exceptionOf = ({ body }: raw.Answer): { readonly [key: string]: unknown } => {
  const last = raw.decodeAll(body).at(-1)
  return { ...raw.headersOf(last), ...JSON.parse(raw.textsOf(last === undefined ? [] : [last])[0] ?? "{}") }
}

/** Another sample under the signature of the first frame, all checksums right. */
const tamper = (frames: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const [first] = raw.decodeAll(frames[0] ?? new Uint8Array(0))
  return [raw.encodeMessage(first?.headers ?? {}, raw.part(Uint8Array.of(1, 0)))]
}
const swap = (frames: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => frames.toReversed()

describe("SimulatorServer", () => {
  it.live("serves a whole call of the AWS SDK, every signature checked", () =>
    Effect.gen(function*() {
      const { url } = yield* SimulatorServer.SimulatorServer
      const audio = draw("...vvvvvvvvv..........vvvvv.........vv")
      const texts = yield* Effect.promise(() =>
        call({ url, credentials: raw.credentials, query: baseQuery, audio: cut(audio, [2560, 700, 8001]) })
      )
      assert.match(texts[0] ?? "", /^\{"type":"Connected","request_id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}","sequence_id":0\}$/)
      assert.deepStrictEqual(anonymous(texts.slice(1)), expected(audio))
      yield* logged("Simulated session opened")
      yield* ended("flux-closed")
    }).pipe(Effect.provide(simulator({ verifyCredentials }))))

  it.live("warns of a fault whose moment never came", () =>
    Effect.gen(function*() {
      const { url } = yield* SimulatorServer.SimulatorServer
      yield* Effect.promise(() => call({ url, credentials: raw.credentials, query: baseQuery, audio: [draw("vv")] }))
      yield* logged("Simulated session opened")
      assert.include(yield* logged("ended before the moment of reset had come"), `"WARN"`)
    }).pipe(Effect.provide(simulator({ faults: [{ fault: "reset", turn: 9 }, { fault: "mute", turn: 9, session: 1 }] }))))

  it.live("takes temporary credentials, and any signature where none is to be checked", () =>
    Effect.gen(function*() {
      const { url } = yield* SimulatorServer.SimulatorServer
      const credentials = { accessKeyId: "ASIA", secretAccessKey: "anything", sessionToken: "token" }
      const texts = yield* Effect.promise(() => call({ url, credentials, query: baseQuery, audio: [draw("v")] }))
      assert.deepStrictEqual(turnInfos(texts.slice(1)).map(({ event }) => event), ["StartOfTurn", "Update"])
    }).pipe(Effect.provide(simulator())))

  it.live("is refused by the AWS SDK as SageMaker is", () =>
    Effect.gen(function*() {
      const { url } = yield* SimulatorServer.SimulatorServer
      const failure = (change: object) =>
        Effect.flip(
          Effect.tryPromise(() => call({ url, credentials: raw.credentials, query: baseQuery, audio: [], ...change }))
        )
      const wrong = yield* failure({ credentials: { accessKeyId, secretAccessKey: "wrong" } })
      assert.propertyVal(wrong.cause, "name", "InvalidSignatureException")
      const unknown = yield* failure({ credentials: { accessKeyId: "AKIDOTHER", secretAccessKey } })
      assert.propertyVal(unknown.cause, "name", "UnrecognizedClientException")
      const refused = yield* failure({ query: baseQuery.replace("16000", "11025") })
      assert.propertyVal(refused.cause, "name", "ModelError")
      assert.propertyVal(refused.cause, "OriginalMessage", "Failed to establish WebSocket connection")
      assert.deepNestedPropertyVal(refused.cause, "$metadata.httpStatusCode", 424)
      const input = yield* failure({ endpointName: "my_flux" })
      assert.propertyVal(input.cause, "name", "InputValidationError")
    }).pipe(Effect.provide(simulator({ verifyCredentials }))))

  it.effect("serves the frames of protocol 5.4, with host and with :authority signed", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(raw.vectorMillis)
      for (const hostName of ["host", ":authority"] as const) {
        const { exchange, seal, stream } = yield* request({ hostName })
        const head = yield* Effect.promise(() => exchange.headers)
        assert.propertyVal(head, ":status", 200)
        assert.strictEqual(head["content-type"], "application/vnd.amazon.eventstream")
        assert.strictEqual(head["x-amzn-invoked-production-variant"], "simulator")
        assert.match(String(head["x-amzn-requestid"]), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
        // Connected comes without a word of the client
        const [connected] = yield* Effect.promise(() => exchange.messages(1))
        assert.deepStrictEqual(raw.headersOf(connected), {
          ":event-type": "PayloadPart",
          ":message-type": "event",
          ":content-type": "application/octet-stream",
          DataType: "UTF8"
        })
        // byte by byte, so that every length and checksum straddles
        const first = yield* Effect.promise(() => seal(raw.part(new Uint8Array(4)), raw.vectorMillis))
        for (const byte of first) stream.write(Uint8Array.of(byte))
        stream.write(yield* Effect.promise(() => seal(raw.part(closeStream), raw.vectorMillis + 80)))
        const answer = yield* Effect.promise(() => exchange.answer)
        assert.isTrue(answer.clean)
        assert.lengthOf(raw.decodeAll(answer.body), 1)
        yield* logged("opened")
        assert.include(yield* logged("ended"), `"audioSeconds":0.000125`)
      }
    }).pipe(Effect.provide(simulator({ verifyCredentials }))))

  it.effect("refuses a request whose date is off by the Clock", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(raw.vectorMillis + 301_000)
      const { exchange } = yield* request()
      const answer = yield* Effect.promise(() => exchange.answer)
      assert.strictEqual(answer.status, 403)
      assert.strictEqual(answer.headers["x-amzn-errortype"], "InvalidSignatureException")
      assert.include(Buffer.from(answer.body).toString(), "Signature expired")
    }).pipe(Effect.provide(simulator({ verifyCredentials }))))

  it.effect.each<readonly [what: string, status: number, errorType: string, reason: string, tampered: Record<string, string | undefined>]>([
    ["no authorization", 403, "MissingAuthenticationTokenException", "Missing", { authorization: undefined }],
    ["half an authorization", 403, "IncompleteSignatureException", "Authorization", { authorization: "AWS4-HMAC-SHA256 x" }],
    ["another method", 400, "UnknownOperationException", "route", { ":method": "GET" }],
    ["another path", 400, "UnknownOperationException", "route", { ":path": "/endpoints/my-flux/invocations" }],
    ["the path within a query", 400, "UnknownOperationException", "route", {
      ":path": "/?/endpoints/my-flux/invocations-bidirectional-stream"
    }],
    ["an endpoint name that is no UTF-8", 400, "InputValidationError", "EndpointName", {
      ":path": "/endpoints/my%ffflux/invocations-bidirectional-stream"
    }],
    ["an endpoint name with a slash in it", 400, "InputValidationError", "EndpointName", {
      ":path": "/endpoints/my%2Fflux/invocations-bidirectional-stream"
    }],
    ["a bad endpoint name", 400, "InputValidationError", "EndpointName", {
      ":path": "/endpoints/-flux/invocations-bidirectional-stream"
    }],
    ["a long endpoint name", 400, "InputValidationError", "EndpointName", {
      ":path": `/endpoints/${"x".repeat(64)}/invocations-bidirectional-stream`
    }],
    ["a bad variant", 400, "InputValidationError", "TargetVariant", { "x-amzn-sagemaker-target-variant": "a_b" }],
    ["another content-type", 400, "InputValidationError", "content-type", { "content-type": "application/json" }],
    ["an unsigned body", 400, "InputValidationError", "x-amz-content-sha256", { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }],
    ["a leading slash", 400, "InputValidationError", "ModelInvocationPath", {
      "x-amzn-sagemaker-model-invocation-path": "/v2/listen"
    }],
    ["a long path", 400, "InputValidationError", "ModelInvocationPath", {
      "x-amzn-sagemaker-model-invocation-path": "x".repeat(101)
    }],
    ["a plus for a space", 400, "InputValidationError", `character ${baseQuery.length + 11} (+) in keyterm: a space is written %20, never +`, {
      "x-amzn-sagemaker-model-query-string": `${baseQuery}&keyterm=a+b`
    }],
    ["a long query", 400, "InputValidationError", `ModelQueryString does not match its pattern: it has ${baseQuery.length + 5 + 2048} characters, and 2048 are the most`, {
      "x-amzn-sagemaker-model-query-string": `${baseQuery}&tag=${"x".repeat(2048)}`
    }],
    ["no path", 424, "ModelError", "v2/listen", { "x-amzn-sagemaker-model-invocation-path": undefined }],
    ["the path of another model", 424, "ModelError", "v2/listen", { "x-amzn-sagemaker-model-invocation-path": "v1/listen" }],
    ["no query", 424, "ModelError", "not a legal query", { "x-amzn-sagemaker-model-query-string": undefined }],
    ["an unknown parameter", 424, "ModelError", "unknown parameter numerals", {
      "x-amzn-sagemaker-model-query-string": `${baseQuery}&numerals=true`
    }]
  ])("answers %s with %i %s", ([, status, errorType, reason, tampered]) =>
    Effect.gen(function*() {
      const { exchange } = yield* request({ tampered })
      const answer = yield* Effect.promise(() => exchange.answer)
      assert.isTrue(answer.clean)
      assert.strictEqual(answer.status, status)
      assert.strictEqual(answer.headers["x-amzn-errortype"], errorType)
      const body: unknown = JSON.parse(Buffer.from(answer.body).toString())
      if (status === 424) {
        assert.propertyVal(body, "OriginalStatusCode", 424)
        assert.propertyVal(body, "OriginalMessage", "Failed to establish WebSocket connection")
        assert.propertyVal(body, "LogStreamArn", "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/my-flux")
        assert.match(
          JSON.stringify(body),
          /Received server error \(424\) from primary with message \\"Failed to establish WebSocket connection\\". See /
        )
        // the true reason is for the log
        assert.notInclude(JSON.stringify(body), reason)
      }
      if (errorType === "InputValidationError") {
        assert.hasAllKeys(body, ["Message", "ErrorCode"])
        assert.include(JSON.stringify(body), reason)
      }
      assert.include(yield* logged("Simulated session refused"), reason)
      assert.strictEqual(yield* (yield* SimulatorServer.SimulatorServer).sessions, 0)
    }).pipe(Effect.provide(simulator())))

  it.effect("ends a session whose chunk was tampered with, or is out of its place", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(raw.vectorMillis)
      for (const spoil of [tamper, swap]) {
        const { exchange, seal, stream } = yield* request()
        const frames = yield* Effect.promise(async () => [
          await seal(raw.part(Uint8Array.of(0, 0))),
          await seal(raw.part(Uint8Array.of(0, 0)))
        ])
        for (const frame of spoil(frames)) stream.write(frame)
        const answer = yield* Effect.promise(() => exchange.answer)
        assert.isTrue(answer.clean)
        const exception = exceptionOf(answer)
        assert.strictEqual(exception[":message-type"], "exception")
        assert.strictEqual(exception[":exception-type"], "InvalidSignatureException")
        assert.strictEqual(exception[":content-type"], "application/json")
        assert.include(exception["Message"], "The request signature we calculated does not match")
        yield* logged("opened")
        yield* ended("frame-refused")
      }
    }).pipe(Effect.provide(simulator({ verifyCredentials }))))

  it.effect("ends a session whose frames are broken, though no signature is checked", () =>
    Effect.gen(function*() {
      for (
        const bytes of [
          raw.part(Uint8Array.of(0, 0)),
          raw.unsignedFrame(raw.part("x", { DataType: "TEXT" })),
          Buffer.alloc(64, 0x7f),
          // 4 GiB are announced
          Buffer.from("ffffffff00000000d47e4321", "hex")
        ]
      ) {
        const { exchange, stream } = yield* request()
        stream.write(bytes)
        const answer = yield* Effect.promise(() => exchange.answer)
        assert.isTrue(answer.clean)
        assert.strictEqual(exceptionOf(answer)[":exception-type"], "InputValidationError")
        yield* logged("opened")
        yield* ended("frame-refused")
      }
    }).pipe(Effect.provide(simulator())))

  it.effect("tells a fatal Error, and closes", () =>
    Effect.gen(function*() {
      const { exchange, stream } = yield* request()
      stream.write(raw.unsignedFrame(raw.part(`{"type":"KeepAlive"}`)))
      const answer = yield* Effect.promise(() => exchange.answer)
      assert.isTrue(answer.clean)
      assert.include(raw.textsOf(raw.decodeAll(answer.body))[1], "UNPARSABLE_CLIENT_MESSAGE")
      // what the client says after that is drained
      stream.end(raw.unsignedFrame(new Uint8Array(0)))
      yield* logged("opened")
      yield* ended("flux-error")
    }).pipe(Effect.provide(simulator())))

  it.effect("stops at once when the client ends its body, by the empty frame or by END_STREAM", () =>
    Effect.gen(function*() {
      for (const last of [raw.unsignedFrame(new Uint8Array(0)), new Uint8Array(0)]) {
        const { exchange, stream } = yield* request()
        yield* Effect.promise(() => exchange.messages(1))
        const audio = raw.unsignedFrame(raw.part(draw("v")))
        if (last.length === 0) stream.end(audio)
        // what comes after the empty frame is not heard
        else stream.write(Buffer.concat([audio, last, audio]))
        const answer = yield* Effect.promise(() => exchange.answer)
        assert.isTrue(answer.clean)
        // no Update for the open turn: the tail is lost, as at SageMaker
        assert.deepStrictEqual(
          turnInfos(raw.textsOf(raw.decodeAll(answer.body)).slice(1)).map(({ event }) => event),
          ["StartOfTurn"]
        )
        yield* logged("opened")
        yield* ended("client-ended")
      }
    }).pipe(Effect.provide(simulator())))

  it.effect("frees a session whose client resets the stream or is gone", () =>
    Effect.gen(function*() {
      const { sessions } = yield* SimulatorServer.SimulatorServer
      for (
        const leave of [
          ({ stream }: raw.Exchange) => stream.close(http2.constants.NGHTTP2_CANCEL),
          ({ stream }: raw.Exchange) => stream.destroy(new Error("gone")),
          ({ stream }: raw.Exchange) => stream.session?.destroy(),
          ({ stream }: raw.Exchange) => stream.session?.socket.destroy()
        ]
      ) {
        const { exchange } = yield* request()
        yield* Effect.promise(() => exchange.messages(1))
        assert.strictEqual(yield* sessions, 1)
        yield* logged("opened")
        leave(exchange)
        // Node's client may put an END_STREAM before the RST_STREAM
        yield* ended("lost", "client-ended")
      }
    }).pipe(Effect.provide(simulator())))

  it.effect("goes on after the client's GOAWAY, with other sessions on the connection", () =>
    Effect.gen(function*() {
      const { exchange, session, stream } = yield* request()
      const other = raw.exchange(session, yield* Effect.promise(() => raw.signedHeaders()))
      yield* Effect.promise(() => Promise.all([exchange.messages(1), other.messages(1)]))
      assert.strictEqual(yield* (yield* SimulatorServer.SimulatorServer).sessions, 2)
      // what the AWS SDK does right after the response headers
      session.close()
      stream.write(raw.unsignedFrame(raw.part(draw("vvv"))))
      assert.lengthOf(yield* Effect.promise(() => exchange.messages(2)), 2)
      for (const { stream } of [exchange, other]) stream.write(raw.unsignedFrame(raw.part(closeStream)))
      assert.isTrue((yield* Effect.promise(() => exchange.answer)).clean)
      assert.isTrue((yield* Effect.promise(() => other.answer)).clean)
    }).pipe(Effect.provide(simulator())))

  it.effect("reads no further while the client does not read", () =>
    Effect.gen(function*() {
      const query = "model=flux-general-en&encoding=mulaw&sample_rate=8000"
      const { exchange, session, stream } = yield* request({ query })
      yield* Effect.promise(() => exchange.messages(1))
      stream.pause()
      // 600 s of silence bring 2,500 Updates, some 800 kB: far more than the client takes unread
      const audio = new Uint8Array(600 * 8000).fill(0xff)
      const progress = { written: false }
      for (const piece of cut(audio, [12_800])) stream.write(raw.unsignedFrame(raw.part(piece)))
      stream.write(raw.unsignedFrame(raw.part(closeStream)), () => {
        progress.written = true
      })
      for (let trips = 0; trips < 500; trips++) yield* Effect.promise(() => raw.roundTrip(session))
      assert.isFalse(progress.written)
      stream.resume()
      const answer = yield* Effect.promise(() => exchange.answer)
      const updates = turnInfos(raw.textsOf(raw.decodeAll(answer.body)).slice(1))
      assert.deepStrictEqual(updates.map(({ sequence_id }) => sequence_id), Array.from({ length: 2500 }, (_, at) => at + 1))
    }).pipe(Effect.provide(simulator())))

  it.effect("drains what the client still sends when all is said", () =>
    Effect.gen(function*() {
      // ended while the client was not reading: one write, so that CloseStream comes along with the end of the audio
      const query = "model=flux-general-en&encoding=mulaw&sample_rate=8000"
      const silence = raw.part(new Uint8Array(600 * 8000).fill(0xff))
      const closed = yield* request({ query })
      closed.stream.pause()
      closed.stream.write(Buffer.concat([raw.unsignedFrame(silence), raw.unsignedFrame(raw.part(closeStream))]))
      yield* logged("opened")
      yield* ended("flux-closed")
      const refused = yield* request({ query: "model=nova" })
      const forbidden = yield* request({ tampered: { authorization: undefined } })
      for (const { exchange, stream } of [closed, refused, forbidden]) {
        // Node's client closes a stream whose response is over without a word of having finished
        const sent = new Promise<void>((resolve) => stream.on("finish", resolve).on("close", resolve))
        stream.end(new Uint8Array(1_000_000))
        yield* Effect.promise(() => sent)
        stream.resume()
        assert.isTrue((yield* Effect.promise(() => exchange.answer)).clean)
      }
    }).pipe(Effect.provide(simulator())))

  it.effect("says nothing after the end, whatever comes with it", () =>
    Effect.gen(function*() {
      const { exchange, stream } = yield* request()
      const keepAlive = raw.unsignedFrame(raw.part(`{"type":"KeepAlive"}`))
      stream.write(Buffer.concat([keepAlive, raw.unsignedFrame(raw.part(draw("v"))), Buffer.alloc(40, 0xee)]))
      const answer = yield* Effect.promise(() => exchange.answer)
      assert.isTrue(answer.clean)
      assert.lengthOf(raw.decodeAll(answer.body), 2)
    }).pipe(Effect.provide(simulator())))

  it.effect("takes headers of up to 32 kB", () =>
    Effect.gen(function*() {
      const { port } = yield* SimulatorServer.SimulatorServer
      const headers = yield* Effect.promise(() => raw.signedHeaders())
      for (const [bytes, answer] of [[31_000, "HEADERS"], [33_000, "RST_STREAM 11"]] as const) {
        const client = yield* Effect.promise(() => h2.connect(port))
        client.send(h2.preface, h2.settings())
        // bound by the server's settings from here on
        yield* Effect.promise(() => client.seen(({ type }) => type === h2.type.settings))
        client.send(h2.request(1, { ...headers, "x-large": "x".repeat(bytes) }))
        yield* Effect.promise(() => client.seen(({ stream }) => stream === 1))
        assert.strictEqual(h2.told(client.frames)[0], answer)
        client.socket.destroy()
      }
    }).pipe(Effect.provide(simulator())))

  it.effect("survives rubbish", () =>
    Effect.gen(function*() {
      const { port } = yield* SimulatorServer.SimulatorServer
      for (
        const bytes of [
          "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
          Buffer.alloc(2000, 0xa5),
          // the preface, then a frame of 16 MiB
          Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.from("ffffff040000000000", "hex")])
        ]
      ) {
        yield* Effect.callback<void>((resume) => {
          const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes))
          socket.on("error", () => {})
          socket.on("data", () => {})
          socket.on("close", () => resume(Effect.void))
        })
        yield* logged("Simulator: bad connection")
      }
      const { exchange } = yield* request()
      assert.propertyVal(yield* Effect.promise(() => exchange.headers), ":status", 200)
    }).pipe(Effect.provide(simulator())))

  it.live.each([false, true])("frees every socket at once when its scope closes (TLS: %s)", (tls) =>
    Effect.gen(function*() {
      const { lost, port, sessions } = yield* Effect.gen(function*() {
        const server = yield* SimulatorServer.SimulatorServer
        const { exchange } = yield* request({}, { ca: server.certificate })
        yield* Effect.promise(() => exchange.messages(1))
        // a connection that never says anything
        const silent = yield* Effect.promise(() => knock(server.port))
        const closed = new Promise((resolve) => silent.on("close", resolve))
        return { lost: Promise.all([exchange.answer, closed]), port: server.port, sessions: server.sessions }
      }).pipe(Effect.provide(simulator({ tls })))
      const [answer] = yield* Effect.promise(() => lost)
      assert.isFalse(answer.clean)
      assert.strictEqual(yield* sessions, 0)
      const refused = yield* Effect.callback<string>((resume) => {
        net.connect(port, "127.0.0.1").on("error", (error) => resume(Effect.succeed(String(error))))
      })
      assert.include(refused, "ECONNREFUSED")
    }))

  it.effect("says so when its port is taken", () =>
    Effect.gen(function*() {
      const { port } = yield* SimulatorServer.SimulatorServer
      const failed = yield* Effect.flip(SimulatorServer.make({ port }))
      assert.strictEqual(failed._tag, "ListenFailed")
      assert.include(failed.message, `127.0.0.1:${port}: `)
      assert.include(failed.message, "EADDRINUSE")
    }).pipe(Effect.provide(simulator())))

  it.live("serves TLS with a certificate of its own, or with one given, to those who trust it", () =>
    Effect.gen(function*() {
      const audio = draw("vvvvvv")
      for (const tls of [true, yield* certificate.make("localhost")] as const) {
        const server = yield* SimulatorServer.make({ script, tls }).pipe(quiet)
        assert.strictEqual(server.url, `https://127.0.0.1:${server.port}`)
        if (typeof tls === "object") assert.strictEqual(server.certificate, tls.cert)
        const trusting = yield* Effect.acquireRelease(
          Effect.sync(() => http2.connect(server.url, { ca: server.certificate })),
          (session) => Effect.sync(() => session.destroy())
        )
        const exchange = raw.exchange(trusting, yield* Effect.promise(() => raw.signedHeaders()))
        yield* Effect.promise(() => exchange.headers)
        assert.strictEqual(trusting.alpnProtocol, "h2")
        exchange.stream.write(Buffer.concat([audio, closeStream].map((body) => raw.unsignedFrame(raw.part(body)))))
        const answer = yield* Effect.promise(() => exchange.answer)
        assert.isTrue(answer.clean)
        assert.deepStrictEqual(anonymous(raw.textsOf(raw.decodeAll(answer.body)).slice(1)), expected(audio))
        const distrusting = yield* Effect.callback<string>((resume) => {
          const session = http2.connect(server.url)
          session.on("error", (error) => resume(Effect.succeed(error.message)))
        })
        assert.include(distrusting, "self-signed certificate")
      }
    }))

  it.live("tells in its log of what is no TLS", () =>
    Effect.gen(function*() {
      const { certificate, port } = yield* SimulatorServer.SimulatorServer
      const plain = yield* Effect.promise(() => knock(port))
      plain.write(h2.preface)
      assert.include(yield* logged("bad connection"), "speaks HTTP/2 without TLS")
      assert.include(yield* logged("bad connection"), "wrong version number")
      // a record that was tampered with, after a good handshake
      const tcp = yield* Effect.promise(() => knock(port))
      yield* Effect.callback<void>((resume) => {
        const socket = tls.connect({ socket: tcp, host: "127.0.0.1", ca: certificate, ALPNProtocols: ["h2"] })
        socket.on("error", () => {})
        socket.on("secureConnect", () => {
          tcp.write(Buffer.from("1703030020", "hex"))
          tcp.write(Buffer.alloc(32, 7))
          resume(Effect.void)
        })
      })
      assert.include(yield* logged("bad connection"), "bad record mac")
    }).pipe(Effect.provide(simulator({ tls: true }))))

  it.live("tells a certificate that is not that of its key before it listens", () =>
    Effect.gen(function*() {
      const { cert } = yield* certificate.make("localhost")
      const { key } = yield* certificate.make("localhost")
      const { port } = yield* SimulatorServer.SimulatorServer
      // the port is taken, but so far it does not come
      const failed = yield* Effect.flip(SimulatorServer.make({ port, tls: { cert, key } }))
      assert.strictEqual(failed._tag, "CertificateFailed")
    }).pipe(Effect.provide(simulator())))

  it.effect.each<readonly [what: string, tls: boolean, said: ReadonlyArray<Uint8Array>]>([
    ["says nothing", false, []],
    ["does not finish its headers", false, [h2.preface, h2.settings(), h2.frame(h2.type.headers, 0, 1, Buffer.of(0x83))]],
    ["begins no handshake", true, []],
    ["does not finish its handshake", true, [Buffer.from("1603010200", "hex")]]
  ])("keeps a connection without a session for a minute: one that %s (TLS: %s)", ([, tls, said]) =>
    Effect.gen(function*() {
      // a certificate that holds now
      yield* TestClock.setTime(yield* TestClock.withLive(Clock.currentTimeMillis))
      const server = yield* SimulatorServer.make({ tls }).pipe(quiet)
      /** Once this is through, so is what came before. */
      const barrier = Effect.promise(async () => {
        const { closed, seen, send, socket } = await h2.connect(server.port, server.certificate)
        send(h2.preface, h2.settings())
        await seen(({ type }) => type === h2.type.settings)
        socket.destroy()
        return closed
      })
      const socket = yield* Effect.promise(() => knock(server.port))
      const state = { closed: false }
      const closed = new Promise<void>((resolve) =>
        socket.on("close", () => {
          state.closed = true
          resolve()
        })
      )
      socket.write(Buffer.concat(said))
      yield* barrier
      assert.strictEqual(idleMillis, 60_000)
      yield* TestClock.adjust(idleMillis - 1)
      yield* barrier
      assert.isFalse(state.closed)
      yield* TestClock.adjust(1)
      yield* Effect.promise(() => closed)
    }))

  it.effect("a client that leaves its request open after the answer is let go after two minutes", () =>
    Effect.gen(function*() {
      const { exchange, session } = yield* request({ tampered: { authorization: undefined } })
      yield* Effect.promise(() => exchange.answer)
      const closed = new Promise((resolve) => session.on("close", resolve))
      yield* TestClock.adjust(idleMillis)
      yield* Effect.promise(() => raw.roundTrip(session))
      yield* TestClock.adjust(idleMillis)
      yield* Effect.promise(() => closed)
    }).pipe(Effect.provide(simulator())))

  it.live("a port that is none is one that cannot be listened on", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SimulatorServer.make({ port: 70_000 }))
      assert.strictEqual(error._tag, "ListenFailed")
    }))

  it.effect("keeps a connection for as long as it has a session, and a minute", () =>
    Effect.gen(function*() {
      const { exchange, session, stream } = yield* request()
      yield* Effect.promise(() => exchange.messages(1))
      yield* TestClock.adjust("10 minutes")
      stream.write(raw.unsignedFrame(raw.part(closeStream)))
      stream.end()
      assert.isTrue((yield* Effect.promise(() => exchange.answer)).clean)
      yield* TestClock.adjust("59 seconds")
      yield* Effect.promise(() => raw.roundTrip(session))
      const closed = new Promise((resolve) => session.on("close", resolve))
      yield* TestClock.adjust("1 seconds")
      yield* Effect.promise(() => closed)
    }).pipe(Effect.provide(simulator())))

  it.live.each([false, true])("keeps a ledger, and hands over records: in order, failing or not, to the last (TLS: %s)", (tls) =>
    Effect.gen(function*() {
      const taken: Array<string> = []
      const gate = yield* Latch.make()
      const onRecord = ({ ending, session }: SessionRecord) =>
        Effect.gen(function*() {
          taken.push(`begin ${session} ${ending}`)
          if (session === 0) yield* gate.await
          if (session === undefined) return yield* Effect.fail("no room")
          taken.push(`end ${session}`)
        })
      const lines = yield* Effect.gen(function*() {
        const server = yield* SimulatorServer.SimulatorServer
        const trust = { ca: server.certificate }
        const first = yield* request({}, trust)
        first.stream.write(Buffer.concat([draw("v"), closeStream].map((body) => raw.unsignedFrame(raw.part(body)))))
        yield* Effect.promise(() => first.exchange.answer)
        const second = yield* request({ tampered: { authorization: undefined } }, trust)
        yield* Effect.promise(() => second.exchange.answer)
        const third = yield* request({}, trust)
        yield* Effect.promise(() => third.exchange.messages(1))
        const records = yield* server.ledger
        assert.deepStrictEqual(records.map(({ ending, session }) => [session, ending]), [
          [0, "flux-closed"],
          [undefined, "refused"],
          [1, "open"]
        ])
        assert.deepInclude(records[0]?.received, { audioBytes: 2560, audioSeconds: 0.08, audioMessages: 1 })
        assert.strictEqual(records[0]?.requestId, (yield* Effect.promise(() => first.exchange.headers))["x-amzn-requestid"])
        assert.strictEqual(records[1]?.reason, "Missing Authentication Token")
        assert.deepStrictEqual(taken, ["begin 0 flux-closed"])
        yield* gate.open
        return yield* Lines
      }).pipe(Effect.provide(simulator({ onRecord, tls })))
      assert.deepStrictEqual(taken, ["begin 0 flux-closed", "end 0", "begin undefined refused", "begin 1 lost", "end 1"])
      const failures = (yield* Queue.takeAll(lines)).filter((line) => line.includes("a record was not taken"))
      assert.lengthOf(failures, 1)
      assert.include(failures[0], "no room")
    }))

  it.live("logs no transcript, query or secret", () =>
    Effect.gen(function*() {
      const { url } = yield* SimulatorServer.SimulatorServer
      const query = `${baseQuery}&keyterm=Llanfair&tag=confidential`
      yield* Effect.promise(() => call({ url, credentials: raw.credentials, query, audio: [draw("vvvvvv.........")] }))
      const { exchange } = yield* request({ query: `${query}&language_hint=confidential` })
      assert.strictEqual((yield* Effect.promise(() => exchange.answer)).status, 424)
      const lines = yield* Effect.flatMap(Lines, Queue.takeAll)
      assert.lengthOf(lines, 3)
      assert.notMatch(lines.join("\n"), /Hello|Llanfair|confidential|wJalr|AKID/)
    }).pipe(Effect.provide(simulator())))
})
