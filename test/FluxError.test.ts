import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FluxError from "../src/FluxError.ts"

const message = (reason: FluxError.Reason, stage: FluxError.Stage = "open"): string => FluxError.make(reason, stage, "r-1").message

describe("FluxError", () => {
  it("says what happened, at which stage, in which request, and what to do", () => {
    assert.strictEqual(
      message(new FluxError.Throttled({ detail: "Rate exceeded" })),
      "Throttled by SageMaker: Rate exceeded (stage: open, request r-1). " +
        "Open sessions more slowly, or raise the account's quota or the instance count."
    )
  })

  const hints: ReadonlyArray<readonly [string, FluxError.Reason, RegExp]> = [
    ["a hang on opening", new FluxError.ConnectTimeout({ stage: "open", seconds: 15 }), /port 8443/],
    ["a 424", new FluxError.Rejected({ detail: "x" }), /CloudWatch log group \/aws\/sagemaker\/Endpoints.*language hints.*overloaded/],
    ["a missing permission", new FluxError.Unauthorized({ status: 403, errorType: "AccessDeniedException", detail: "x" }), /InvokeEndpointWithBidirectionalStream/],
    ["an unknown key", new FluxError.Unauthorized({ status: 403, errorType: "UnrecognizedClientException", detail: "x" }), /does not know this access key/],
    ["a wrong secret or region", new FluxError.Unauthorized({ status: 403, errorType: "InvalidSignatureException", detail: "The request signature we calculated does not match" }), /secret key.*region/],
    ["an expired token", new FluxError.Unauthorized({ status: 403, errorType: "ExpiredTokenException", detail: "x" }), /expired.*at their source/],
    ["a token that expired in mid-stream", new FluxError.Unauthorized({ errorType: "ExpiredTokenException", detail: "x" }), /expired.*another session/],
    ["a clock that is off", new FluxError.Unauthorized({ status: 403, errorType: "InvalidSignatureException", detail: "Signature expired: 20260102T030405Z is now earlier than" }), /clock/],
    ["a name that does not resolve", new FluxError.ConnectFailed({ target: "h:8443", cause: new Error("getaddrinfo ENOTFOUND h") }), /region/],
    ["a refused connection", new FluxError.ConnectFailed({ target: "h:1", cause: new Error("connect ECONNREFUSED") }), /port/],
    ["TLS to a server without", new FluxError.ConnectFailed({ target: "h:1", cause: new Error("SSL routines: wrong version number") }), /http:\/\//],
    ["a shutdown", new FluxError.ShuttingDown({}), /another process/],
    ["a shutdown that took too long", new FluxError.ShutdownTimeout({ seconds: 120 }), /120 s after.*shutdownTimeout/],
    ["a certificate", new FluxError.ConnectFailed({ target: "h:1", cause: new Error("self-signed certificate") }), /caFile/]
  ]
  for (const [name, reason, expected] of hints) {
    it(`tells of ${name} what to do`, () => assert.match(message(reason), expected))
  }

  it("takes what to do about a proxy from what it did, whatever the words", () => {
    const hintOf = (proxy: FluxError.ConnectFailed["proxy"], words = "the proxy answered 407, does not speak HTTP and closed") =>
      new FluxError.ConnectFailed({ target: "h:8443", proxy, cause: new Error(words) }).hint
    const host = "proxy:3128"
    assert.match(hintOf({ host, problem: "refused", status: 407 }), /user:password/)
    assert.match(hintOf({ host, problem: "refused", status: 403 }), /SSL_ports/)
    assert.match(hintOf({ host, problem: "refused", status: 502 }), /resolves/)
    assert.match(hintOf({ host, problem: "unreachable" }), /name and port/)
    assert.match(hintOf({ host, problem: "not-http" }), /no HTTP proxy/)
    assert.match(hintOf({ host, problem: "tls" }), /caFile/)
    // it opened the tunnel
    assert.match(hintOf({ host }, "self-signed certificate"), /^The certificate is not trusted/)
    const early = "Client network socket disconnected before secure TLS connection was established"
    assert.match(hintOf({ host }, early), /^The proxy opened the tunnel, which ended before TLS/)
    assert.match(hintOf(undefined, early), /^The server ended the connection before TLS.*port 8443/)
    assert.match(hintOf({ host }, "wrong version number"), /proxy may answer by itself/)
  })

  it("is not worth another try when Flux does not know a message", () => {
    const fatal = (code: string) => FluxError.make(new FluxError.FluxFatal({ code, description: "x" }), "streaming")
    assert.isFalse(fatal("UNPARSABLE_CLIENT_MESSAGE").isRetryable)
    assert.isTrue(fatal("INTERNAL_SERVER_ERROR").isRetryable)
  })

  it("is worth another try where a token expired within the stream, and only there", () => {
    const refused = (errorType: string | undefined, status?: number) =>
      FluxError.make(new FluxError.Unauthorized({ errorType, status, detail: "ExpiredToken" }), "streaming").isRetryable
    assert.deepStrictEqual(["ExpiredTokenException", "ExpiredToken"].map((type) => refused(type)), [true, true])
    assert.deepStrictEqual(["ExpiredTokenException", "ExpiredToken"].map((type) => refused(type, 403)), [false, false])
    assert.deepStrictEqual(["UnrecognizedClientException", "InvalidSignatureException", undefined].map((type) => refused(type)), [false, false, false])
  })

  it("is worth another try where the provider of credentials may give some later, and only there", () => {
    const without = (transient?: boolean) =>
      FluxError.make(new FluxError.CredentialsUnavailable({ cause: new Error("x"), ...(transient === undefined ? {} : { transient }) }), "open")
    assert.deepStrictEqual([without(true), without(false), without()].map(({ isRetryable }) => isRetryable), [true, false, false])
    assert.match(without(true).message, /may give some when it is asked again/)
    assert.match(without().message, /AWS_ACCESS_KEY_ID.*AWS_PROFILE.*role/)
  })

  it("keeps the last reason of a budget that is used up", () => {
    const last = new FluxError.Throttled({ detail: "Rate exceeded" })
    assert.match(message(new FluxError.RetriesExhausted({ attempts: 5, last })), /5 attempts.*Rate exceeded.*more slowly/)
  })

  it.effect("is handled reason by reason", () =>
    Effect.gen(function*() {
      const failing = Effect.fail(FluxError.make(new FluxError.Throttled({ detail: "Rate exceeded" }), "open"))
      const handled = yield* failing.pipe(
        Effect.catchReason("FluxError", "Throttled", (reason) => Effect.succeed(reason.detail))
      )
      assert.strictEqual(handled, "Rate exceeded")
    }))
})
