/**
 * Opens one signed stream to a SageMaker endpoint with the AWS SDK (protocol 5.1, 5.2, 5.4): the SDK's client gives
 * seed signature, user agent and endpoint; the frames are signed with the very credentials of the seed.
 */
import { type ClientHttp2Stream, constants } from "node:http2"
import { Readable } from "node:stream"
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime"
import type { HttpHandler } from "@smithy/core/protocols"
import type { Logger } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as FluxError from "../FluxError.ts"
import type { FluxConnection } from "../FluxTransport.ts"
import { AttemptBound } from "../internal/attemptBound.ts"
import { makeSigner, type SigningKeys, signingKeys } from "../internal/eventStream.ts"
import * as monotonic from "../internal/monotonic.ts"
import * as percent from "../internal/percent.ts"
import { streamingPayload } from "../internal/requestSignature.ts"
import { InvokeEndpointWithBidirectionalStream } from "./command.ts"
import type { Connection, Connections } from "./connections.ts"
import * as Credentials from "./credentials.ts"
import type { Resolved } from "./endpoint.ts"
import { bareError, fromRefusal, type Refusal } from "./errors.ts"
import { nameOf } from "./proxy.ts"
import * as SageMakerStream from "./stream.ts"

/** How far the clock may be off before it is corrected, ms; AWS refuses signatures that are 5 min off. */
const skewBound = 240_000
const maxRefusalBytes = 64 * 1024

const isHttp2Stream = (destination: NodeJS.WritableStream): destination is ClientHttp2Stream =>
  "rstCode" in destination && "session" in destination

/** A body that writes nothing: the SDK's handler pipes it into the HTTP/2 stream, which is all that is wanted of it. */
class RequestBody extends Readable {
  readonly #onStream: (stream: ClientHttp2Stream) => void
  constructor(onStream: (stream: ClientHttp2Stream) => void) {
    super({ read: () => undefined })
    this.#onStream = onStream
  }
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    if (isHttp2Stream(destination)) this.#onStream(destination)
    return destination
  }
}

const nothing = (): void => undefined
/** Without one, the SDK complains on the console of requests that it cannot retry. */
const silent: Logger = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Thrown through the SDK, whose clock correction looks at `$response`. Never leaves this module. */
class RefusalError extends Error {
  readonly refusal: Refusal
  readonly $response: unknown
  readonly $metadata: object = {}
  constructor(refusal: Refusal, response: unknown) {
    super(`HTTP ${refusal.status}`)
    this.refusal = refusal
    this.$response = response
  }
}

/** The text of a refusal, as far as it comes. */
const readText = async (body: unknown): Promise<string> => {
  if (!(body instanceof Readable)) return ""
  const parts: Array<Uint8Array> = []
  let size = 0
  try {
    for await (const chunk of body) {
      if (!(chunk instanceof Uint8Array)) break
      parts.push(chunk)
      size += chunk.length
      if (size >= maxRefusalBytes) break
    }
  } catch {
    // A body that breaks off is still worth what has come of it.
  }
  return Buffer.concat(parts).toString("utf8")
}

/** One request and all it holds. */
interface Exchange {
  readonly connection: Connection
  readonly body: RequestBody
  readonly handle: HttpHandler<object>["handle"]
  readonly stream: () => ClientHttp2Stream | undefined
  readonly authorization: () => string | undefined
  /** What failed was not done, and may be on another connection. */
  readonly goesElsewhere: () => boolean
  /** Sets the owner of the open stream, to be disposed of with it. */
  readonly own: (connection: SageMakerStream.StreamConnection) => void
  /** Resets the stream if it lives and gives the connection back. Idempotent. */
  readonly free: Effect.Effect<void>
}

