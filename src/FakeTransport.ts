/**
 * A transport without a network, for tests: your program runs unchanged, time is TestClock's, and the other side is
 * the simulated endpoint, with its script and its faults, or a `Peer` that you write. Everything that reaches it is
 * recorded.
 *
 * @example
 * const test = program.pipe(Effect.provide(Transcriber.layer.pipe(
 *   Layer.provideMerge(FakeTransport.layer({ script: Script.fromText("hello there") })),
 *   Layer.provide(FluxSettings.layer())
 * )))
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FluxError from "./FluxError.ts"
import {
  type Capabilities,
  defaultProfile,
  type FluxConnection,
  FluxTransport,
  type Frame,
  profiles
} from "./FluxTransport.ts"
import { errorNames } from "./internal/http2Errors.ts"
import * as monotonic from "./internal/monotonic.ts"
import { fromException, fromRefusal } from "./sagemaker/errors.ts"
import * as Endpoint from "./simulator/Endpoint.ts"
import type { SessionRecord } from "./simulator/Ledger.ts"
import type { StreamError, Wire } from "./simulator/wire.ts"

/** The server's side of one connection, for a {@link Peer} to act on. */
export interface Server {
  /** Sends a text message. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Ends the response cleanly. */
  readonly end: Effect.Effect<void>
  /** Breaks the response. */
  readonly fail: (reason: FluxError.Reason) => Effect.Effect<void>
}

/** How the other side of one connection behaves; what is left out is done at once and says nothing. */
export interface Peer {
  /** Comes before the response headers: may wait, fail, or never complete. */
  readonly accept?: Effect.Effect<void, FluxError.FluxError> | undefined
  /** Runs from the response headers on, in a fiber of its own. */
  readonly opened?: ((server: Server) => Effect.Effect<void>) | undefined
  /** Takes one message; `send` completes when it does, so waiting here is a peer that does not read. */
  readonly received?: ((frame: Frame, server: Server) => Effect.Effect<void, FluxError.FluxError>) | undefined
  /** The request body has ended. */
  readonly ended?: ((server: Server) => Effect.Effect<void>) | undefined
  /** Part of freeing the connection; may hang. */
  readonly released?: Effect.Effect<void> | undefined
}

/** Something that reached the fake: `at` in ms since 1970 that no step of the wall clock moves, `session` from 0, `detail` the query, the text, or the bytes of audio. */
export interface Entry {
  readonly at: number
  readonly session: number
  readonly what: "open" | "audio" | "text" | "end" | "disconnect"
  readonly detail: string
}

/** What has reached the fake so far. */
export class FakeTransport extends Context.Service<FakeTransport, {
  /** In order. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
  /** What the simulated endpoint saw and did, a record a session; none with a `Peer`. */
  readonly ledger: Effect.Effect<ReadonlyArray<SessionRecord>>
}>()("effect-flux-sagemaker/FakeTransport") {}

/** How the simulated endpoint behaves, and what its client is told of it. */
export interface Options extends Endpoint.Behaviour {
  /** What the client takes the endpoint for; default: what the profile says. */
  readonly capabilities?: Capabilities | undefined
}

/** The simulated endpoint behind every connection. */
export const layer = (options: Options = {}): Layer.Layer<FluxTransport | FakeTransport> =>
  layerOf(
    options.capabilities ?? capabilitiesOf(options.profile),
    Effect.sync(() => {
      const endpoint = Endpoint.make(options)
      return {
        open: (query, session) => connect(endpoint, query, session),
        ledger: endpoint.ledger
      }
    })
  )

/** The other side as you write it: a new {@link Peer} for each connection, in the order of opening. */
export const layerPeer = (
  peer: (query: string, session: number) => Peer,
  options: { readonly capabilities?: Capabilities | undefined } = {}
): Layer.Layer<FluxTransport | FakeTransport> =>
  layerOf(
    options.capabilities ?? profiles[defaultProfile],
    Effect.succeed({
      open: (query, session) => meet(peer(query, session), session),
      ledger: () => []
    })
  )

/** What is on the other side. */
interface OtherSide {
  readonly open: (query: string, session: number) => Effect.Effect<FluxConnection, FluxError.FluxError, Scope.Scope>
  readonly ledger: () => ReadonlyArray<SessionRecord>
}

