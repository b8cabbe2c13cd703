/**
 * HTTP/2 connections to one endpoint, on the SDK's own handler: one for each stream, or shared ones. The sockets are
 * made here, so that a connection can be freed even when its peer no longer reads: `session.destroy()` waits for ever
 * to flush, and the handler knows no other way. Through a proxy each has a tunnel, which must be there before the handler
 * asks for a socket, as it wants one at once.
 */
import type { ClientHttp2Stream, Http2Session } from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import { NodeHttp2Handler } from "@smithy/node-http-handler"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as FluxError from "../FluxError.ts"
import { hostOf, portOf } from "./address.ts"
import type { Proxy } from "./proxy.ts"
import * as Tunnel from "./tunnel.ts"

/** `isolated`: a TCP connection for each stream. `shared`: up to 100 streams on one, as SageMaker's SETTINGS typically allow. */
export type ConnectionMode = "isolated" | "shared"

/** A connection lent to one stream. */
export interface Connection {
  /** The SDK's request handler that makes or reuses the connection. */
  readonly handler: NodeHttp2Handler
  /** Whether the server of this stream has ever sent HTTP/2 settings. To be called once the stream exists, before it answers. */
  readonly watch: (stream: ClientHttp2Stream) => () => boolean
  /** Gives no further stream to this connection: it seems broken. */
  readonly retire: () => void
  /** Gives it back. Closes the connection if it is isolated, or retired and no longer used. Idempotent. */
  readonly release: Effect.Effect<void>
}

/** Where connections come from. */
export interface Connections {
  /**
   * Lends one. Takes time, and may fail with `ConnectFailed`, only where a proxy has to open a tunnel; then it can be
   * interrupted, and the Scope gives the connection back at the latest.
   */
  readonly acquire: Effect.Effect<Connection, FluxError.FluxError, Scope.Scope>
  /** Closes all of them. */
  readonly close: Effect.Effect<void>
}

/** How long a closing connection may take to flush its last frames. */
const flushBound = "500 millis"
const streamsPerConnection = 100

/** Where connections lead, and how. */
export interface Way {
  readonly url: URL
  /** PEM to trust the server by, in place of the usual roots, and a proxy besides them. */
  readonly ca: string | undefined
  readonly proxy: Proxy | undefined
}

/** Whom TLS trusts, and that it is for HTTP/2. `trusted` is in place of the usual roots. */
export const tlsOptions = (host: string, trusted: tls.SecureContext | undefined): tls.ConnectionOptions => ({
  ALPNProtocols: ["h2"],
  ...(net.isIP(host) === 0 ? { servername: host } : {}),
  ...(trusted === undefined ? {} : { secureContext: trusted })
})

/** PEM in place of the usual roots. To be made once: a machine's bundle of certificates takes tens of ms. */
export const trustOnly = (ca: string | undefined): tls.SecureContext | undefined => (ca === undefined ? undefined : tls.createSecureContext({ ca }))

/** Through `tunnel`, where there is one. */
const connect = (url: URL, trusted: tls.SecureContext | undefined, tunnel: net.Socket | undefined): net.Socket => {
  const address = { host: hostOf(url), port: portOf(url) }
  if (url.protocol === "http:") return tunnel ?? net.connect(address)
  return tls.connect({ ...(tunnel === undefined ? address : { socket: tunnel }), ...tlsOptions(address.host, trusted) })
}

/** Node goes on with any TLS server. Not to be done at `secureConnect`: a socket destroyed there aborts the process. */
const insistOnHttp2 = (session: Http2Session): void => {
  session.once("connect", () => {
    if (session.encrypted === true && session.alpnProtocol !== "h2") {
      session.destroy(new Error("the server does not offer HTTP/2"))
    }
  })
}

/** Makes an effect interruptible where its surroundings are. */
type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** A handler with the sockets it made. */
interface Line {
  readonly handler: NodeHttp2Handler
  readonly sockets: Set<net.Socket>
  /** Waits to be connected through. */
  tunnel: net.Socket | undefined
  users: number
  retired: boolean
}

const shut = (line: Line): Effect.Effect<void> =>
  Effect.suspend(() => {
    line.handler.destroy()
    line.tunnel?.destroy()
    const flushed = Effect.forEach(line.sockets, (socket) =>
      Effect.callback<void>((resume) => {
        const closed = (): void => resume(Effect.void)
        socket.once("close", closed)
        return Effect.sync(() => socket.off("close", closed))
      }), { concurrency: "unbounded", discard: true })
    return flushed.pipe(
      Effect.timeoutOption(flushBound),
      Effect.andThen(Effect.sync(() => {
        for (const socket of line.sockets) socket.destroy()
      }))
    )
  })

