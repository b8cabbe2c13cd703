/**
 * One HTTP/2 connection on the SDK's own handler, which makes it with the first request. The socket is made here, so that a
 * connection can be freed even when its peer no longer reads: `session.destroy()` waits for ever to flush, and the handler
 * knows no other way. Through a proxy it has a tunnel, which must be there before the handler asks for a socket, as it
 * wants one at once.
 */
import type { ClientHttp2Stream, Http2Session } from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import { NodeHttp2Handler } from "@smithy/node-http-handler"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FluxError from "../FluxError.ts"
import { hostOf, portOf } from "./address.ts"

/** How many streams a line takes at the most, whatever its server allows: all of them are lost with it, and share one window. */
export const bound = 256

/** How long a closing connection may take to flush its last frames. */
const flushBound = "500 millis"

/** A connection, and who is on it. */
export interface Line {
  readonly handler: NodeHttp2Handler
  readonly sockets: Set<net.Socket>
  /** Done once the server has spoken, or will not; then who waited for it looks again. Fails where connecting failed, for all. */
  readonly settled: Deferred.Deferred<void, FluxError.FluxError>
  /** Waits to be connected through. */
  tunnel: net.Socket | undefined
  session: Http2Session | undefined
  /** Whether SETTINGS of the server have come. */
  hasSpoken: boolean
  /** Takes no further stream. */
  isRetired: boolean
  /** Streams that it is lent to. */
  users: number
  /** Who would share it, and wait for its SETTINGS. */
  waiting: number
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

const own = (line: Line, socket: net.Socket): void => {
  line.sockets.add(socket)
  socket.once("close", () => line.sockets.delete(socket))
}

/** A line to this address. Connects to nothing yet. */
export const make = (url: URL, trusted: tls.SecureContext | undefined): Line => {
  let isMade = false
  const line: Line = {
    handler: new NodeHttp2Handler({
      sessionTimeout: 0,
      nodeHttp2ConnectOptions: {
        createConnection: () => {
          // the handler would replace a connection that has ended by another one
          if (isMade) throw new Error("the connection has ended")
          isMade = true
          const socket = connect(url, trusted, line.tunnel)
          line.tunnel = undefined
          own(line, socket)
          return socket
        }
      }
    }),
    sockets: new Set(),
    settled: Deferred.makeUnsafe(),
    tunnel: undefined,
    session: undefined,
    hasSpoken: false,
    isRetired: false,
    users: 0,
    waiting: 0
  }
  return line
}

/** Leads a new line through this socket, and hands it over. */
export const leadThrough = (line: Line, tunnel: net.Socket): void => {
  line.tunnel = tunnel
  own(line, tunnel)
}

/** Learns of the session from a stream that the handler has made. */
export const meet = (line: Line, { session }: ClientHttp2Stream, on: {
  readonly settings: (allowed: number) => void
  readonly close: () => void
}): void => {
  if (session === undefined || line.session !== undefined) return
  line.session = session
  insistOnHttp2(session)
  session.on("remoteSettings", () => {
    line.hasSpoken = true
    on.settings(allowed(line))
    Deferred.doneUnsafe(line.settled, Exit.void)
  })
  // the handler gives no further stream to it
  session.once("goaway", () => (line.isRetired = true))
  session.once("close", () => {
    line.isRetired = true
    on.close()
  })
}

/** How many streams the server allows at once, by its latest SETTINGS. */
const allowed = ({ session }: Line): number => Math.min(session?.remoteSettings.maxConcurrentStreams ?? bound, bound)

/** Whether it has more users than the server allows. */
export const isOver = (line: Line): boolean => line.hasSpoken && line.users > allowed(line)

/** Whether another stream may go to it. */
export const hasRoom = (line: Line): boolean => !line.isRetired && line.hasSpoken && line.users < allowed(line)

/** Closes it. What does not leave in time is dropped. */
export const shut = (line: Line): Effect.Effect<void> =>
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
