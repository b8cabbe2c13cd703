/**
 * The SageMaker endpoint simulator as a server on this machine: HTTP/2, with TLS or without (h2c), speaking the wire
 * of `InvokeEndpointWithBidirectionalStream` (protocol 5) with a simulated endpoint behind it. It hears when
 * someone speaks and takes what is said from a script; it recognises no speech.
 *
 * @example
 * const program = Effect.gen(function*() {
 *   const { url } = yield* SimulatorServer.SimulatorServer
 *   // give `url` to a client as its endpoint URL
 * }).pipe(Effect.provide(SimulatorServer.layer({ script: Script.fromText("Hello, how are you?") })))
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as certificate from "./server/certificate.ts"
import * as Endpoint from "./Endpoint.ts"
import * as front from "./server/front.ts"
import type { SessionRecord } from "./Ledger.ts"

/** How the simulator behaves and where it listens. */
export interface Options extends Endpoint.Behaviour {
  /** Address to listen on; default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Port to listen on; default 0, any free one. */
  readonly port?: number | undefined
  /**
   * The names under which the endpoint is found; a request for another one is refused with 400 `ValidationError`, as
   * SageMaker refuses it. Default: every name.
   */
  readonly endpointNames?: ReadonlyArray<string> | undefined
  /**
   * TLS with a certificate made at start (`true`) or with this one, as PEM texts; default: without TLS. To make one,
   * the package `selfsigned` must be installed.
   */
  readonly tls?: boolean | certificate.Certificate | undefined
  /**
   * Where given, the signature of each request and of each chunk is checked against them, and dates against the
   * Clock; default: anything that has the shape of a signature is taken.
   */
  readonly verifyCredentials?:
    | { readonly accessKeyId: string; readonly secretAccessKey: Redacted.Redacted }
    | undefined
  /**
   * Takes the record of each session that has ended or was refused: one after another, in that order; at most 10,000
   * wait. Its failures are logged. Closing the simulator waits for it, for at most ten seconds.
   */
  readonly onRecord?: ((record: SessionRecord) => Effect.Effect<void, unknown>) | undefined
}

/** The simulator cannot listen: most often the port is taken. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  address: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The simulator cannot listen on ${this.address}: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/** A running simulator. */
export class SimulatorServer extends Context.Service<SimulatorServer, {
  /** `http://host:port`, or `https:` with TLS, to be used as an endpoint URL. */
  readonly url: string
  readonly port: number
  /** With TLS, what a client has to trust: the certificate made or given, as PEM. */
  readonly certificate: string | undefined
  /** Sessions open now: from the response headers until nothing more will be said. */
  readonly sessions: Effect.Effect<number>
  /** What each session received and sent, oldest first; of those that have ended the newest 10,000. */
  readonly ledger: Effect.Effect<ReadonlyArray<SessionRecord>>
}>()("effect-flux-sagemaker/simulator/SimulatorServer") {}