/** Connections to one endpoint. Makes none yet. */
export const make = (mode: ConnectionMode, { ca, proxy, url }: Way): Connections => {
  const lines = new Set<Line>()
  const watched = new WeakSet<Http2Session>()
  const speakers = new WeakSet<Http2Session>()
  const trusted = trustOnly(ca)
  let current: Line | undefined

  const makeLine = (tunnel?: net.Socket): Line => {
    const sockets = new Set<net.Socket>()
    const own = (socket: net.Socket): void => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    }
    const handler = new NodeHttp2Handler({
      sessionTimeout: 0,
      // a line with a tunnel counts its users by itself: the handler would connect again
      ...(mode === "shared" && tunnel === undefined ? { maxConcurrentStreams: streamsPerConnection } : {}),
      nodeHttp2ConnectOptions: {
        createConnection: (url) => {
          const through = line.tunnel
          line.tunnel = undefined
          // the handler has lost the connection that had the tunnel, and would make another one by itself
          if (tunnel !== undefined && through === undefined) throw new Error("the connection through the proxy has ended")
          const socket = connect(url, trusted, through)
          own(socket)
          return socket
        }
      }
    })
    const line: Line = { handler, sockets, tunnel, users: 0, retired: mode === "isolated" }
    lines.add(line)
    if (tunnel !== undefined) {
      own(tunnel)
      tunnel.once("close", () => {
        line.retired = true
        if (line.users === 0) lines.delete(line)
      })
    }
    return line
  }

  const lend = (line: Line): Connection => {
    current = line
    line.users += 1
    let released = false
    return {
      handler: line.handler,
      watch: (stream) => {
        const session = stream.session
        if (session === undefined) return () => false
        if (!watched.has(session)) {
          watched.add(session)
          insistOnHttp2(session)
          session.once("remoteSettings", () => speakers.add(session))
          // the handler gives no further stream to it, and a tunnel is good for one session
          if (proxy !== undefined) session.once("goaway", () => (line.retired = true))
        }
        return () => speakers.has(session)
      },
      retire: () => {
        line.retired = true
      },
      release: Effect.suspend(() => {
        if (!released) {
          released = true
          line.users -= 1
        }
        if (!line.retired || line.users > 0) return Effect.void
        lines.delete(line)
        return shut(line)
      })
    }
  }

  /** The line that the next stream goes to, if it has not to be made first. */
  const standing = (): Line | undefined => (current === undefined || current.retired ? undefined : current)

  const acquireDirect = Effect.sync(() => lend(standing() ?? makeLine()))

  /** A line for each tunnel. One that is full takes no further stream, and closes with its last. */
  const acquireThrough = (proxy: Proxy): Connections["acquire"] => {
    const way = { url, proxy, trusted: Tunnel.trustAlso(proxy, ca) }
    /** The outcome of the tunnel under way, for all who would share it. */
    let underWay: Deferred.Deferred<void, FluxError.FluxError> | undefined

    const dial = (restore: Restore, full: Line | undefined): Effect.Effect<Connection, FluxError.FluxError> => {
      const outcome = Deferred.makeUnsafe<void, FluxError.FluxError>()
      if (mode === "shared") underWay = outcome
      const socket = Tunnel.dial(way)
      return restore(Tunnel.establish(way, socket)).pipe(
        Effect.onError(() => Effect.sync(() => socket.destroy())),
        Effect.map(() => {
          if (full !== undefined) full.retired = true
          return lend(makeLine(socket))
        }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (underWay === outcome) underWay = undefined
            // who dialled and did without it says nothing of the proxy: the others look again, and one of them dials
            const isFailure = Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause)
            Deferred.doneUnsafe(outcome, isFailure ? Exit.failCause(exit.cause) : Exit.void)
          }))
      )
    }
    const find = (restore: Restore): Effect.Effect<Connection, FluxError.FluxError> =>
      Effect.suspend(() => {
        const line = standing()
        if (line !== undefined && line.users < streamsPerConnection) return Effect.succeed(lend(line))
        if (underWay === undefined) return dial(restore, line)
        // who dialled goes first
        return Effect.andThen(Effect.andThen(restore(Deferred.await(underWay)), Effect.yieldNow), find(restore))
      })
    return Effect.uninterruptibleMask((restore) =>
      Effect.tap(find(restore), (connection) => Effect.addFinalizer(() => connection.release)))
  }

  return {
    acquire: proxy === undefined ? acquireDirect : acquireThrough(proxy),
    close: Effect.suspend(() => Effect.forEach(lines, shut, { concurrency: "unbounded", discard: true }))
  }
}
