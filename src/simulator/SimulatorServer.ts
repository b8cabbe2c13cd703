/**
 * The SageMaker endpoint simulator as a server: HTTP/2 without TLS (h2c) on this machine, speaking the wire of
 * `InvokeEndpointWithBidirectionalStream` (protocol 5) with the simulator's Flux behind it. Any endpoint name is
 * served. It hears when someone speaks and takes what is said from a script; it recognises no speech.
 *
 * @example
 * const program = Effect.gen(function*() {
 *   const { url } = yield* SimulatorServer.SimulatorServer
 *   // give `url` to a client as its endpoint URL
 * }).pipe(Effect.provide(SimulatorServer.layer({ script: Script.fromText("Hello, how are you?") })))
 */
import * as crypto from "node:crypto"
import * as http2 from "node:http2"
import type * as net from "node:net"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Limits } from "../internal/settings.ts"
import { type Admitted, judge, type Refusal, type Rules } from "./admission.ts"
import * as exchange from "./exchange.ts"
import type { CloseMode } from "./FluxModel.ts"
import type { Script } from "./Script.ts"

/** How the simulator behaves. */
export interface Options {
  /** Address to listen on; default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Port to listen on; default 0, any free one. */
  readonly port?: number | undefined
  /** What is said in each session; default: placeholders, such as `speech-1`. */
  readonly script?: Script | undefined
  /** What CloseStream does to an open turn; default `update`. */
  readonly closeMode?: CloseMode | undefined
  /** Which parameters and ranges a query may use; default: those of the profile `flux-english-20260311`. */
  readonly limits?: Limits | undefined
  /**
   * Where given, the signature of each request and of each chunk is checked against them, and dates against the
   * Clock; default: anything that has the shape of a signature is taken.
   */
  readonly verifyCredentials?:
    | { readonly accessKeyId: string; readonly secretAccessKey: Redacted.Redacted }
    | undefined
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
  /** `http://host:port`, to be used as an endpoint URL. */
  readonly url: string
  readonly port: number
  /** Sessions open now: from the response headers until nothing more will be said. */
  readonly sessions: Effect.Effect<number>
}>()("effect-flux-sagemaker/simulator/SimulatorServer") {}

/** Starts a simulator. Closing the Scope stops it and frees every socket at once. */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<SimulatorServer["Service"], ListenFailed, Scope.Scope> {
  const { closeMode, host = "127.0.0.1", limits, port = 0, script, verifyCredentials } = options
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const front = makeFront({
    rules: {
      script,
      closeMode,
      limits,
      credentials: verifyCredentials && {
        accessKeyId: verifyCredentials.accessKeyId,
        secretAccessKey: Redacted.value(verifyCredentials.secretAccessKey)
      }
    },
    now: () => clock.currentTimeMillisUnsafe(),
    log: Effect.runSyncWith(context)
  })
  const bound = yield* Effect.acquireRelease(listen(front, host, port), front.close)
  return SimulatorServer.of({
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    port: bound,
    sessions: Effect.sync(front.sessions)
  })
})

/** A simulator that lives as long as the layer. */
export const layer = (options: Options = {}): Layer.Layer<SimulatorServer, ListenFailed> =>
  Layer.effect(SimulatorServer, make(options))

/** The server and what is open on it: the side of Node's callbacks. */
interface Front {
  readonly server: http2.Http2Server
  readonly sessions: () => number
  /** Completes when every socket is gone. */
  readonly close: () => Effect.Effect<void>
}

const makeFront = ({ log, now, rules }: {
  readonly rules: Rules
  readonly now: () => number
  /** Runs a log line to its end. */
  readonly log: (line: Effect.Effect<void>) => void
}): Front => {
  const server = http2.createServer()
  const sockets = new Set<net.Socket>()
  let sessions = 0

  const open = (stream: http2.ServerHttp2Stream, admitted: Admitted, requestId: string, fluxRequestId: string): void => {
    sessions++
    const said = Effect.annotateLogs({ requestId, fluxRequestId })
    stream.respond({
      ":status": 200,
      "content-type": "application/vnd.amazon.eventstream",
      "x-amzn-requestid": requestId,
      "x-amzn-invoked-production-variant": "simulator"
    })
    log(Effect.logInfo("Simulated session opened").pipe(said))
    exchange.run(stream, admitted, (ending, detail) => {
      sessions--
      log(
        Effect.logInfo("Simulated session ended").pipe(
          Effect.annotateLogs({
            ending,
            audioSeconds: admitted.model.audioSeconds(),
            ...(detail === "" ? {} : { detail })
          }),
          said
        )
      )
    })
  }
  const refuse = (stream: http2.ServerHttp2Stream, refusal: Refusal, requestId: string): void => {
    stream.respond({
      ":status": refusal.status,
      "content-type": "application/json",
      "x-amzn-errortype": refusal.errorType,
      "x-amzn-requestid": requestId
    })
    stream.end(refusal.body)
    // the client may go on with its body until it has read this
    stream.resume()
    const { errorType, reason, status } = refusal
    log(Effect.logWarning("Simulated session refused").pipe(Effect.annotateLogs({ requestId, status, errorType, reason })))
  }

  server.on("stream", (stream, headers) => {
    // a stream that breaks says so by closing too
    stream.on("error", ignore)
    if (stream.destroyed || stream.closed) return
    const requestId = crypto.randomUUID()
    const fluxRequestId = crypto.randomUUID()
    const request = {
      method: headers[":method"] ?? "",
      path: headers[":path"] ?? "",
      header: (name: string): string | undefined => {
        const value = headers[name]
        return Array.isArray(value) ? value.join(", ") : value
      }
    }
    Result.match(judge(request, rules, fluxRequestId, now()), {
      onSuccess: (admitted) => open(stream, admitted, requestId, fluxRequestId),
      onFailure: (refusal) => refuse(stream, refusal, requestId)
    })
  })
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  const rubbish = (error: Error): void =>
    log(Effect.logDebug("Simulator: bad connection").pipe(Effect.annotateLogs({ problem: error.message })))
  server.on("sessionError", rubbish)
  server.on("clientError", rubbish)
  server.on("error", rubbish)

  return {
    server,
    sessions: () => sessions,
    close: () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  }
}

const ignore = (): void => {}

const listen = ({ server }: Front, host: string, port: number): Effect.Effect<number, ListenFailed> =>
  Effect.callback((resume) => {
    const failed = (cause: Error): void =>
      resume(Effect.fail(new ListenFailed({ address: `${host}:${port}`, cause })))
    server.once("error", failed)
    server.listen(port, host, () => {
      server.removeListener("error", failed)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })
