/** Credentials that expire in a long-lived process: what is signed with which, and how often the provider is asked. */
import { assert, describe, it, vi } from "@effect/vitest"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import type * as http2 from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as FluxError from "../../src/FluxError.ts"
import { AttemptBound } from "../../src/internal/attemptBound.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import type { FluxConnection } from "../../src/FluxTransport.ts"
import * as Credentials from "../../src/sagemaker/credentials.ts"
import { resolve } from "../../src/sagemaker/endpoint.ts"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import * as bare from "../support/bareServer.ts"
import { dateOf, seedOf, vectorMillis } from "../support/rawClient.ts"
import { draw } from "../support/sound.ts"

const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"
const hour = 3_600_000
const expired = "The security token included in the request is expired"

/** The nth keys that a provider gives. */
const keysOf = (n: number): AwsCredentialIdentity => ({
  accessKeyId: `AKIDNUMBER${n}`,
  secretAccessKey: `secret-number-${n}`,
  sessionToken: `token-number-${n}`
})

/** A provider, and how it was asked: `look` or `force`, once a call. */
interface Source {
  readonly provider: (options?: { readonly forceRefresh?: boolean }) => Promise<AwsCredentialIdentity>
  readonly asked: Array<"look" | "force">
}
const source = (give: (n: number) => AwsCredentialIdentity | Promise<AwsCredentialIdentity> = keysOf): Source => {
  const asked: Source["asked"] = []
  return {
    asked,
    provider: async (options) => {
      asked.push(options?.forceRefresh === true ? "force" : "look")
      return give(asked.length)
    }
  }
}