/** Starts a simulator. Closing the Scope stops it and frees every socket at once. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<SimulatorServer["Service"], ListenFailed | certificate.CertificateFailed, Scope.Scope> {
  const { endpointNames, host = "127.0.0.1", onRecord, port = 0, tls = false, verifyCredentials } = options
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const log = Effect.runSyncWith(context)
  const fork = yield* FiberSet.makeRuntime()
  const secure = tls === false ? undefined : yield* tls === true ? certificate.make(host) : certificate.check(tls)
  const keep = onRecord === undefined ? undefined : yield* recordKeeper(onRecord)
  const endpoint = Endpoint.make(options, (happening) => {
    log(lineOf(happening))
    if (happening.what !== "opened" && keep?.(happening.record) === false) {
      log(Effect.logWarning(`Simulator: a record was lost, as ${Endpoint.maxRecords} wait to be taken`))
    }
  })
  const server = front.make({
    endpoint,
    secure,
    rules: {
      credentials: verifyCredentials && {
        accessKeyId: verifyCredentials.accessKeyId,
        secretAccessKey: Redacted.value(verifyCredentials.secretAccessKey)
      },
      endpointNames: endpointNames && new Set(endpointNames)
    },
    clock,
    after: (millis, run) => {
      const fiber = fork(Effect.andThen(Effect.sleep(millis), Effect.sync(run)))
      return () => fiber.interruptUnsafe()
    },
    decoded: (run) => void fork(Effect.provideService(Effect.delay(Effect.sync(run), decodeTime), Clock.Clock, realClock)),
    onRubbish: (problem) =>
      log(Effect.logDebug("Simulator: bad connection").pipe(Effect.annotateLogs({ problem }))),
    onStranger: (problem) =>
      log(Effect.logWarning("Simulator: bad connection").pipe(Effect.annotateLogs({ problem })))
  })
  const bound = yield* Effect.acquireRelease(
    Effect.mapError(server.listen(port, host), (cause) => new ListenFailed({ address: `${host}:${port}`, cause })),
    () => server.close
  )
  return SimulatorServer.of({
    url: `${secure === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    certificate: secure?.cert,
    sessions: Effect.sync(endpoint.sessions),
    ledger: Effect.sync(endpoint.ledger)
  })
})

/**
 * How long Flux decodes what is left at CloseStream: a client that ends its body within it loses the answer. On the
 * real clock, whatever a test has in its place: what a client sends right behind takes real time to arrive.
 */
const decodeTime = Duration.millis(50)
const realClock = Context.get(Context.empty(), Clock.Clock)

/** A simulator that lives as long as the layer. */
export const layer = (
  options: Options = {}
): Layer.Layer<SimulatorServer, ListenFailed | certificate.CertificateFailed> =>
  Layer.effect(SimulatorServer, make(options))

/** The log line of what happened to a session; says nothing of what was said or asked. */
const lineOf = ({ record, refusal, unmet = [], what }: Endpoint.Happening): Effect.Effect<void> => {
  const { ending, reason, received, requestId, session } = record
  const faults = [...new Set(record.faults.map(({ fault }) => fault))]
  const told = Effect.annotateLogs({ session, requestId, ...(faults.length === 0 ? {} : { faults: faults.join(" ") }) })
  switch (what) {
    case "opened":
      return told(Effect.logInfo("Simulated session opened"))
    case "refused":
      return told(Effect.logWarning("Simulated session refused").pipe(
        Effect.annotateLogs({ status: refusal?.status, errorType: refusal?.errorType, reason: refusal?.reason ?? reason })
      ))
    case "ended":
      return told((unmet.length === 0
        ? Effect.logInfo("Simulated session ended")
        : Effect.logWarning(`Simulated session ended before the moment of ${unmet.join(", ")} had come`)).pipe(
        Effect.annotateLogs({
          ending,
          audioSeconds: received.audioSeconds,
          ...(reason === undefined ? {} : { reason })
        })
      ))
  }
}

/** Longest time that a closing simulator waits for the last records to be taken. */
const recordBound = Duration.seconds(10)

/** Hands records to `onRecord` one by one. When the Scope closes, those that are left are still handed over. */
const recordKeeper = Effect.fnUntraced(function*(onRecord: NonNullable<Options["onRecord"]>) {
  const records = yield* Queue.dropping<SessionRecord, Cause.Done>(Endpoint.maxRecords)
  const hand = (record: SessionRecord): Effect.Effect<void> =>
    Effect.suspend(() => onRecord(record)).pipe(
      Effect.catchCause((cause) =>
        Effect.logWarning("Simulator: a record was not taken", cause).pipe(
          Effect.annotateLogs({ session: record.session, requestId: record.requestId })
        )
      )
    )
  const worker = yield* Effect.forkScoped(
    Queue.take(records).pipe(Effect.flatMap(hand), Effect.forever, Effect.ignore)
  )
  yield* Effect.addFinalizer(() =>
    Queue.end(records).pipe(
      Effect.andThen(Fiber.await(worker)),
      Effect.timeoutOption(recordBound)
    )
  )
  return (record: SessionRecord): boolean => Queue.offerUnsafe(records, record)
})
