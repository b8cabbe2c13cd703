/**
 * Reaches for an endpoint step by step, as a session would, and says at which step it fails: name, TCP, TLS, HTTP/2.
 * Nothing is signed, and no session opened.
 */
import { lookup as resolveName } from "node:dns/promises"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as FluxError from "../FluxError.ts"
import { hostOf, portOf } from "./address.ts"
import { bareError } from "./errors.ts"
import * as Line from "./line.ts"
import * as sockets from "./sockets.ts"
import * as Tunnel from "./tunnel.ts"

/** How long each step may take, seconds. */
const stepBound = 5

/** The addresses of the name. */
export const lookup = (url: URL): Effect.Effect<ReadonlyArray<string>, FluxError.FluxError> =>
  addressesOf(url, (cause) => failed(url, cause))

/** A TCP connection, as long as the Scope. */
export const dial = Effect.fnUntraced(function*(url: URL): Effect.fn.Return<net.Socket, FluxError.FluxError, Scope.Scope> {
  const socket = yield* held(() => net.connect({ host: hostOf(url), port: portOf(url) }))
  yield* happens(url, socket, "connect")
  return socket
})

/** The addresses of a proxy's name. */
export const lookupProxy = (way: Tunnel.Way): Effect.Effect<ReadonlyArray<string>, FluxError.FluxError> =>
  addressesOf(way.proxy.url, (cause) => Tunnel.unreachable(way, cause))

/** A connection to a proxy, as long as the Scope; with TLS where the proxy speaks it. */
export const dialProxy = Effect.fnUntraced(function*(way: Tunnel.Way): Effect.fn.Return<net.Socket, FluxError.FluxError, Scope.Scope> {
  const socket = yield* held(() => Tunnel.dial(way))
  yield* Tunnel.within(stepBound, way, Tunnel.connected(way, socket))
  return socket
})

/** Makes a connection to a proxy one to the server. */
export const tunnel = (way: Tunnel.Way, socket: net.Socket): Effect.Effect<void, FluxError.FluxError> =>
  Tunnel.within(stepBound, way, Tunnel.request(way, socket))

/** TLS over a TCP connection. Trusts as a session does. */
export const secure = Effect.fnUntraced(function*(
  url: URL,
  socket: net.Socket,
  ca: string | undefined
): Effect.fn.Return<tls.TLSSocket, FluxError.FluxError, Scope.Scope> {
  const secured = yield* held(() => tls.connect({ socket, ...Line.tlsOptions(hostOf(url), Line.trustOnly(ca)) }))
  yield* happens(url, secured, "secureConnect")
  if (secured.alpnProtocol !== "h2") return yield* failed(url, new Error("the server does not offer HTTP/2"))
  return secured
})

/** What a server that speaks HTTP/2 says to a request that is no invocation. */
export interface Greeting {
  /** Milliseconds by which its clock is ahead of this machine's; undefined where it does not tell the time. */
  readonly ahead: number | undefined
}

/** Begins HTTP/2 and asks for nothing in particular, for the sake of the date of the answer. */
export const greet = Effect.fnUntraced(function*(
  url: URL,
  socket: net.Socket
): Effect.fn.Return<Greeting, FluxError.FluxError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const session = yield* Effect.acquireRelease(
    Effect.sync(() => http2.connect(url, { createConnection: () => socket }).on("error", ignore)),
    (session) => Effect.sync(() => session.destroy())
  )
  yield* happens(url, session, "remoteSettings")
  const asked = clock.currentTimeMillisUnsafe()
  const date = yield* Effect.callback<string | undefined>((resume) => {
    const request = session.request({ ":method": "GET", ":path": "/ping" })
    const done = (date?: string): void => resume(Effect.succeed(date))
    request.on("response", (headers) => done(headers.date)).on("error", () => done()).on("close", () => done())
    return Effect.sync(() => request.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: `${stepBound} seconds`, orElse: () => Effect.undefined }))
  const told = date === undefined ? Number.NaN : Date.parse(date)
  // a date has whole seconds: on average it is half of one too early
  const here = (asked + clock.currentTimeMillisUnsafe()) / 2
  return { ahead: Number.isNaN(told) ? undefined : told + 500 - here }
})

const failed = (url: URL, cause: unknown): FluxError.FluxError =>
  FluxError.make(new FluxError.ConnectFailed({ target: url.host, cause: bareError(cause, []) }), "open")

/** What to say of an error. */
type Explain = (cause: unknown) => FluxError.FluxError

const addressesOf = (url: URL, explain: Explain): Effect.Effect<ReadonlyArray<string>, FluxError.FluxError> => {
  const host = hostOf(url)
  if (net.isIP(host) !== 0) return Effect.succeed([host])
  const found = Effect.tryPromise({ try: () => resolveName(host, { all: true }), catch: explain })
  return Effect.map(bounded(explain, found), (addresses) => addresses.map(({ address }) => address))
}

const bounded = <A>(explain: Explain, step: Effect.Effect<A, FluxError.FluxError>): Effect.Effect<A, FluxError.FluxError> =>
  sockets.within(stepBound, step, () => explain(new Error(`nothing came within ${stepBound} s`)))

const ignore = (): void => undefined

/** A socket that is destroyed with the Scope, and whose errors harm nobody. */
const held = <S extends net.Socket>(make: () => S): Effect.Effect<S, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = make()
      socket.on("error", ignore)
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Waits for an event of the server. */
const happens = (
  url: URL,
  source: net.Socket | http2.ClientHttp2Session,
  event: string
): Effect.Effect<void, FluxError.FluxError> => {
  const explain: Explain = (cause) => failed(url, cause)
  return bounded(explain, sockets.happens(source, event, { ended: "the server closed the connection", explain }))
}