/** Which of the keys an authorization names. */
const numberIn = (authorization: unknown): number => Number(/Credential=AKIDNUMBER(\d+)\//.exec(String(authorization))?.[1])
const signedWith = (call: bare.Call): number => numberIn(call.headers["authorization"])

type Answer = (stream: http2.ServerHttp2Stream, key: number) => void

/** SageMaker, as far as it says no. */
const refuse = (stream: http2.ServerHttp2Stream, status: number, headers: http2.OutgoingHttpHeaders, body: object): void => {
  stream.respond({ ":status": status, "x-amzn-requestid": "request-2", ...headers })
  stream.end(JSON.stringify(body))
}
const sayExpired: Answer = (stream) => refuse(stream, 403, { "x-amzn-errortype": "ExpiredTokenException" }, { message: expired })
const accept: Answer = (stream) => bare.accept(stream)
/** A server for which keys up to a number have expired. */
const expiredUpTo = (last: number): Answer => (stream, key) => key <= last ? sayExpired(stream, key) : accept(stream, key)

const serve = (answer: Answer) =>
  bare.serve({ answer: (stream, { authorization }) => answer(stream, numberIn(authorization)) })

const transportTo = (server: bare.BareServer, options: SageMakerTransport.Options) =>
  SageMakerTransport.make({ endpointName: "my-flux", region: "us-east-1", endpointUrl: `http://127.0.0.1:${server.port}`, ...options })

/** The keys of so many requests, in the order in which they came. */
const requests = (server: bare.BareServer, count: number) =>
  Effect.map(Effect.all(Array.from({ length: count }, () => server.call)), (calls) => calls.map(signedWith))

const inStream = (type: string): Uint8Array =>
  bare.event({ ":message-type": "exception", ":exception-type": type }, JSON.stringify({ message: expired }))
const readToFailure = (connection: FluxConnection) => connection.messages.pipe(Stream.runDrain, Effect.flip)

const assertNoKeys = (error: unknown): void => {
  const shown = `${String(error)} ${JSON.stringify(error)} ${inspect(error, { depth: 20, showHidden: true })}`
  assert.notMatch(shown, /AKIDNUMBER|secret-number|token-number/)
}
const assertUnauthorized = (error: FluxError.FluxError, expected: object): void => {
  assert.deepInclude(error.reason, { _tag: "Unauthorized", ...expected })
  assertNoKeys(error)
}
/** AWS says that they have expired, and the provider gives none that have not. */
const assertGivesExpired = (error: FluxError.FluxError): void => {
  assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
  assert.include(error.message, "the provider gives keys that have expired")
  assert.include(error.hint, "renew the credentials at their source")
  assert.isTrue(error.isRetryable)
  assertNoKeys(error)
}
const assertWithinStream = ({ reason }: FluxError.FluxError): void =>
  assert.isTrue(reason._tag === "Unauthorized" && reason.isWithinStream)

describe("credentials that AWS says have expired", () => {
  it.live("are refreshed once for a hundred opens, whenever each is told", () =>
    Effect.gen(function*() {
      const held: Array<http2.ServerHttp2Stream> = []
      // The last to ask is told first, and all others when the refresh is over and a session is open with what it gave.
      const server = yield* serve((stream, key) => {
        if (key === 1 && held.length < 99) held.push(stream)
        else if (key === 1) sayExpired(stream, key)
        else {
          bare.accept(stream)
          for (const late of held.splice(0)) sayExpired(late, 1)
        }
      })
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider, connections: "shared" })
      yield* Effect.all(Array.from({ length: 100 }, () => transport.open(query)), { concurrency: "unbounded" })
      const signed = yield* requests(server, 200)
      assert.deepStrictEqual([1, 2].map((key) => signed.filter((other) => other === key).length), [100, 100])
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  const providers: ReadonlyArray<readonly [string, (provider: Source["provider"]) => Source["provider"]]> = [
    ["a function", (provider) => provider],
    // such as that of another client of the SDK, which then leaves all to it
    ["one that says that it keeps them itself", (provider) => Object.assign(provider, { memoized: true })]
  ]
  it.live.each(providers)("are refreshed once for a hundred opens that are told at once, by %s", ([, like]) =>
    Effect.gen(function*() {
      const refresh = Promise.withResolvers<AwsCredentialIdentity>()
      const { asked, provider } = source((n) => n === 1 ? keysOf(1) : refresh.promise)
      const told = yield* Deferred.make<void>()
      let refused = 0
      const server = yield* serve((stream, key) => {
        if (key !== 1) return bare.accept(stream)
        stream.on("close", () => {
          refused += 1
          if (refused === 100) Deferred.doneUnsafe(told, Effect.void)
        })
        sayExpired(stream, key)
      })
      const transport = yield* transportTo(server, { credentials: like(provider), connections: "shared" })
      const opens = yield* Effect.all(Array.from({ length: 100 }, () => transport.open(query)), { concurrency: "unbounded" }).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* Deferred.await(told)
      // who comes now is signed with what is to come, and does not ask either
      const late = yield* transport.open(query).pipe(Effect.forkChild({ startImmediately: true }))
      refresh.resolve(keysOf(2))
      yield* Fiber.join(opens)
      yield* Fiber.join(late)
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.strictEqual((yield* requests(server, 201)).filter((key) => key === 2).length, 101)
    }))

  it.effect("are refreshed within four fifths of what is left of the attempt, and the error names the provider", () =>
    Effect.gen(function*() {
      const server = yield* bare.serve()
      const forced = yield* Deferred.make<void>()
      const { provider } = source((n) => {
        if (n === 1) return keysOf(1)
        Deferred.doneUnsafe(forced, Effect.void)
        return new Promise(() => undefined)
      })
      const transport = yield* transportTo(server, { credentials: provider })
      const opening = yield* transport.open(query).pipe(
        Effect.flip,
        Effect.provideService(AttemptBound, 5000),
        Effect.forkChild({ startImmediately: true })
      )
      const { stream } = yield* server.call
      yield* TestClock.adjust(2000)
      sayExpired(stream, 1)
      yield* Deferred.await(forced)
      yield* TestClock.adjust(2399)
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust(1)
      const error = yield* Fiber.join(opening)
      assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
      assert.include(error.message, "nothing came within 2.4 s")
    }))

  it.live("are not asked for again by those who learn late that the refresh gave the same", () =>
    Effect.gen(function*() {
      const held: Array<http2.ServerHttp2Stream> = []
      const arrived = yield* Deferred.make<void>()
      const server = yield* serve((stream) => {
        held.push(stream)
        if (held.length === 50) Deferred.doneUnsafe(arrived, Effect.void)
      })
      const { asked, provider } = source(() => keysOf(1))
      const transport = yield* transportTo(server, { credentials: provider, connections: "shared" })
      const opens = yield* Effect.all(
        Array.from({ length: 50 }, () => transport.open(query).pipe(Effect.flip, Effect.forkChild({ startImmediately: true })))
      )
      yield* Deferred.await(arrived)
      for (const stream of held.splice(0, 25)) sayExpired(stream, 1)
      yield* Effect.raceAll(opens.map(Fiber.join))
      for (const stream of held.splice(0)) sayExpired(stream, 1)
      for (const error of yield* Effect.forEach(opens, (open) => Fiber.join(open))) assertGivesExpired(error)
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.deepStrictEqual(held, [])
    }))

  const said: ReadonlyArray<readonly [status: number, headers: http2.OutgoingHttpHeaders, body: object]> = [
    [403, { "x-amzn-errortype": "ExpiredTokenException" }, { message: expired }],
    [403, { "x-amzn-errortype": "com.amazon.coral.service#ExpiredTokenException:http://internal.amazon.com/" }, {}],
    [400, { "x-amzn-errortype": "ExpiredTokenException" }, {}],
    [403, {}, { __type: "com.amazon.coral.service#ExpiredTokenException", message: expired }],
    [400, {}, { code: "ExpiredToken", message: expired }],
    [403, {}, { ErrorCode: "ExpiredToken" }]
  ]
  it.live.each(said)("are refreshed and the open goes on: %i %j %j", ([status, headers, body]) =>
    Effect.gen(function*() {
      const server = yield* serve((stream, key) => key === 1 ? refuse(stream, status, headers, body) : bare.accept(stream))
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider })
      const connection = yield* transport.open(query)
      yield* connection.send({ dataType: "BINARY", bytes: new Uint8Array(4) })
      const [first, second] = [yield* server.call, yield* server.call]
      assert.deepStrictEqual([signedWith(first), signedWith(second)], [1, 2])
      assert.strictEqual(second.headers["x-amz-security-token"], "token-number-2")
      assert.strictEqual(yield* bare.expectedSeed(second, keysOf(2)), seedOf(second.headers))
      const frame = yield* second.frame
      assert.deepStrictEqual([frame], [...(yield* bare.expectedFrames(second, [frame], keysOf(2)))])
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  it.live("are refreshed once in an open: what is refused again is the error, and the next one asks for others at once", () =>
    Effect.gen(function*() {
      const server = yield* serve(sayExpired)
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider })
      for (const signed of [[1, 2], [3]]) {
        const error = yield* transport.open(query).pipe(Effect.flip)
        assertGivesExpired(error)
        assert.deepInclude(error, { stage: "open", requestId: "request-2" })
        assert.deepStrictEqual(yield* requests(server, signed.length), signed)
      }
      assert.deepStrictEqual(asked, ["look", "force", "force"])
      assert.strictEqual(server.connections(), 3)
      yield* server.vacant
    }))

  it.live("are no reason for a second request where they do not change, and worth another try where a provider may change them", () =>
    Effect.gen(function*() {
      const { asked, provider } = source(() => keysOf(1))
      for (const [credentials, mayChange] of [[keysOf(1), false], [provider, true]] as const) {
        const server = yield* serve(sayExpired)
        const transport = yield* transportTo(server, { credentials })
        const error = yield* transport.open(query).pipe(Effect.flip)
        if (mayChange) assertGivesExpired(error)
        else {
          assertUnauthorized(error, { status: 403, errorType: "ExpiredTokenException" })
          assert.isFalse(error.isRetryable)
          assert.include(error.hint, "renew the credentials at their source")
        }
        assert.strictEqual(server.connections(), 1)
        yield* server.vacant
      }
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  it.live("are not those that are refused for another reason", () =>
    Effect.gen(function*() {
      const types = ["UnrecognizedClientException", "InvalidClientTokenId", "AccessDeniedException", "InvalidSignatureException", "SignatureDoesNotMatch"]
      const { asked, provider } = source()
      for (const type of types) {
        const server = yield* serve((stream) => refuse(stream, 403, { "x-amzn-errortype": type }, { message: `Signature expired, or ${expired}` }))
        const transport = yield* transportTo(server, { credentials: provider })
        assertUnauthorized(yield* transport.open(query).pipe(Effect.flip), { errorType: type })
        assert.strictEqual(server.connections(), 1)
      }
      assert.deepStrictEqual(asked, types.map(() => "look"))
    }))

  it.live("fail the open that cannot refresh them, and the next one tries again", () =>
    Effect.gen(function*() {
      const server = yield* serve(expiredUpTo(1))
      const { asked, provider } = source((n) =>
        n === 2 ? Promise.reject(new Error(`STS is away: ${keysOf(1).secretAccessKey} ${keysOf(1).sessionToken}`)) : keysOf(n)
      )
      const transport = yield* transportTo(server, { credentials: provider })
      const error = yield* transport.open(query).pipe(Effect.flip)
      assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
      assert.include(error.message, "STS is away")
      assertNoKeys(error)
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look", "force", "force"])
    }))

  it.live("are refreshed for all, even if the open that began it is interrupted", () =>
    Effect.gen(function*() {
      const refresh = Promise.withResolvers<AwsCredentialIdentity>()
      const begun = yield* Deferred.make<void>()
      const { asked, provider } = source((n) => {
        if (n === 1) return keysOf(1)
        Deferred.doneUnsafe(begun, Effect.void)
        return refresh.promise
      })
      const server = yield* serve(expiredUpTo(1))
      const transport = yield* transportTo(server, { credentials: provider })
      const first = yield* transport.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(begun)
      const second = yield* transport.open(query).pipe(Effect.forkChild({ startImmediately: true }))
      yield* Fiber.interrupt(first)
      refresh.resolve(keysOf(2))
      yield* Fiber.join(second)
      assert.deepStrictEqual(yield* requests(server, 2), [1, 2])
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  it.live("leave no trace of keys in the logs of an open that refreshes them", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const keep = Logger.make(({ message }) => void logged.push(inspect(message, { depth: 20 })))
      const server = yield* serve(expiredUpTo(1))
      const transport = yield* transportTo(server, { credentials: source().provider })
      yield* transport.open(query).pipe(Effect.provide(Logger.layer([keep])), Effect.provideService(References.MinimumLogLevel, "All"))
      assert.deepStrictEqual(logged, ["[ 'AWS says that the credentials have expired: refreshing them' ]"])
    }))
})

describe("credentials that AWS says have expired within the stream", () => {
  const frames: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["an exception", inStream("ExpiredTokenException")],
    ["an exception of the older name", inStream("ExpiredToken")],
    ["an unmodelled error", bare.event({ ":message-type": "error", ":error-code": "ExpiredTokenException", ":error-message": expired })]
  ]
  it.live.each(frames)("by %s are refreshed by the next open, and the error is worth one", ([, frame]) =>
    Effect.gen(function*() {
      const server = yield* serve(accept)
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider })
      const connection = yield* transport.open(query)
      const { stream } = yield* server.call
      stream.write(frame)
      const error = yield* readToFailure(connection)
      assertUnauthorized(error, { detail: expired })
      assertWithinStream(error)
      assert.isTrue(error.isRetryable)
      assert.include(error.hint, "open another session")
      assert.deepStrictEqual(asked, ["look"])
      yield* Effect.all([transport.open(query), transport.open(query)], { concurrency: 2 })
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.deepStrictEqual(yield* requests(server, 3), [2, 2, 2])
    }))

  it.live("are still used where they cannot change, and asked for once by each open until one is taken", () =>
    Effect.gen(function*() {
      let refusing = false
      const server = yield* serve((stream, key) => refusing ? sayExpired(stream, key) : bare.accept(stream))
      const { asked, provider } = source(() => keysOf(1))
      const transport = yield* transportTo(server, { credentials: provider })
      const connection = yield* transport.open(query)
      const { stream } = yield* server.call
      stream.write(inStream("ExpiredTokenException"))
      yield* readToFailure(connection)
      refusing = true
      assertGivesExpired(yield* transport.open(query).pipe(Effect.flip))
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.strictEqual(server.connections(), 2)
      refusing = false
      yield* transport.open(query)
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look", "force", "force"])
    }))

  it.live("are no others than those that the session was signed with", () =>
    Effect.gen(function*() {
      let last = 0
      const server = yield* serve((stream, key) => expiredUpTo(last)(stream, key))
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider })
      const old = yield* transport.open(query)
      const { stream } = yield* server.call
      last = 1
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look", "force"])
      stream.write(inStream("ExpiredTokenException"))
      yield* readToFailure(old)
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look", "force"])
      assert.deepStrictEqual(yield* requests(server, 3), [1, 2, 2])
    }))

  it.live("are not those that are refused for another reason", () =>
    Effect.gen(function*() {
      const server = yield* serve(accept)
      const { asked, provider } = source()
      const transport = yield* transportTo(server, { credentials: provider })
      for (const type of ["UnrecognizedClientException", "InvalidSignatureException", "AccessDeniedException"]) {
        const connection = yield* transport.open(query)
        const { stream } = yield* server.call
        stream.write(inStream(type))
        const error = yield* readToFailure(connection)
        assertUnauthorized(error, { errorType: type })
        assertWithinStream(error)
        assert.isFalse(error.isRetryable)
      }
      yield* transport.open(query)
      assert.deepStrictEqual(asked, ["look"])
    }))
})

