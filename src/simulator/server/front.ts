/**
 * The server and all that is open on it: the side of Node's callbacks. Sockets come in by a plain TCP server, so that
 * one can be taken and left alone, and by an entrance that hands on to HTTP/2 those that speak it.
 */
import * as crypto from "node:crypto"
import * as http2 from "node:http2"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as monotonic from "../../internal/monotonic.ts"
import * as admission from "./admission.ts"
import type { Certificate } from "./certificate.ts"
import type { Endpoint } from "../Endpoint.ts"
import * as entrance from "./entrance.ts"
import * as exchange from "./exchange.ts"

/** What the server is made of. */
export interface Options {
  readonly endpoint: Endpoint
  /** With TLS where given. */
  readonly secure: Certificate | undefined
  /** Who is let in. */
  readonly rules: admission.Rules
  /** Dates of requests are held against its wall time. */
  readonly clock: Clock.Clock
  /** Runs something later, on the Clock; gives what calls it off. */
  readonly after: (millis: number, run: () => void) => () => void
  /** Runs something once Flux has decoded what was left at CloseStream. */
  readonly decoded?: ((run: () => void) => void) | undefined
  /** Told of what is no HTTP/2. */
  readonly onRubbish: (problem: string) => void
  /** Told of a client that speaks another protocol. */
  readonly onStranger: (problem: string) => void
}

/** A server that is yet to listen. */
export interface Front {
  /** Gives the port; fails with Node's error. */
  readonly listen: (port: number, host: string) => Effect.Effect<number, unknown>
  /** Completes when every socket and stream is gone. */
  readonly close: Effect.Effect<void>
}

/** How long a connection may go without an open stream, ms: a handshake or headers that are never finished end then. */
export const idleMillis = 60_000

/** What one connection may ask for. Node bounds the rest: SETTINGS, PINGs and resets that wait for an answer. */
const limits = {
  /** Bytes a connection's streams may hold, in MB. */
  maxSessionMemory: 10,
  /** Frames that are wrong. */
  maxSessionInvalidFrames: 100,
  settings: {
    /** Protocol 5.7 has "typically 100". */
    maxConcurrentStreams: 100,
    /** Bytes of a stream that may come unread, besides the 64 KiB that Node buffers: one second of linear16 at 16 kHz. */
    initialWindowSize: 32_768,
    /** Bytes; a token of temporary credentials has a few thousand, a query string up to 2,048. */
    maxHeaderListSize: 32_768
  }
}

/** A connection that has come in. */
interface Connection {
  /** Destroys its socket. */
  readonly drop: () => void
  /** Counts a stream of it. */
  readonly carry: (stream: http2.ServerHttp2Stream) => void
}

/** Makes the server. */
export const make = ({ after, clock, decoded, endpoint, onRubbish, onStranger, rules, secure }: Options): Front => {
  /** Wall time, as dates of requests and answers have it. */
  const now = (): number => clock.currentTimeMillisUnsafe()
  const server = http2.createServer(limits)
  const enter = entrance.make({
    secureContext: secure && tls.createSecureContext({ cert: secure.cert, key: secure.key }),
    onRubbish,
    onStranger
  })
  const sockets = new Set<net.Socket>()
  const streams = new Set<http2.ServerHttp2Stream>()
  const connections = new WeakMap<http2.Http2Session, Connection>()
  let arriving: Connection | undefined
  /** Runs something once all sockets and streams have closed, and all who want to know have been told. */
  const whenVacant = (then: () => void): void => {
    const check = (): void => {
      if (sockets.size === 0 && streams.size === 0) then()
    }
    for (const socket of sockets) socket.once("close", check)
    for (const stream of streams) stream.once("close", check)
    check()
  }
  const rubbish = (error: Error): void => onRubbish(error.message)

  /** Takes care that a socket without an open stream is not kept for ever. */
  const makeConnection = (socket: net.Socket): Connection => {
    let carried = 0
    const arm = (): () => void =>
      after(idleMillis, () => {
        onRubbish("idle for too long")
        socket.destroy()
      })
    let disarm = arm()
    socket.on("close", () => disarm())
    const count = (change: number): void => {
      carried += change
      disarm()
      if (carried === 0 && !socket.destroyed) disarm = arm()
    }
    return {
      drop: () => socket.destroy(),
      carry: (stream) => {
        count(1)
        stream.on("close", () => count(-1))
      }
    }
  }

  const open = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, drop: () => void): void => {
    const requestId = crypto.randomUUID()
    const timers = new Set<() => void>()
    streams.add(stream)
    stream.on("close", () => {
      streams.delete(stream)
      for (const stop of timers) stop()
    })
    const later = (millis: number, run: () => void): void => {
      if (stream.destroyed) return
      const stop = after(millis, () => {
        timers.delete(stop)
        run()
      })
      timers.add(stop)
    }
    const judged = admission.judge(requestOf(headers), rules, now())
    if (Result.isFailure(judged)) {
      const { refusal, request } = judged.failure
      exchange.make(stream, { requestId, chain: undefined, after: later, now, drop }).wire.refuse(refusal)
      // somebody who looks whether there is a server has no session
      const isProbe = request.endpointName === undefined && headers[":method"] === "GET"
      return isProbe ? undefined : endpoint.refused({ ...request, requestId }, refusal, now())
    }
    const { chain, request } = judged.success
    const { play, wire } = exchange.make(stream, { requestId, chain, after: later, now, drop })
    play(endpoint.open({ ...request, requestId, fluxRequestId: crypto.randomUUID() }, wire, { now: monotonic.dated(clock), after: later, decoded }))
  }

  /** Begins HTTP/2; the session is made within. */
  const serve = (carrier: Duplex, connection: Connection): void => {
    arriving = connection
    server.emit("connection", carrier)
    arriving = undefined
  }
  server.on("session", (session: http2.ServerHttp2Session) => {
    if (arriving !== undefined) connections.set(session, arriving)
  })
  server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const connection = stream.session && connections.get(stream.session)
    // one that broke in the same tick
    stream.on("error", ignore)
    if (stream.destroyed || stream.closed || connection === undefined) return
    connection.carry(stream)
    open(stream, headers, connection.drop)
  })
  server.on("sessionError", rubbish)
  server.on("error", rubbish)

  const doorway = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", ignore)
    if (endpoint.hangs()) {
      // read, so that it is seen to close
      socket.resume()
      return
    }
    const connection = makeConnection(socket)
    enter(socket, (carrier) => serve(carrier, connection))
  })

  return {
    listen: (port, host) =>
      Effect.callback((resume) => {
        const failed = (cause: unknown): void => resume(Effect.fail(cause))
        const listening = (): void => {
          doorway.removeListener("error", failed)
          doorway.on("error", rubbish)
          const address = doorway.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
        }
        doorway.once("error", failed)
        try {
          doorway.listen(port, host, listening)
        } catch (cause) {
          // a port that is none
          failed(cause)
        }
      }),
    close: Effect.callback<void>((resume) => {
      // sockets that are destroyed, and their streams, close a moment later
      doorway.close(() => whenVacant(() => resume(Effect.void)))
      for (const socket of sockets) socket.destroy()
    })
  }
}

const ignore = (): void => {}

const requestOf = (headers: http2.IncomingHttpHeaders) => ({
  method: headers[":method"] ?? "",
  path: headers[":path"] ?? "",
  header: (name: string): string | undefined => {
    const value = headers[name]
    return Array.isArray(value) ? value.join(", ") : value
  }
})