const makeExchange = (connection: Connection): Exchange => {
  let stream: ClientHttp2Stream | undefined
  let authorization: string | undefined
  let answered = false
  let isTurnedAway = false
  let owner: SageMakerStream.StreamConnection | undefined
  const interrupt = new AbortController()

  const cancel = (open: ClientHttp2Stream): void => {
    // A new stream goes elsewhere when this one never answered, or its peer does not take what was written.
    if (!answered || open.writableLength > 0) connection.retire()
    // RST_STREAM needs a stream that the connection already knows. destroy() also drops writes that cannot leave.
    if (!open.pending) open.close(constants.NGHTTP2_CANCEL)
    open.destroy()
  }

  const body = new RequestBody((opened) => {
    stream = opened
    connection.watch(opened)
    opened.on("error", nothing)
  })

  return {
    connection,
    body,
    handle: async (request, options) => {
      authorization = request.headers["authorization"]
      isTurnedAway = !connection.admits()
      if (isTurnedAway) throw new Error("the connection takes no more streams")
      // The signal keeps a request that the SDK was still preparing from being made after all.
      const { response } = await connection.handler.handle(request, { ...options, abortSignal: interrupt.signal })
      answered = true
      if (response.statusCode === 200) return { response }
      const text = await readText(response.body)
      throw new RefusalError({ status: response.statusCode, headers: response.headers, body: text }, response)
    },
    stream: () => stream,
    authorization: () => authorization,
    goesElsewhere: () => isTurnedAway || (stream !== undefined && connection.refused(stream)),
    own: (opened) => {
      owner = opened
    },
    free: Effect.suspend(() => {
      const open = stream
      if (open === undefined) {
        interrupt.abort()
        return connection.release
      }
      if (!open.destroyed) cancel(open)
      owner?.dispose()
      return connection.release
    })
  }
}

/** Nothing was done on this connection, and it may be on another one. */
const elsewhere = { _tag: "Elsewhere" } as const

const seedOf = (authorization: string | undefined): string | undefined =>
  /Signature=([0-9a-f]{64})$/.exec(authorization ?? "")?.[1]

/** What all streams share that are opened with the same credentials: seed and chunks must have the same. */
interface Identity {
  readonly client: SageMakerRuntimeClient
  readonly keys: SigningKeys
}

/** AWS says that the credentials have expired. */
const isExpired = (reason: FluxError.Reason): boolean => reason._tag === "Unauthorized" && reason.isExpiredToken

type Opened = Effect.Effect<FluxConnection, FluxError.FluxError, Scope.Scope>

/** The `open` of an endpoint. */
export const make = (endpoint: Resolved, connections: Connections): (query: string) => Opened => {
  // Learnt from refusals, as the clock of this machine may be wrong; ms to add.
  let clockOffset = 0
  const credentials = Credentials.make(endpoint.credentials, { clockOffset: () => clockOffset })
  /** By their bodies, which are all that the SDK hands through. */
  const exchanges = new WeakMap<object, Exchange>()
  const requestHandler: HttpHandler<object> = {
    metadata: { handlerProtocol: "h2" },
    updateHttpClientConfig: nothing,
    httpHandlerConfigs: () => ({}),
    handle: async (request, options) => {
      const exchange = request.body === undefined ? undefined : exchanges.get(request.body)
      if (exchange === undefined) throw new Error("The AWS SDK has changed: the body of a request is not that of the command")
      return exchange.handle(request, options)
    }
  }
  const identities = new WeakMap<Credentials.Held, Identity>()
  const identityOf = (held: Credentials.Held): Identity => {
    const known = identities.get(held)
    if (known !== undefined) return known
    const client = new SageMakerRuntimeClient({
      region: endpoint.region,
      endpoint: endpoint.url.href,
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
      credentials: held.identity,
      maxAttempts: 1,
      retryMode: "standard",
      logger: silent,
      requestHandler
    })
    const { secretAccessKey } = held.identity
    const keys = signingKeys({ secretAccessKey, region: endpoint.region, service: "sagemaker" })
    const identity: Identity = { client, keys }
    identities.set(held, identity)
    return identity
  }

  /** One request on one connection, dated by the wall clock and `offset`. */
  const attemptOnOne = Effect.fnUntraced(function*(query: string, held: Credentials.Held, offset: number) {
    const { identity } = held
    const clock = yield* Clock.Clock
    const exchange = yield* Effect.acquireRelease(
      Effect.map(connections.acquire, makeExchange),
      (exchange) => exchange.free,
      // a proxy may keep it waiting, or another's connection
      { interruptible: true }
    )
    exchanges.set(exchange.body, exchange)
    const { client, keys } = identityOf(held)
    const command = new InvokeEndpointWithBidirectionalStream({
      EndpointName: endpoint.name,
      Body: exchange.body,
      ContentType: "application/vnd.amazon.eventstream",
      ContentSha256: streamingPayload,
      ModelInvocationPath: "v2/listen",
      ModelQueryString: query,
      TargetVariant: endpoint.variant
    })

    /** What may stand in no error, though a server may repeat it. */
    const secrets = (): ReadonlyArray<string> => [
      ...Credentials.secretsOf(identity),
      seedOf(exchange.authorization()) ?? "",
      query,
      percent.decode(query) ?? query
    ]
    const failed = (cause: unknown): FluxError.FluxError | typeof elsewhere => {
      if (exchange.goesElsewhere()) return elsewhere
      if (cause instanceof RefusalError) {
        const told = client.config.systemClockOffset
        if (Math.abs(told - clockOffset) >= skewBound) clockOffset = told
        const requestId = cause.refusal.headers["x-amzn-requestid"]
        return FluxError.make(fromRefusal(cause.refusal, secrets(), endpoint.name), "open", requestId)
      }
      // The handler says only that the stream was aborted; the stream knows why.
      const error = bareError(exchange.stream()?.errored ?? cause, secrets())
      if (exchange.authorization() === undefined) return Credentials.unusable(error)
      if (exchange.connection.hasSpoken()) {
        return FluxError.make(new FluxError.ConnectionLost({ detail: "the server gave no answer", cause: error }), "open")
      }
      const proxy = endpoint.proxy && { host: nameOf(endpoint.proxy) }
      const noConnection = FluxError.make(new FluxError.ConnectFailed({ target: endpoint.url.host, proxy, cause: error }), "open")
      exchange.connection.failed(noConnection)
      return noConnection
    }

    // a step of the wall clock in mid-call changes no date
    const now = monotonic.dated(clock)
    client.config.systemClockOffset = offset
    const output = yield* Effect.tryPromise({
      try: () => client.send(command),
      catch: failed
    }).pipe(Effect.onError(() => exchange.free))
    const stream = exchange.stream()
    const seed = seedOf(exchange.authorization())
    if (stream === undefined || seed === undefined) return yield* Effect.die("The AWS SDK has changed: no stream, or no seed signature")

    const requestId = output.$metadata.requestId
    const connection = SageMakerStream.make({
      stream,
      signer: makeSigner(keys, seed),
      millis: () => now() + offset,
      requestId,
      secrets: secrets(),
      onFailure: (reason) => {
        if (isExpired(reason)) credentials.spend(held)
      }
    })
    exchange.own(connection)
    return {
      requestId: requestId ?? "",
      variant: output.InvokedProductionVariant,
      messages: connection.messages,
      send: connection.send,
      end: connection.end
    } satisfies FluxConnection
  })
  const attempt = (query: string, held: Credentials.Held, offset: number): Opened =>
    Effect.catchTag(attemptOnOne(query, held, offset), "Elsewhere", () => attempt(query, held, offset))

  /** What AWS says of keys where no others are to be had: a provider may have others in a moment. */
  const withoutOthers = (error: FluxError.FluxError, held: Credentials.Held): FluxError.FluxError =>
    credentials.mayChange(held)
      ? FluxError.make(
        new FluxError.CredentialsUnavailable({
          cause: new Error(`the provider gives keys that have expired. ${error.reason.message}`),
          todo: error.reason.hint,
          transient: true
        }),
        error.stage,
        error.requestId
      )
      : error

  return Effect.fnUntraced(function*(query) {
    const clock = yield* Clock.Clock
    const began = monotonic.millis(clock)
    /** Within what is left of the attempt: whoever bounds that cannot name the provider. */
    const renew = (held: Credentials.Held): Effect.Effect<Credentials.Held, FluxError.FluxError> =>
      Effect.updateService(credentials.renew(held), AttemptBound, (bound) => bound - (monotonic.millis(clock) - began))
    const taken = yield* credentials.take
    let held = credentials.isSpent(taken) ? yield* renew(taken) : taken
    // each is done once
    let mayRenew = held === taken
    let mayCorrect = true
    for (;;) {
      const offset = clockOffset
      const opened = yield* Effect.result(attempt(query, held, offset))
      if (Result.isSuccess(opened)) return opened.success
      const error = opened.failure
      if (isExpired(error.reason)) {
        credentials.spend(held)
        if (!mayRenew) return yield* withoutOthers(error, held)
        mayRenew = false
        yield* Effect.logDebug("AWS says that the credentials have expired: refreshing them")
        const renewed = yield* renew(held)
        if (Credentials.sameKeys(renewed, held)) return yield* withoutOthers(error, held)
        held = renewed
      } else if (mayCorrect && error.reason._tag === "Unauthorized" && Math.abs(clockOffset - offset) >= skewBound) {
        mayCorrect = false
        yield* Effect.logDebug("the clock of this machine is off: the request is signed again by that of AWS")
      } else return yield* error
    }
  })
}