/** The machine's date, which the SDK goes by, in a test's hands; nothing else of its time. */
const withDate = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => vi.useFakeTimers({ toFake: ["Date"], now: vectorMillis })),
    () => effect,
    () => Effect.sync(() => vi.useRealTimers())
  )
const setTime = (millis: number) => Effect.sync(() => vi.setSystemTime(millis))

describe("credentials that cannot be signed with", () => {
  const sound = keysOf(1)
  const cases: ReadonlyArray<readonly [identity: AwsCredentialIdentity, says: string]> = [
    [{ ...sound, accessKeyId: `${sound.accessKeyId}\r` }, "the access key id ends in a carriage return"],
    [{ ...sound, secretAccessKey: ` ${sound.secretAccessKey}` }, "the secret access key begins with a blank"],
    [{ ...sound, sessionToken: `"${sound.sessionToken}"` }, "the session token has quotes around it"]
  ]
  for (const [identity, says] of cases) {
    it.live(`${says}: by name, whether given or had from a provider, and nothing is sent`, () =>
      Effect.gen(function*() {
        const server = yield* serve(accept)
        for (const credentials of [identity, () => Promise.resolve(identity)]) {
          const transport = yield* transportTo(server, { credentials })
          const error = yield* transport.open(query).pipe(Effect.flip)
          assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
          assert.include(error.message, says)
          assert.include(error.hint, "no blanks, line ends or quotes")
          assert.strictEqual(error.stage, "open")
          assertNoKeys(error)
        }
        assert.strictEqual(server.connections(), 0)
      }))
  }
})