const layerOf = (
  capabilities: Capabilities,
  make: Effect.Effect<OtherSide>
): Layer.Layer<FluxTransport | FakeTransport> =>
  Layer.effectContext(
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const other = yield* make
      const now = monotonic.dated(clock)
      const entries: Array<Entry> = []
      let sessions = 0
      const open = Effect.fnUntraced(function*(query: string) {
        const session = sessions++
        const record = (what: Entry["what"], detail: string): void =>
          void entries.push({ at: now(), session, what, detail })
        record("open", query)
        yield* Effect.addFinalizer((exit) => Effect.sync(() => record("disconnect", exit._tag)))
        const connection = yield* other.open(query, session)
        return {
          ...connection,
          send: (frame: Frame) =>
            Effect.suspend(() => {
              if (frame.dataType === "BINARY") record("audio", String(frame.bytes.length))
              else record("text", textOf(frame))
              return connection.send(frame)
            }),
          end: Effect.suspend(() => {
            record("end", "")
            return connection.end
          })
        }
      })
      return Context.mergeAll(
        Context.make(FluxTransport, { capabilities, open }),
        Context.make(FakeTransport, {
          entries: Effect.sync(() => entries.slice()),
          ledger: Effect.sync(() => other.ledger())
        })
      )
    })
  )

const utf8 = new TextDecoder()
/** Of its own, as the sender's bytes are written over. */
const kept = ({ bytes, dataType }: Frame): Frame => ({ dataType, bytes: bytes.slice() })
const textOf = (frame: Frame): string => utf8.decode(frame.bytes)
const requestIdOf = (session: number): string => `fake-${session}`
const variant = "simulator"

// --- a Peer

const meet = Effect.fnUntraced(function*(
  { accept = Effect.void, ended, opened, received, released = Effect.void }: Peer,
  session: number
): Effect.fn.Return<FluxConnection, FluxError.FluxError, Scope.Scope> {
  yield* Effect.addFinalizer(() => released)
  yield* accept
  const queue = yield* Queue.unbounded<string, FluxError.FluxError | Cause.Done>()
  /** Fails once the connection is broken, or freed. */
  const broken = Deferred.makeUnsafe<never, FluxError.FluxError>()
  const breakWith = (reason: FluxError.Reason): Effect.Effect<void> =>
    Effect.asVoid(Deferred.fail(broken, FluxError.make(reason, "streaming")))
  yield* Effect.addFinalizer(() => breakWith(new FluxError.ConnectionLost({ detail: "it was closed" })))
  const server: Server = {
    say: (text) => Effect.sync(() => void Queue.offerUnsafe(queue, text)),
    end: Effect.asVoid(Queue.end(queue)),
    fail: (reason) => Effect.andThen(Queue.fail(queue, FluxError.make(reason, "streaming")), breakWith(reason))
  }
  if (opened !== undefined) yield* Effect.forkScoped(opened(server), { startImmediately: true })
  return {
    requestId: requestIdOf(session),
    variant,
    messages: Stream.fromQueue(queue),
    send: (frame) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(broken)) return Deferred.await(broken)
        return received === undefined ? Effect.void : Effect.raceFirst(received(kept(frame), server), Deferred.await(broken))
      }),
    end: Effect.suspend(() => (ended === undefined ? Effect.void : ended(server)))
  }
})

// --- the simulated endpoint

const endpointName = "fake"
const region = "us-east-1"

const capabilitiesOf = (profile: Options["profile"]): Capabilities => {
  if (profile === undefined) return profiles[defaultProfile]
  if (typeof profile === "string") return profiles[profile]
  return {
    ...profile.limits,
    name: profile.name,
    configure: profile.messages.includes("Configure"),
    forceEndTurn: profile.messages.includes("ForceEndTurn")
  }
}

