/**
 * HTTP/2 connections to one endpoint, on the SDK's own handler: one for each stream, or shared ones. The sockets are
 * made here, so that a connection can be freed even when its peer no longer reads: `session.destroy()` waits for ever
 * to flush, and the handler knows no other way.
 */
import type { ClientHttp2Stream, Http2Session } from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import { NodeHttp2Handler } from "@smithy/node-http-handler"
import * as Effect from "effect/Effect"

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
  readonly acquire: () => Connection
  /** Closes all of them. */
  readonly close: Effect.Effect<void>
}

/** How long a closing connection may take to flush its last frames. */
const flushBound = "500 millis"
const streamsPerConnection = 100

/** The host of a URL as sockets take it. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "")

/** The port of a URL, also where that is left to its scheme. */
export const portOf = (url: URL): number => Number(url.port || (url.protocol === "http:" ? 80 : 443))

/** Whom TLS trusts, and that it is for HTTP/2. `ca` is PEM in place of the usual roots. */
export const tlsOptions = (host: string, ca: string | undefined): tls.ConnectionOptions => ({
  ALPNProtocols: ["h2"],
  ...(net.isIP(host) === 0 ? { servername: host } : {}),
  ...(ca === undefined ? {} : { ca })
})

const connect = (url: URL, ca: string | undefined): net.Socket => {
  const address = { host: hostOf(url), port: portOf(url) }
  return url.protocol === "http:" ? net.connect(address) : tls.connect({ ...address, ...tlsOptions(address.host, ca) })
}

/** Node goes on with any TLS server. Not to be done at `secureConnect`: a socket destroyed there aborts the process. */
const insistOnHttp2 = (session: Http2Session): void => {
  session.once("connect", () => {
    if (session.encrypted === true && session.alpnProtocol !== "h2") {
      session.destroy(new Error("the server does not offer HTTP/2"))
    }
  })
}

/** A handler with the sockets it made. */
interface Line {
  readonly handler: NodeHttp2Handler
  readonly sockets: Set<net.Socket>
  users: number
  retired: boolean
}

const shut = (line: Line): Effect.Effect<void> =>
  Effect.suspend(() => {
    line.handler.destroy()
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

/** Connections to be made with `ca` (PEM) in place of the trusted roots. */
export const make = (mode: ConnectionMode, ca: string | undefined): Connections => {
  const lines = new Set<Line>()
  const watched = new WeakSet<Http2Session>()
  const speakers = new WeakSet<Http2Session>()
  let current: Line | undefined

  const makeLine = (): Line => {
    const sockets = new Set<net.Socket>()
    const handler = new NodeHttp2Handler({
      sessionTimeout: 0,
      ...(mode === "shared" ? { maxConcurrentStreams: streamsPerConnection } : {}),
      nodeHttp2ConnectOptions: {
        createConnection: (url) => {
          const socket = connect(url, ca)
          sockets.add(socket)
          socket.once("close", () => sockets.delete(socket))
          return socket
        }
      }
    })
    const line: Line = { handler, sockets, users: 0, retired: mode === "isolated" }
    lines.add(line)
    return line
  }

  const acquire = (): Connection => {
    const line = current === undefined || current.retired ? makeLine() : current
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

  return {
    acquire,
    close: Effect.suspend(() => Effect.forEach(lines, shut, { concurrency: "unbounded", discard: true }))
  }
}