describe("credentials that never come", () => {
  const never = () => new Promise<AwsCredentialIdentity>(() => undefined)
  const credentialsOf = (credentials: SageMakerTransport.Options["credentials"]) =>
    Effect.map(resolve({ endpointName: "my-flux", region: "us-east-2", endpointUrl: "http://127.0.0.1:1", credentials }), ({ credentials }) => Credentials.make(credentials))
  const begin = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
  const assertLate = (error: FluxError.FluxError): void => {
    assert.strictEqual(error.reason._tag, "CredentialsUnavailable")
    assert.include(error.message, "nothing came within 12 s")
  }

  it.effect("end the open that waits for them, before its bound; who comes in between asks nobody else and has a time of its own", () =>
    Effect.gen(function*() {
      const { asked, provider } = source(never)
      const { take } = yield* credentialsOf(provider)
      const impatient = yield* begin(Effect.timeoutOption(take, "8 seconds"))
      const first = yield* begin(Effect.flip(take))
      yield* TestClock.adjust("8 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.join(impatient)))
      const second = yield* begin(Effect.flip(take))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([first.pollUnsafe(), asked], [undefined, ["look"]])
      yield* TestClock.adjust("1 second")
      assertLate(yield* Fiber.join(first))
      // the provider is given up, and who still has time asks it once more
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual([second.pollUnsafe(), asked], [undefined, ["look", "look"]])
      yield* TestClock.adjust("1 second")
      assertLate(yield* Fiber.join(second))
    }))

  it.effect("are asked for again by the next open: one that hung once does no harm afterwards", () =>
    Effect.gen(function*() {
      const { asked, provider } = source((n) => n === 1 ? never() : keysOf(n))
      const { take } = yield* credentialsOf(provider)
      const first = yield* begin(Effect.flip(take))
      yield* TestClock.adjust("12 seconds")
      assertLate(yield* Fiber.join(first))
      assert.strictEqual((yield* take).identity.accessKeyId, keysOf(2).accessKeyId)
      assert.deepStrictEqual(asked, ["look", "look"])
    }))

  it.effect("are asked for again also where all who waited had less patience", () =>
    Effect.gen(function*() {
      const { asked, provider } = source((n) => n === 1 ? never() : keysOf(n))
      const { take } = yield* credentialsOf(provider)
      for (const _ of [1, 2, 3]) {
        const impatient = yield* begin(Effect.timeoutOption(take, "3 seconds"))
        yield* TestClock.adjust("3 seconds")
        assert.isTrue(Option.isNone(yield* Fiber.join(impatient)))
      }
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* take).identity.accessKeyId, keysOf(2).accessKeyId)
      assert.deepStrictEqual(asked, ["look", "look"])
    }))

  it.effect("by a refresh are asked for again, too; what comes too late is nobody's", () =>
    Effect.gen(function*() {
      const answer = Promise.withResolvers<AwsCredentialIdentity>()
      const { asked, provider } = source((n) => n === 2 ? answer.promise : keysOf(n))
      const { renew, take } = yield* credentialsOf(provider)
      const held = yield* take
      const first = yield* begin(Effect.flip(renew(held)))
      yield* TestClock.adjust("12 seconds")
      assertLate(yield* Fiber.join(first))
      assert.strictEqual((yield* renew(held)).identity.accessKeyId, keysOf(3).accessKeyId)
      answer.resolve(keysOf(2))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.strictEqual((yield* renew(held)).identity.accessKeyId, keysOf(3).accessKeyId)
      assert.deepStrictEqual(asked, ["look", "force", "force"])
    }))

  it.effect("do not keep a refresh waiting for ever that follows them", () =>
    Effect.gen(function*() {
      // the SDK asks twice for the first, as they have expired already
      const { asked, provider } = source((n) => n === 3 ? never() : n > 3 ? keysOf(n) : { ...keysOf(n), expiration: dateOf(n * 1000) })
      const { renew, take } = yield* credentialsOf(provider)
      const held = yield* take
      const looking = yield* begin(Effect.timeoutOption(take, "5 seconds"))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(looking)
      const renewed = yield* begin(renew(held))
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* Fiber.join(renewed)).identity.accessKeyId, keysOf(4).accessKeyId)
      assert.deepStrictEqual(asked, ["look", "look", "look", "force"])
    }))
})