/** Opens a session; what the endpoint does with the wire is what a client of the real one would be told. */
const connect = Effect.fnUntraced(function*(
  endpoint: Endpoint.Endpoint,
  query: string,
  session: number
): Effect.fn.Return<FluxConnection, FluxError.FluxError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const fork = yield* FiberSet.makeRuntime()
  const requestId = requestIdOf(session)
  const headers = Deferred.makeUnsafe<void, FluxError.FluxError>()
  const messages = yield* Queue.unbounded<string, FluxError.FluxError | Cause.Done>()
  const secrets = [query]
  /** Where writes wait that are not read: until the response is over. */
  const over = Deferred.makeUnsafe<void, FluxError.FluxError>()
  let reads = true
  let ended = false
  let lost: FluxError.FluxError | undefined

  const fail = (reason: FluxError.Reason): FluxError.FluxError => {
    const error = FluxError.make(reason, "streaming", requestId)
    Queue.failCauseUnsafe(messages, Cause.fail(error))
    return error
  }
  const lose = (detail: string): void => {
    const reason = new FluxError.ConnectionLost({ detail })
    lost ??= fail(reason)
    Deferred.doneUnsafe(over, Effect.fail(lost))
    // before the headers it is the opening that fails
    Deferred.doneUnsafe(headers, Effect.fail(FluxError.make(reason, "open", requestId)))
  }
  const wire: Wire = {
    refuse: ({ body, errorType, status }) => {
      const type = errorType === undefined ? {} : { "x-amzn-errortype": errorType }
      const reason = fromRefusal({ status, headers: type, body }, secrets, endpointName)
      Deferred.doneUnsafe(headers, Effect.fail(FluxError.make(reason, "open", requestId)))
    },
    accept: () => void Deferred.doneUnsafe(headers, Effect.void),
    say: (text) => void Queue.offerUnsafe(messages, text),
    fail: (error) => void fail(reasonOf(error, secrets)),
    corrupt: () => void fail(new FluxError.MalformedFrame({ detail: "the checksum of a message is wrong" })),
    end: () => {
      Queue.endUnsafe(messages)
      Deferred.doneUnsafe(over, Effect.void)
    },
    reset: (code) => {
      // to Node this is the response's end
      if (code === 0) Queue.endUnsafe(messages)
      lose(resetDetail(code))
    },
    drop: () => lose("the server closed the connection"),
    goAway: (code) => {
      if (code !== 0) lose(`Session closed with error code ${code}`)
    },
    stopReading: () => {
      reads = false
    },
    cut: () => {}
  }
  const player = endpoint.open(
    {
      query,
      requestId,
      fluxRequestId: `00000000-0000-4000-8000-${session.toString(16).padStart(12, "0")}`,
      endpointName,
      region
    },
    wire,
    {
      now: monotonic.dated(clock),
      // a client that goes on without waiting goes first
      after: (millis, run) => void fork(Effect.andThen(millis > 0 ? Effect.sleep(millis) : Effect.yieldNow, Effect.sync(run))),
      // takes no time of the Clock: in a test nobody may be there to let it pass
      decoded: (run) => void fork(Effect.andThen(Effect.yieldNow, Effect.sync(run)))
    }
  )
  yield* Effect.addFinalizer(() => Effect.sync(player.gone))
  yield* Deferred.await(headers)

  const whileOpen = (take: () => void): Effect.Effect<void, FluxError.FluxError> =>
    Effect.suspend(() => {
      if (lost !== undefined) return Effect.fail(lost)
      return reads ? Effect.sync(take) : Deferred.await(over)
    })
  return {
    requestId,
    variant,
    messages: Stream.fromQueue(messages),
    send: (frame) =>
      Effect.suspend(() =>
        ended
          ? Effect.fail(FluxError.make(new FluxError.ConnectionLost({ detail: "the request has ended" }), "streaming", requestId))
          : whileOpen(() => (frame.dataType === "BINARY" ? player.audio(frame.bytes) : player.text(textOf(frame))))
      ),
    end: Effect.suspend(() => {
      ended = true
      return whileOpen(player.bodyEnded)
    })
  }
})

const reasonOf = ({ as, errorCode, message, name }: StreamError, secrets: ReadonlyArray<string>): FluxError.Reason =>
  as === "error"
    ? fromException("", "", secrets, { code: name, message })
    : fromException(name, JSON.stringify({ Message: message, ErrorCode: errorCode }), secrets)

/** What `node:http2` says of RST_STREAM: it takes NO_ERROR and CANCEL for no error. */
const resetDetail = (code: number): string => {
  const name = errorNames[code]
  if (name === undefined) return `Stream closed with error code ${code}`
  return name === "NO_ERROR" || name === "CANCEL"
    ? `the server reset the stream (${name})`
    : `Stream closed with error code NGHTTP2_${name}`
}
