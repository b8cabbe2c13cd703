/**
 * Which connection to one endpoint a stream goes to: one of its own, or one that others use as well. The first stream of a
 * connection goes ahead at once; those that would share it wait for the server's SETTINGS, which say how many may. So none is
 * ever put where it has to wait for another one to end.
 */
import { type ClientHttp2Stream, constants } from "node:http2"
import type { NodeHttp2Handler } from "@smithy/node-http-handler"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as FluxError from "../FluxError.ts"
import * as Line from "./line.ts"
import type { Proxy } from "./proxy.ts"
import * as Tunnel from "./tunnel.ts"

/**
 * `isolated`: a TCP connection for each stream. `shared`: as many streams on one as the SETTINGS of the server allow at the
 * time, but 256 at the most.
 *
 * A new stream goes to the oldest connection that has room, else to a new one at once. Of connections without a stream one is
 * kept. A stream that the server refuses without doing anything for it (REFUSED_STREAM) goes to another connection at once; one that
 * has its connection for itself fails with `ConnectionLost`.
 */
export type ConnectionMode = "isolated" | "shared"

/** A connection lent to one stream. */
export interface Connection {
  /** The SDK's request handler that makes or reuses the connection. */
  readonly handler: NodeHttp2Handler
  /** Whether the request may still go to it: a shared one may be full or gone since it was lent. If not, acquire another one. */
  readonly admits: () => boolean
  /** To be called with the stream, once it exists. */
  readonly watch: (stream: ClientHttp2Stream) => void
  /** Whether the server has ever sent HTTP/2 settings. */
  readonly hasSpoken: () => boolean
  /** Whether the server did nothing for this stream, which failed, and another connection may have it. */
  readonly refused: (stream: ClientHttp2Stream) => boolean
  /** There is none, for this reason, which holds for those as well who wait for it. */
  readonly failed: (reason: FluxError.FluxError) => void
  /** Gives no further stream to this connection: it seems broken. */
  readonly retire: () => void
  /** Gives it back. Closes the connection if nobody uses it and it is not the one to keep. Idempotent. */
  readonly release: Effect.Effect<void>
}

/** Where connections come from. */
export interface Connections {
  /**
   * Lends one. Takes time, and may fail with `ConnectFailed`, where a proxy has to open a tunnel, and where the connection of
   * another stream may be shared once it is there; then it can be interrupted. The Scope gives the connection back at the latest.
   */
  readonly acquire: Effect.Effect<Connection, FluxError.FluxError, Scope.Scope>
  /** Closes all of them. */
  readonly close: Effect.Effect<void>
}

/** Where connections lead, and how. */
export interface Way {
  readonly url: URL
  /** PEM to trust the server by, in place of the usual roots, and a proxy besides them. */
  readonly ca: string | undefined
  readonly proxy: Proxy | undefined
}

/** Makes an effect interruptible where its surroundings are. */
type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** Connections to one endpoint. Makes none yet. */
export const make = (mode: ConnectionMode, { ca, proxy, url }: Way): Connections => {
  /** Those that are not closed, the oldest first. */
  const lines = new Set<Line.Line>()
  const trusted = Line.trustOnly(ca)
  const through = proxy && { url, proxy, trusted: Tunnel.trustAlso(proxy, ca) }
  /** How many may share a connection whose SETTINGS have not come: as many as on the latest one whose have. */
  let usual = Line.bound

  const find = (suits: (line: Line.Line) => boolean): Line.Line | undefined => {
    for (const line of lines) if (suits(line)) return line
    return undefined
  }

  const lend = (line: Line.Line, isFirst: boolean): Connection => {
    line.users += 1
    let isReleased = false
    return {
      handler: line.handler,
      admits: () => isFirst || !(line.isRetired || Line.isOver(line)),
      watch: (stream) =>
        Line.meet(line, stream, {
          settings: (allowed) => (usual = Math.max(allowed, 1)),
          close: () => {
            if (line.users === 0) lines.delete(line)
          }
        }),
      hasSpoken: () => line.hasSpoken,
      refused: (stream) => {
        if (stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM) return false
        // less than its SETTINGS allow: it might go on like that
        if (!Line.isOver(line)) line.isRetired = true
        return !isFirst
      },
      failed: (reason) => void Deferred.doneUnsafe(line.settled, Exit.fail(reason)),
      retire: () => {
        line.isRetired = true
      },
      release: Effect.suspend(() => {
        if (!isReleased) {
          isReleased = true
          line.users -= 1
        }
        const isKept = Line.hasRoom(line) && find((other) => other !== line && Line.hasRoom(other)) === undefined
        if (line.users > 0 || isKept) return Effect.void
        lines.delete(line)
        line.isRetired = true
        // without its first stream it will not speak: those who wait look again, and one of them goes first
        Deferred.doneUnsafe(line.settled, Exit.void)
        return Line.shut(line)
      })
    }
  }

  /** A new one, for a stream that goes ahead. */
  const begin = (restore: Restore): Effect.Effect<Connection, FluxError.FluxError> =>
    Effect.suspend(() => {
      const line = Line.make(url, trusted)
      lines.add(line)
      line.isRetired = mode === "isolated"
      const connection = lend(line, true)
      if (through === undefined) return Effect.succeed(connection)
      const tunnel = Tunnel.dial(through)
      Line.leadThrough(line, tunnel)
      return restore(Tunnel.establish(through, tunnel)).pipe(
        Effect.onError((cause) => {
          // who did without it says nothing of the proxy
          if (!Cause.hasInterrupts(cause)) Option.map(Cause.findErrorOption(cause), connection.failed)
          return connection.release
        }),
        Effect.as(connection)
      )
    })

  const share = (restore: Restore): Effect.Effect<Connection, FluxError.FluxError> =>
    Effect.suspend(() => {
      const line = find(Line.hasRoom)
      if (line !== undefined) return Effect.succeed(lend(line, false))
      const young = find((line) => !line.isRetired && !line.hasSpoken && line.users + line.waiting < usual)
      if (young === undefined) return begin(restore)
      young.waiting += 1
      return restore(Deferred.await(young.settled)).pipe(
        Effect.ensuring(Effect.sync(() => (young.waiting -= 1))),
        Effect.andThen(share(restore))
      )
    })

  return {
    acquire: Effect.uninterruptibleMask((restore) =>
      Effect.tap(mode === "isolated" ? begin(restore) : share(restore), (connection) => Effect.addFinalizer(() => connection.release))),
    close: Effect.suspend(() => Effect.forEach(lines, Line.shut, { concurrency: "unbounded", discard: true }))
  }
}