describe("credentials that near their expiration", () => {
  it.live("are asked for again by the next open, once, and by none before", () =>
    Effect.gen(function*() {
      const server = yield* serve(accept)
      // each pair lasts an hour from the one before
      const { asked, provider } = source((n) => ({ ...keysOf(n), expiration: dateOf(vectorMillis + n * hour) }))
      const transport = yield* transportTo(server, { credentials: provider })
      const open = transport.open(query)
      const connection = yield* open
      yield* setTime(vectorMillis + hour / 2)
      yield* open
      assert.deepStrictEqual(asked, ["look"])
      const call = yield* server.call
      assert.deepStrictEqual([signedWith(call), ...(yield* requests(server, 1))], [1, 1])

      yield* setTime(vectorMillis + hour - 60_000)
      yield* Effect.all(Array.from({ length: 20 }, () => open), { concurrency: "unbounded" })
      assert.deepStrictEqual(asked, ["look", "look"])
      assert.deepStrictEqual(yield* requests(server, 20), Array.from({ length: 20 }, () => 2))

      // a session that runs keeps its own, past their time
      yield* setTime(vectorMillis + hour + 1)
      yield* connection.send({ dataType: "BINARY", bytes: new Uint8Array(4) })
      const frame = yield* call.frame
      assert.deepStrictEqual([frame], [...(yield* bare.expectedFrames(call, [frame], keysOf(1)))])

      yield* setTime(vectorMillis + 2 * hour + 1)
      yield* open
      assert.deepStrictEqual(yield* requests(server, 1), [3])
      assert.strictEqual(asked.length, 3)
    }).pipe(withDate))

  it.live("and are found to have expired by an earlier open, are had by one call", () =>
    Effect.gen(function*() {
      // The new ones, or the old ones again, as a provider gives them that refreshes behind its user's back.
      for (const [given, expected] of [[2, ["look", "look"]], [1, ["look", "look", "force"]]] as const) {
        yield* setTime(vectorMillis)
        const lookUp = Promise.withResolvers<AwsCredentialIdentity>()
        const looking = yield* Deferred.make<void>()
        const expiring = (n: number) => ({ ...keysOf(n), expiration: dateOf(vectorMillis + n * hour) })
        const { asked, provider } = source((n) => {
          if (n !== 2) return expiring(n)
          Deferred.doneUnsafe(looking, Effect.void)
          return lookUp.promise
        })
        let held: http2.ServerHttp2Stream | undefined
        const server = yield* serve((stream, key) => {
          if (key === 1 && held === undefined) held = stream
          else expiredUpTo(1)(stream, key)
        })
        const transport = yield* transportTo(server, { credentials: provider })
        const first = yield* transport.open(query).pipe(Effect.forkChild({ startImmediately: true }))
        const call = yield* server.call
        yield* setTime(vectorMillis + hour - 60_000)
        const second = yield* transport.open(query).pipe(Effect.forkChild({ startImmediately: true }))
        yield* Deferred.await(looking)
        sayExpired(call.stream, 1)
        yield* call.closed
        lookUp.resolve({ ...expiring(2), ...keysOf(given) })
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        assert.deepStrictEqual(asked, [...expected])
      }
    }).pipe(withDate))
})

