import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as requestSignature from "../../src/internal/requestSignature.ts"
import { credentials, type RequestOptions, seedOf, signedHeaders, streamingPayload, vectorMillis } from "../support/rawClient.ts"
import { signatureOf } from "../support/sigv4.ts"

const requestOf = (headers: Readonly<Record<string, string>>): requestSignature.Request => ({
  method: headers[":method"] ?? "",
  path: headers[":path"] ?? "",
  header: (name) => headers[name]
})

/** What a server with these credentials and time makes of a request. */
const judge = (headers: Readonly<Record<string, string>>, nowMillis = vectorMillis, keys: requestSignature.Credentials = credentials): string => {
  const request = requestOf(headers)
  const auth = requestSignature.authorization(request)
  if (Result.isFailure(auth)) return auth.failure.errorType
  const problem = requestSignature.verify(request, auth.success, keys, nowMillis)
  return problem === undefined ? "ok" : `${problem.errorType}: ${problem.message}`
}
const after = (options: RequestOptions, nowMillis?: number): Effect.Effect<string> =>
  Effect.map(Effect.promise(() => signedHeaders(options)), (headers) => judge(headers, nowMillis))

const vector = (hostName: string, signature: string): Record<string, string> => ({
  ":method": "POST",
  ":path": "/endpoints/my-flux/invocations-bidirectional-stream",
  ":authority": "runtime.sagemaker.us-east-1.amazonaws.com:8443",
  "content-type": "application/vnd.amazon.eventstream",
  "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-EVENTS",
  "x-amz-date": "20260102T030405Z",
  "x-amzn-sagemaker-model-invocation-path": "v2/listen",
  "x-amzn-sagemaker-model-query-string": "model=flux-general-en&encoding=linear16&sample_rate=16000",
  authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/sagemaker/aws4_request, SignedHeaders=${
    [hostName, "content-type", "x-amz-content-sha256", "x-amz-date", "x-amzn-sagemaker-model-invocation-path",
      "x-amzn-sagemaker-model-query-string"].toSorted().join(";")
  }, Signature=${signature}`
})

describe("requestSignature", () => {
  it.each([
    ["host", "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb"],
    [":authority", "e91f2f901a46f58d5cc6d56c8146fb8c4d27c2b133e804dd7218e0f68ef6b6a8"]
  ] as const)("takes the seed of protocol 5.4 with %s signed", (hostName, signature) => {
    assert.strictEqual(judge(vector(hostName, signature)), "ok")
    assert.include(judge(vector(hostName, signature.replace("7", "8"))), "does not match")
  })

  it.effect("makes the same vectors with the SDK's signer", () =>
    Effect.gen(function*() {
      const seeds = yield* Effect.promise(() =>
        Promise.all([signedHeaders(), signedHeaders({ hostName: ":authority" })])
      )
      assert.deepStrictEqual(seeds.map(seedOf), [
        "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb",
        "e91f2f901a46f58d5cc6d56c8146fb8c4d27c2b133e804dd7218e0f68ef6b6a8"
      ])
    }))

  describe("of AWS's SDK for Rust, which declares no payload", () => {
    const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "s3cret" }
    // 2026-11-30T18:59:51Z
    const millis = 1_796_065_191_000
    const path = "/endpoints/my-flux/invocations-bidirectional-stream"
    const hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    const signed: Readonly<Record<string, string>> = {
      "content-type": "application/vnd.amazon.eventstream",
      host: "127.0.0.1:18500",
      "x-amz-date": "20261130T185951Z",
      "x-amz-user-agent": "aws-sdk-rust/1.7.0 ua/2.1 api/sagemakerruntimehttp2/1.30.0 os/linux lang/rust/1.95.0 m/E,N md/http#hyper-1.x",
      "x-amzn-sagemaker-model-invocation-path": "v2/listen",
      "x-amzn-sagemaker-model-query-string": "model=flux-general-en&encoding=linear16&sample_rate=16000"
    }
    const names = Object.keys(signed).join(";")
    const sign = (payload: string, query = "", secretAccessKey = keys.secretAccessKey): string =>
      signatureOf(["POST", path, query, ...Object.entries(signed).map((pair) => pair.join(":")), "", names, payload], {
        secretAccessKey,
        region: "us-east-2",
        stamp: "20261130T185951Z"
      })
    const request = (signature: string, changes: Readonly<Record<string, string>> = {}): Record<string, string> => {
      const { host = "", ...headers } = signed
      return {
        ":method": "POST",
        ":path": path,
        // as HTTP/2 carries what is signed as host
        ":authority": host,
        ...headers,
        authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/us-east-2/sagemaker/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
        ...changes
      }
    }
    const verdict = (signature: string, changes?: Readonly<Record<string, string>>): string => judge(request(signature, changes), millis, keys)
    const vector = "0d680a24c0825b033327e3655367d319be2f965d4f399bf33e2dea652089143e"

    it("takes a request as that SDK has signed it", () => {
      assert.strictEqual(sign(hashOfNothing), vector)
      assert.strictEqual(verdict(vector), "ok")
    })
    it("takes the literal in the payload line, too", () => assert.strictEqual(verdict(sign(streamingPayload)), "ok"))
    it("takes the host under both names", () => assert.strictEqual(verdict(vector, { host: "127.0.0.1:18500" }), "ok"))
    it.each<readonly [what: string, signature: string, changes: Record<string, string>]>([
      ["a wrong secret", sign(hashOfNothing, "", "wrong"), {}],
      ["any other payload line", sign("UNSIGNED-PAYLOAD"), {}],
      ["an empty payload line", sign(""), {}],
      // a header that is there is what was signed
      ["a header other than the payload line", vector, { "x-amz-content-sha256": streamingPayload }],
      ["an empty header", vector, { "x-amz-content-sha256": "" }],
      ["another authority", vector, { ":authority": "127.0.0.1:18501" }],
      ["another host beside the authority", vector, { host: "127.0.0.1:18501" }],
      ["another user agent", vector, { "x-amz-user-agent": "aws-sdk-rust/1.7.1" }]
    ])("refuses %s", (_, signature, changes) =>
      assert.include(verdict(signature, changes), "InvalidSignatureException: The request signature we calculated does not match"))
    it("takes the hash of nothing where the header says it", () =>
      assert.strictEqual(verdict(vector, { "x-amz-content-sha256": hashOfNothing }), "ok"))

    describe("with a query", () => {
      // the canonical form by the rules of SigV4, written by hand
      it.each<readonly [target: string, canonical: string]>([
        ["?", ""],
        ["?&", ""],
        ["?a=b", "a=b"],
        ["?flag", "flag="],
        ["?flag=", "flag="],
        ["?b=2&a=1&b=1", "a=1&b=1&b=2"],
        // by name first: "=" comes after "-"
        ["?a-b=1&a=2", "a=2&a-b=1"],
        ["?k=a%20b&k=%7e%2F", "k=a%20b&k=~%2F"],
        ["?k=a+b", "k=a%2Bb"],
        ["?k=%e2%82%ac", "k=%E2%82%AC"],
        ["?k=a=b", "k=a%3Db"],
        ["?k=a?b", "k=a%3Fb"],
        ["?k=!'()*", "k=%21%27%28%29%2A"],
        // no percent-encoding: it stands for itself
        ["?k=100%", "k=100%25"]
      ])("%s is signed as \"%s\"", (target, canonical) => {
        const changes = { ":path": path + target }
        assert.strictEqual(verdict(sign(hashOfNothing, canonical), changes), "ok")
        assert.include(verdict(sign(hashOfNothing, `${canonical}x`), changes), "does not match")
      })
    })
  })

  const Text = Schema.String.check(Schema.isPattern(/^[ -~]{1,40}$/))
  it.effect.prop("agrees with the SDK's signer", {
    host: Schema.String.check(Schema.isPattern(/^[a-z0-9.-]{1,20}(:\d{1,5})?$/)),
    hostName: Schema.Literals(["host", ":authority"]),
    region: Schema.String.check(Schema.isPattern(/^[a-z]{2}-[a-z]{4,9}-\d$/)),
    query: Text,
    path: Schema.String.check(Schema.isPattern(/^(\/[A-Za-z0-9_~%!'()*-]{1,10}){1,4}$/)),
    parameters: Schema.Record(Schema.String.check(Schema.isPattern(/^[ -~]{1,8}$/)), Text),
    payload: Schema.UndefinedOr(Schema.Literals([streamingPayload, "UNSIGNED-PAYLOAD"])),
    headers: Schema.Record(Schema.Literals(["accept", "x-amz-api-version", "x-amz-security-token"]), Text),
    millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000_000 })),
    skew: Schema.Int.check(Schema.isBetween({ minimum: -290_000, maximum: 290_000 }))
  }, ({ skew, ...options }) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* after(options, options.millis + skew), "ok")
      const wrong = yield* after({ ...options, secretAccessKey: "wrong" }, options.millis)
      assert.include(wrong, "InvalidSignatureException: The request signature we calculated does not match")
    }), { arbitrary: { runs: 60, seed: "sigv4" } })

  it.effect("refuses what was changed after signing", () =>
    Effect.gen(function*() {
      const mismatch = "InvalidSignatureException: The request signature we calculated does not match"
      for (
        const tampered of [
          { host: "elsewhere:8443" },
          { "content-type": "text/plain" },
          { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" },
          { "x-amz-date": "20260102T030406Z" },
          { "x-amzn-sagemaker-model-invocation-path": "v1/listen" },
          { "x-amzn-sagemaker-model-query-string": undefined },
          { ":path": "/endpoints/other/invocations-bidirectional-stream" },
          { ":method": "GET" }
        ]
      ) assert.include(yield* after({ tampered }), mismatch)
    }))

  it.effect("refuses other callers and other services", () =>
    Effect.gen(function*() {
      assert.include(yield* after({ accessKeyId: "AKIDOTHER" }), "UnrecognizedClientException")
      const { authorization = "", ...headers } = yield* Effect.promise(() => signedHeaders())
      assert.include(
        judge({ ...headers, authorization: authorization.replace("/sagemaker/", "/bedrock/") }),
        "InvalidSignatureException: Credential should be scoped to correct service"
      )
      assert.include(
        judge({ ...headers, authorization: authorization.replace("/20260102/", "/20260103/") }),
        "InvalidSignatureException: Date in Credential scope"
      )
    }))

  it.effect("refuses a date more than five minutes off, both ways", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* after({}, vectorMillis + 300_000), "ok")
      assert.include(yield* after({}, vectorMillis + 300_001), "InvalidSignatureException: Signature expired")
      assert.strictEqual(yield* after({}, vectorMillis - 300_000), "ok")
      assert.include(yield* after({}, vectorMillis - 300_001), "InvalidSignatureException: Signature not yet current")
    }))

  it.effect("asks for a date that is one, and signed", () =>
    Effect.gen(function*() {
      for (const date of [undefined, "yesterday", "20261302T030405Z", "2026-01-02T03:04:05Z"]) {
        assert.include(yield* after({ tampered: { "x-amz-date": date } }), "IncompleteSignatureException")
      }
      const { authorization = "", ...headers } = yield* Effect.promise(() => signedHeaders())
      assert.include(
        judge({ ...headers, authorization: authorization.replace(";x-amz-date", "") }),
        "IncompleteSignatureException: 'X-Amz-Date' must be"
      )
    }))

  it("reads only what has the shape of an authorization", () => {
    const headers = vector("host", "0".repeat(64))
    const { authorization = "" } = headers
    assert.strictEqual(judge({ ...headers, authorization: "" }), "MissingAuthenticationTokenException")
    for (
      const broken of [
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        authorization.replace("Signature=0", "Signature=x"),
        `${authorization}0`,
        authorization.replace("aws4_request", "aws5_request"),
        authorization.replace("/20260102", "/2026-01-02"),
        authorization.replace("host;", ""),
        authorization.replace("SignedHeaders=", "Headers=")
      ]
    ) assert.strictEqual(judge({ ...headers, authorization: broken }), "IncompleteSignatureException", broken)
    const auth = requestSignature.authorization(requestOf({ authorization: authorization.replaceAll(", ", ",") }))
    assert.deepStrictEqual(Result.getOrThrow(auth).signedHeaders.slice(0, 2), ["content-type", "host"])
  })
})
