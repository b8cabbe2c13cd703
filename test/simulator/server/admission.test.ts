/** The requests of AWS's SDKs, each signed in its own way, and which of them are let in. */
import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import * as SimulatorServer from "../../../src/simulator/SimulatorServer.ts"
import { closeStream } from "../../support/flux.ts"
import * as raw from "../../support/rawClient.ts"
import { draw } from "../../support/sound.ts"

const { accessKeyId, secretAccessKey } = raw.credentials
/** A simulator that checks every signature, at the time of the vectors. */
const simulator = (options: SimulatorServer.Options = {}) =>
  Effect.andThen(
    TestClock.setTime(raw.vectorMillis),
    SimulatorServer.make({ verifyCredentials: { accessKeyId, secretAccessKey: Redacted.make(secretAccessKey) }, ...options })
  ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

/** A request on a connection of its own, which is open as long as the test's scope. */
const request = Effect.fnUntraced(function*(url: string, options: raw.RequestOptions) {
  const session = yield* Effect.acquireRelease(Effect.sync(() => http2.connect(url)), (session) => Effect.sync(() => session.destroy()))
  const headers = yield* Effect.promise(() => raw.signedHeaders(options))
  return { ...raw.exchange(session, headers), seal: raw.makeSealer(raw.seedOf(headers), options) }
})
const refused = Effect.fnUntraced(function*(url: string, options: raw.RequestOptions) {
  const { body, headers, status } = yield* Effect.flatMap(request(url, options), ({ answer }) => Effect.promise(() => answer))
  return { status, errorType: headers["x-amzn-errortype"], body: JSON.parse(Buffer.from(body).toString()) }
})

const path = "/endpoints/my-flux/invocations-bidirectional-stream"
const hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/** How clients write the same request. */
const dialects: Readonly<Record<string, raw.RequestOptions>> = {
  "JavaScript's": { hostName: ":authority" },
  "Java's": {},
  "Python's, whose path ends in an empty query": { tampered: { ":path": `${path}?` } },
  "Rust's, which declares no payload": { payload: undefined },
  "the one of .NET, with a version": { headers: { "x-amz-api-version": "2025-10-01" } },
  "one with temporary credentials": { headers: { "x-amz-security-token": "token" } },
  "one that declares no body": { payload: hashOfNothing },
  "one with parameters": { parameters: { b: "2 3", "a-b": "", a: "ä" } },
  "one with parameters in another order": { parameters: { a: "1", b: "2" }, tampered: { ":path": `${path}?b=2&a=1` } },
  "one that encodes the name": { path: path.replace("-", "%2D") },
  "one with all of that": { payload: undefined, path: path.replace("my", "%6d%79"), tampered: { ":path": `${path.replace("my", "%6d%79")}?` } },
  "one that says its host twice": { tampered: { host: "runtime.sagemaker.us-east-1.amazonaws.com:8443" } }
}

describe("admission", () => {
  for (const [dialect, options] of Object.entries(dialects)) {
    it.effect(`lets in a request such as ${dialect}, and no other secret and no other chunk`, () =>
      Effect.gen(function*() {
        const server = yield* simulator({ endpointNames: ["my-flux"] })
        const { answer, seal, stream } = yield* request(server.url, options)
        for (const message of [draw("vvvv"), closeStream]) stream.write(yield* Effect.promise(() => seal(raw.part(message))))
        const { body, clean, status } = yield* Effect.promise(() => answer)
        assert.deepStrictEqual([status, clean], [200, true])
        assert.match(raw.textsOf(raw.decodeAll(body)).join("\n"), /^\{"type":"Connected".*\n.*"event":"StartOfTurn"/)
        assert.deepInclude((yield* server.ledger)[0], { endpoint: "my-flux", ending: "flux-closed" })

        const wrong = yield* refused(server.url, { ...options, secretAccessKey: "wrong" })
        assert.deepInclude(wrong, { status: 403, errorType: "InvalidSignatureException" })

        const tampered = yield* request(server.url, options)
        const sealed = yield* Effect.promise(() => tampered.seal(raw.part(draw("v"))))
        const [frame] = raw.decodeAll(sealed)
        tampered.stream.write(raw.encodeMessage(frame?.headers ?? {}, raw.part(draw("."))))
        const broken = raw.decodeAll((yield* Effect.promise(() => tampered.answer)).body).at(-1)
        assert.deepInclude(raw.headersOf(broken), { ":message-type": "exception", ":exception-type": "InvalidSignatureException" })
      }))
  }

  it.effect("refuses a body that is declared as something else, however well it is signed", () =>
    Effect.gen(function*() {
      const { url } = yield* simulator()
      for (const payload of ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hashOfNothing.toUpperCase(), "0".repeat(64)]) {
        const { body, errorType, status } = yield* refused(url, { payload })
        assert.deepStrictEqual([status, errorType], [400, "InputValidationError"], payload)
        assert.include(body.Message, "x-amz-content-sha256 must be")
      }
    }))

  it.effect("knows the endpoints that there are, as they are written", () =>
    Effect.gen(function*() {
      const { ledger, url } = yield* simulator({ endpointNames: ["other", "my-flux-2"] })
      for (const name of ["my-flux", "OTHER", "my-flux-22", "x".repeat(63)]) {
        assert.deepStrictEqual(yield* refused(url, { path: `/endpoints/${name}/invocations-bidirectional-stream` }), {
          status: 400,
          errorType: "ValidationError",
          body: { Message: `Endpoint ${name} of account 000000000000 not found.` }
        })
      }
      for (const name of ["other", "my-flux-2", "my%2dflux%2D2"]) {
        const { headers } = yield* request(url, { path: `/endpoints/${name}/invocations-bidirectional-stream` })
        assert.propertyVal(yield* Effect.promise(() => headers), ":status", 200)
      }
      assert.deepStrictEqual((yield* ledger).map(({ endpoint, session }) => [endpoint, session]).slice(-5), [
        ["my-flux-22", undefined],
        ["x".repeat(63), undefined],
        ["other", 0],
        ["my-flux-2", 1],
        ["my-flux-2", 2]
      ])
      // who may not ask, or asks wrongly, is not told what there is
      assert.propertyVal(yield* refused(url, { secretAccessKey: "wrong" }), "errorType", "InvalidSignatureException")
      assert.propertyVal(yield* refused(url, { path: path.replace("my-", "my_") }), "errorType", "InputValidationError")
    }))

  it.effect("serves nobody where there are no endpoints", () =>
    Effect.gen(function*() {
      const { url } = yield* simulator({ endpointNames: [] })
      assert.propertyVal(yield* refused(url, {}), "errorType", "ValidationError")
    }))
})