/** Runs with a credentials file of its own, and a way to write it. */
const withCredentialsFile = <A, E, R>(use: (write: (identity: AwsCredentialIdentity) => Promise<void>) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.promise(async () => {
      const directory = await mkdtemp(join(tmpdir(), "flux-"))
      const file = join(directory, "credentials")
      for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"]) vi.stubEnv(name, undefined)
      vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", file)
      vi.stubEnv("AWS_CONFIG_FILE", join(directory, "config"))
      vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true")
      return { directory, file }
    }),
    ({ file }) =>
      use(({ accessKeyId, secretAccessKey, sessionToken }) =>
        writeFile(file, `[default]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\naws_session_token=${sessionToken}\n`)
      ),
    ({ directory }) =>
      Effect.promise(() => {
        vi.unstubAllEnvs()
        return rm(directory, { recursive: true })
      })
  )

describe("credentials of the default chain", () => {
  it.live("are read again from a file that was renewed, when AWS says that they have expired", () =>
    withCredentialsFile((write) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => write(keysOf(1)))
        let last = 0
        const server = yield* serve((stream, key) => expiredUpTo(last)(stream, key))
        const transport = yield* transportTo(server, {})
        yield* transport.open(query)
        yield* Effect.promise(() => write(keysOf(2)))
        yield* transport.open(query)
        last = 1
        yield* transport.open(query)
        yield* transport.open(query)
        assert.deepStrictEqual(yield* requests(server, 5), [1, 1, 1, 2, 2])
      })
    ))
})

