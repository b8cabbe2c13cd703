/** An HTTP proxy that opens tunnels, on node:http. It records what it is asked, and every socket that it has. */
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a proxy does with a request for a tunnel. */
export type Answer = (socket: Duplex, open: () => void, asked: Asked) => void

/** A request for a tunnel. */
export interface Asked {
  /** `host:port`. */
  readonly target: string
  readonly headers: http.IncomingHttpHeaders
}

export interface ProxyServer {
  readonly port: number
  /** `http://127.0.0.1:port`, or https://. */
  readonly url: string
  readonly asked: ReadonlyArray<Asked>
  /** Open sockets of clients, and to servers. */
  readonly sockets: ReadonlySet<net.Socket>
  /** When there is no open socket any more. */
  readonly vacant: Effect.Effect<void>
  /** Breaks all tunnels. */
  readonly cut: () => void
}

/** What a proxy says where it opens a tunnel. */
export const established = "HTTP/1.1 200 Connection established\r\n\r\n"

/** Serves on loopback until the scope closes; opens every tunnel unless `answer` says otherwise. Names lead to loopback. */
export const serve = (options: {
  readonly answer?: Answer
  readonly tls?: { readonly cert: string; readonly key: string }
} = {}): Effect.Effect<ProxyServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ server: http.Server; proxy: ProxyServer }>((resume) => {
      const sockets = new Set<net.Socket>()
      const asked: Array<Asked> = []
      const watchers = new Set<() => void>()
      const keep = (socket: net.Socket): void => {
        sockets.add(socket)
        socket.on("error", () => undefined).on("close", () => {
          sockets.delete(socket)
          for (const watcher of watchers) watcher()
        })
      }
      const server = options.tls === undefined ? http.createServer() : https.createServer(options.tls)
      server.on("connection", keep)
      server.on("connect", (request, client: Duplex, head: Buffer) => {
        const one: Asked = { target: request.url ?? "", headers: request.headers }
        asked.push(one)
        // sockets of this server stay open at one end
        client.on("error", () => undefined).on("end", () => client.end())
        const answer = options.answer ?? ((_, open) => {
          client.write(established)
          open()
        })
        answer(client, () => {
          const link = net.connect(Number(/\d+$/.exec(one.target)?.[0]), "127.0.0.1")
          keep(link)
          link.write(head)
          client.pipe(link).pipe(client)
          client.on("close", () => link.destroy())
          link.on("close", () => client.destroy())
        }, one)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({
          server,
          proxy: {
            port,
            url: `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
            asked,
            sockets,
            vacant: Effect.callback<void>((done) => {
              const look = (): void => void (sockets.size === 0 && done(Effect.void))
              watchers.add(look)
              look()
              return Effect.sync(() => watchers.delete(look))
            }),
            cut: () => sockets.forEach((socket) => socket.destroy())
          }
        }))
      })
    }),
    ({ proxy, server }) =>
      Effect.sync(() => {
        server.close()
        proxy.cut()
      })
  ).pipe(Effect.map(({ proxy }) => proxy))