describe("a call to an endpoint for which the first credentials have expired", () => {
  const transcribe = (fault: NonNullable<SimulatorServer.Options["faults"]>[number], credentials: SageMakerTransport.Options["credentials"]) =>
    Effect.gen(function*() {
      const server = yield* SimulatorServer.make({ script: Script.fromText("hello there"), faults: [fault] }).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      const transcriber = Transcriber.layer.pipe(
        Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-2", endpointUrl: server.url, credentials })),
        Layer.provide(FluxSettings.layer())
      )
      const ended = yield* Stream.make(draw("vvvvvvvv...............")).pipe(
        Transcriber.transcribe(),
        Stream.runFold(() => "", (words, event) => event.type === "EndOfTurn" ? event.transcript : words),
        Effect.provide(transcriber),
        Effect.exit
      )
      return { ended, endings: (yield* server.ledger).map(({ ending }) => ending) }
    })

  it.live("is heard to its end", () =>
    Effect.gen(function*() {
      const { asked, provider } = source()
      const { ended, endings } = yield* transcribe({ fault: "expired-token-403", session: 0 }, provider)
      assert.deepStrictEqual(ended, Exit.succeed("hello there"))
      assert.strictEqual(endings.length, 2)
      assert.strictEqual(endings[0], "refused")
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  it.live("is heard to its end where they expire in the middle of it: the next session is signed with others", () =>
    Effect.gen(function*() {
      const { asked, provider } = source()
      const { ended, endings } = yield* transcribe(
        { fault: "error-frame", code: "ExpiredTokenException", session: 0, turn: 0, after: 0.2 },
        provider
      )
      assert.deepStrictEqual(ended, Exit.succeed("hello there"))
      assert.deepStrictEqual(endings, ["fault", "flux-closed"])
      assert.deepStrictEqual(asked, ["look", "force"])
    }))

  const failing: ReadonlyArray<readonly [string, () => Promise<AwsCredentialIdentity>]> = [
    ["throws", () => Promise.reject(new Error("STS is away"))],
    ["hangs", () => new Promise(() => undefined)],
    ["gives keys that have expired", () => Promise.resolve({ ...keysOf(9), expiration: dateOf(0) })]
  ]
  for (const [what, fails] of failing) {
    it.live(`is heard to its end where it reconnects while the provider ${what}: the keys in hand are good`, () =>
      Effect.gen(function*() {
        // as they near their expiration, the SDK asks for others each time
        const nearing = yield* Effect.map(Clock.currentTimeMillis, (now) => ({ ...keysOf(1), expiration: dateOf(now + 120_000) }))
        const { asked, provider } = source((n) => n <= 2 ? nearing : fails())
        const { ended, endings } = yield* transcribe({ fault: "error-frame", session: 0, turn: 0, after: 0.2 }, provider)
        assert.deepStrictEqual(ended, Exit.succeed("hello there"))
        assert.deepStrictEqual(endings, ["fault", "flux-closed"])
        // the SDK asks twice for the first
        assert.isAbove(asked.length, 2)
      }))
  }

  it.live("fails where they cannot change", () =>
    Effect.gen(function*() {
      const { ended, endings } = yield* transcribe({ fault: "expired-token-403" }, keysOf(1))
      assert.isTrue(Exit.isFailure(ended))
      assert.deepStrictEqual(endings, ["refused"])
    }))
})
