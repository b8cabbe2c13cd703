/** The real client to a server of HTTP/2 over TLS, through a proxy: what it asks, what it says of refusals, what it leaves. */
import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { inspect } from "node:util"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Connections from "../../src/sagemaker/connections.ts"
import * as Proxy from "../../src/sagemaker/proxy.ts"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import * as bare from "../support/bareServer.ts"
import * as proxyServer from "../support/proxyServer.ts"
import { credentials } from "../support/rawClient.ts"

const localhost = await Effect.runPromise(certificate.make("localhost"))
/** Nobody's. */
const another = await Effect.runPromise(certificate.make("127.0.0.1"))
const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"

/** A server of TLS that answers each request, and the transport to it. */
const server = bare.serve({ answer: (stream) => bare.accept(stream), tls: localhost })
const transportTo = (port: number, options: SageMakerTransport.Options) =>
  SageMakerTransport.make({
    endpointName: "my-flux",
    region: "us-east-1",
    endpointUrl: `https://localhost:${port}`,
    ca: localhost.cert,
    credentials,
    ...options
  })

describe("a tunnel", () => {
  for (const connections of ["isolated", "shared"] as const) {
    it.live(`leads to the endpoint: ${connections}`, () =>
      Effect.gen(function*() {
        const [proxy, { call, connections: made, port, vacant }] = yield* Effect.all([proxyServer.serve(), server])
        const scope = yield* Scope.make()
        const transport = yield* transportTo(port, { proxy: proxy.url, connections }).pipe(Scope.provide(scope))
        const opened = yield* Effect.forEach([1, 2, 3], () => transport.open(query), { concurrency: "unbounded" }).pipe(Scope.provide(scope))
        const tunnels = connections === "shared" ? 1 : 3
        assert.strictEqual(made(), tunnels)
        assert.deepStrictEqual(proxy.asked.map(({ headers, target }) => [target, headers.host]), Array.from({ length: tunnels }, () => [`localhost:${port}`, `localhost:${port}`]))
        assert.notProperty(proxy.asked[0]?.headers ?? {}, "proxy-authorization")
        yield* opened[0]?.send({ dataType: "BINARY", bytes: new Uint8Array(640) }) ?? Effect.void
        yield* Effect.flatMap(call, ({ frame }) => frame)
        yield* Scope.close(scope, Exit.void)
        yield* Effect.all([vacant, proxy.vacant])
      }))
  }

  it.live("leads through a proxy of TLS, which is trusted besides the usual roots", () =>
    Effect.gen(function*() {
      const [proxy, { port, vacant }] = yield* Effect.all([proxyServer.serve({ tls: localhost }), server])
      const url = proxy.url.replace("127.0.0.1", "localhost")
      const trusting = yield* transportTo(port, { proxy: url })
      yield* Effect.scoped(trusting.open(query))
      yield* Effect.all([vacant, proxy.vacant])
      const error = yield* Effect.flatMap(transportTo(port, { proxy: url, ca: undefined }), (transport) => transport.open(query)).pipe(Effect.scoped, Effect.flip)
      assert.match(error.message, /through the proxy localhost:\d+: the proxy's TLS cannot be used: self-signed certificate/)
      assert.include(error.hint, "caFile")
      yield* proxy.vacant
    }))

  it.live("is opened by an answer in any pieces, of any 2xx and any words", () =>
    Effect.gen(function*() {
      const { port } = yield* server
      for (const text of [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 403 Forbidden, or not\r\nVia: 1.1 corp\r\nSet-Cookie: a=b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n"
      ]) {
        const proxy = yield* proxyServer.serve({
          answer: (socket, open) => {
            const bytes = text.split("")
            const next = (): void => {
              const byte = bytes.shift()
              if (byte === undefined) return open()
              socket.write(byte, () => setImmediate(next))
            }
            next()
          }
        })
        const transport = yield* transportTo(port, { proxy: proxy.url })
        yield* Effect.scoped(transport.open(query))
      }
    }))

  it.live("keeps the bytes that come along with the answer", () =>
    Effect.gen(function*() {
      // a server of h2 without TLS speaks first, here in one packet with the proxy's own words
      const settings = Buffer.from("000000040000000000", "hex")
      const proxy = yield* proxyServer.serve({ answer: (socket) => socket.write(Buffer.concat([Buffer.from(proxyServer.established), settings])) })
      const transport = yield* transportTo(1, { proxy: proxy.url, endpointUrl: "http://localhost:1", ca: undefined })
      const opening = yield* transport.open(query).pipe(Effect.scoped, Effect.flip, Effect.forkChild({ startImmediately: true }))
      yield* Effect.sync(() => proxy.asked.length).pipe(Effect.delay("10 millis"), Effect.repeat({ until: (length) => length === 1 }))
      yield* Effect.sleep("200 millis")
      proxy.cut()
      // settings of the server came, so there was a connection, and it is lost
      assert.strictEqual((yield* Fiber.join(opening)).reason._tag, "ConnectionLost")
    }))

  it.live("signs in at the proxy with what its URL says", () =>
    Effect.gen(function*() {
      const [proxy, { port }] = yield* Effect.all([proxyServer.serve(), server])
      const transport = yield* transportTo(port, { proxy: proxy.url.replace("//", "//corp%5Cjane:p%40ss%3A1@") })
      yield* Effect.scoped(transport.open(query))
      assert.strictEqual(proxy.asked[0]?.headers["proxy-authorization"], `Basic ${Buffer.from("corp\\jane:p@ss:1").toString("base64")}`)
    }))

  it.live("is another one for who comes after a connection that broke, was left by the server, or is full", () =>
    Effect.gen(function*() {
      const [proxy, { call, port, vacant }] = yield* Effect.all([proxyServer.serve(), server])
      const scope = yield* Scope.make()
      const transport = yield* transportTo(port, { proxy: proxy.url, connections: "shared" }).pipe(Scope.provide(scope))
      const connection = yield* transport.open(query)
      yield* call
      proxy.cut()
      assert.strictEqual((yield* Stream.runDrain(connection.messages).pipe(Effect.flip)).reason._tag, "ConnectionLost")
      yield* transport.open(query)
      assert.strictEqual(proxy.asked.length, 2)
      // GOAWAY without an error: streams go on, others go elsewhere
      const { stream } = yield* call
      const { session } = stream
      yield* Effect.callback<void>((resume) => {
        session?.goaway()
        session?.ping(Buffer.alloc(8), () => resume(Effect.void))
      })
      yield* transport.open(query)
      assert.strictEqual(proxy.asked.length, 3)
      yield* Effect.forEach(Array.from({ length: 256 }), () => transport.open(query), { concurrency: "unbounded" })
      assert.strictEqual(proxy.asked.length, 4)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.all([vacant, proxy.vacant])
    }))

  it.live("goes with the Scope, also where nothing was sent through it", () =>
    Effect.gen(function*() {
      const proxy = yield* proxyServer.serve({ answer: (socket) => socket.resume().write(proxyServer.established) })
      const { proxy: way } = yield* Effect.fromResult(yield* Proxy.route(proxy.url, new URL("https://localhost:8443")))
      for (const mode of ["isolated", "shared"] as const) {
        const { acquire, close } = Connections.make(mode, { url: new URL("https://localhost:8443"), ca: undefined, proxy: way })
        yield* Effect.scoped(acquire)
        if (mode === "shared") yield* close
        yield* proxy.vacant
      }
      assert.strictEqual(proxy.asked.length, 2)
    }))

  it.live("that an opening did without keeps nothing: interrupted at any moment", () =>
    Effect.gen(function*() {
      const { port, vacant } = yield* server
      for (const tls of [undefined, localhost]) {
        for (const connections of ["isolated", "shared"] as const) {
          const proxy = yield* proxyServer.serve(tls === undefined ? {} : { tls })
          const hanging = yield* proxyServer.serve({ answer: (socket) => socket.resume(), ...(tls === undefined ? {} : { tls }) })
          const urlOf = ({ url }: proxyServer.ProxyServer): string => url.replace("127.0.0.1", "localhost")
          const stuck = yield* transportTo(port, { proxy: urlOf(hanging), connections })
          const waiting = yield* Effect.forEach([1, 2], () => stuck.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true })))
          yield* Effect.sync(() => hanging.asked.length).pipe(Effect.delay("5 millis"), Effect.repeat({ until: (length) => length === (connections === "shared" ? 1 : 2) }))
          yield* Fiber.interruptAll(waiting)
          yield* hanging.vacant
          const scope = yield* Scope.make()
          const transport = yield* transportTo(port, { proxy: urlOf(proxy), connections }).pipe(Scope.provide(scope))
          for (let turns = 0; turns < 30; turns++) {
            const early = yield* transport.open(query).pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
            for (let n = 0; n < turns; n++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            yield* Fiber.interrupt(early)
            if (connections === "isolated") yield* proxy.vacant
          }
          yield* Effect.scoped(transport.open(query))
          yield* Scope.close(scope, Exit.void)
          yield* Effect.all([vacant, proxy.vacant])
        }
      }
    }), 60_000)
})

/** A proxy that says these bytes and ends, whatever it is asked. */
const saying = (text: string | Buffer) =>
  Effect.map(proxyServer.serve({ answer: (socket) => socket.resume().end(text) }), ({ port, vacant }) => ({ port, vacant }))

/** A server of TCP that does this with each socket. */
const tcp = (act: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ port: number; server: net.Server; vacant: Effect.Effect<void> }>((resume) => {
      const server = net.createServer((socket) => act(socket.on("error", () => undefined)))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({ server, port: typeof address === "object" && address !== null ? address.port : 0, vacant: Effect.void }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

describe("a proxy that opens none", () => {
  const rows: ReadonlyArray<readonly [name: string, proxy: Effect.Effect<{ port: number; vacant: Effect.Effect<void> }, never, Scope.Scope>, says: RegExp, hint: RegExp]> = [
    ["allows port 443 only", saying("HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 3\r\n\r\nno."), /the proxy answered 403 Forbidden/, /8443.*SSL_ports.*NO_PROXY/],
    ["knows no CONNECT", saying("HTTP/1.1 405 Not Allowed\r\n\r\n"), /the proxy answered 405 Method Not Allowed/, /8443/],
    ["wants credentials", saying("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"), /the proxy answered 407/, /user:password/],
    ["does not reach the server", saying("HTTP/1.1 502 Bad Gateway\r\n\r\n"), /the proxy answered 502 Bad Gateway/, /resolves/],
    ["is overloaded", saying("HTTP/1.1 503 no\r\n\r\n"), /the proxy answered 503 Service Unavailable/, /resolves/],
    ["waits in vain", saying("HTTP/1.1 504 \r\n\r\n"), /the proxy answered 504 Gateway Timeout/, /resolves/],
    ["sends elsewhere", saying("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n"), /the proxy answered 302 Found/, /8443/],
    ["answers a number that nobody knows", saying("HTTP/1.1 799 jane:s3cr3t-of-jane\r\n\r\n"), /the proxy answered 799 \(stage/, /8443/],
    ["says nothing and goes", saying(""), /the proxy closed the connection before it answered/, /8443/],
    ["goes within its answer", saying("HTTP/1.1 200 Connec"), /the proxy closed the connection before it answered/, /8443/],
    ["speaks another protocol", tcp((socket) => socket.end("220 mail.example.com ESMTP\r\n")), /the proxy does not speak HTTP/, /HTTPS_PROXY/],
    ["speaks TLS where it should not", tcp((socket) => socket.end(Buffer.from("15030300020232", "hex"))), /the proxy does not speak HTTP/, /https:\/\//],
    ["never ends its headers", saying(`HTTP/1.1 200 OK\r\nA: ${"x".repeat(100_000)}`), /the proxy does not speak HTTP/, /HTTPS_PROXY/],
    ["hangs up", tcp((socket) => socket.destroy()), /the proxy closed the connection|the proxy cannot be reached/, /8443|HTTPS_PROXY/],
    ["is not there", Effect.map(Effect.scoped(tcp(() => undefined)), ({ port, vacant }) => ({ port, vacant })), /the proxy cannot be reached: connect ECONNREFUSED/, /HTTPS_PROXY/]
  ]
  for (const [name, make, says, hint] of rows) {
    it.live(name, () =>
      Effect.gen(function*() {
        const { port, vacant } = yield* make
        for (const connections of ["isolated", "shared"] as const) {
          const transport = yield* transportTo(8443, { proxy: `http://jane:s3cr3t-of-jane@127.0.0.1:${port}`, connections })
          const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
          assert.strictEqual(error.reason._tag, "ConnectFailed")
          assert.strictEqual(error.stage, "open")
          assert.isTrue(error.isRetryable)
          assert.include(error.message, `Could not connect to localhost:8443 through the proxy 127.0.0.1:${port}: the proxy `)
          assert.match(error.message, says)
          assert.match(error.hint, hint)
          const shown = [String(error), JSON.stringify(error), inspect(error, { depth: 20, showHidden: true }), Cause.pretty(Cause.fail(error))].join("\n")
          assert.notMatch(shown, new RegExp(`jane|s3cr3t|${Buffer.from("jane:s3cr3t-of-jane").toString("base64")}|authorization`, "i"))
          yield* vacant
        }
      }))
  }

  it.live("has a name that is none", () =>
    Effect.gen(function*() {
      const transport = yield* transportTo(8443, { proxy: "proxy.invalid:3128" })
      const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
      assert.match(error.message, /through the proxy proxy\.invalid:3128: the proxy cannot be reached: getaddrinfo (ENOTFOUND|EAI_AGAIN)/)
      assert.match(error.hint, /HTTPS_PROXY/)
    }))

  it.live("speaks no TLS although its URL says so", () =>
    Effect.gen(function*() {
      const { port } = yield* proxyServer.serve()
      const transport = yield* transportTo(8443, { proxy: `https://127.0.0.1:${port}` })
      const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
      assert.match(error.message, /the proxy's TLS cannot be used/)
      assert.match(error.hint, /http:\/\//)
    }))

  it.effect("hangs: the error comes before the bound of opening, and names it", () =>
    Effect.gen(function*() {
      const hanging = yield* proxyServer.serve({ answer: (socket) => socket.resume() })
      const transport = yield* transportTo(8443, { proxy: hanging.url })
      const opening = yield* transport.open(query).pipe(Effect.scoped, Effect.flip, Effect.forkChild({ startImmediately: true }))
      while (hanging.asked.length === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("14 seconds")
      const error = yield* Fiber.join(opening)
      assert.match(error.message, /through the proxy 127\.0\.0\.1:\d+: the proxy gave no answer within 10 s/)
      assert.match(error.hint, /8443/)
      yield* hanging.vacant
    }))
})

describe("a tunnel that many wait for", () => {
  const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect.pipe(Effect.scoped, Effect.forkChild({ startImmediately: true }))
  const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  const asked = (proxy: proxyServer.ProxyServer, count: number) => Effect.repeat(turn, { until: () => proxy.asked.length === count })

  it.effect("and that never comes, fails for all of them at once, and names the proxy", () =>
    Effect.gen(function*() {
      const hanging = yield* proxyServer.serve({ answer: (socket) => socket.resume() })
      const transport = yield* transportTo(8443, { proxy: hanging.url, connections: "shared" })
      const first = yield* begin(Effect.flip(transport.open(query)))
      yield* asked(hanging, 1)
      const others = yield* Effect.forEach([1, 2, 3, 4], () => begin(Effect.flip(transport.open(query))))
      for (let n = 0; n < 5; n++) yield* turn
      yield* TestClock.adjust("10 seconds")
      for (const error of yield* Effect.forEach([first, ...others], (fiber) => Fiber.join(fiber))) {
        assert.strictEqual(error.reason._tag, "ConnectFailed")
        assert.match(error.message, /through the proxy 127\.0\.0\.1:\d+: the proxy gave no answer within 10 s/)
      }
      assert.strictEqual(hanging.asked.length, 1)
      yield* hanging.vacant
      // who comes after that asks again
      const next = yield* begin(Effect.flip(transport.open(query)))
      yield* asked(hanging, 2)
      yield* Fiber.interrupt(next)
    }))

  it.live("is asked for once more, by one of them, where the first did without it", () =>
    Effect.gen(function*() {
      const { port, vacant } = yield* server
      const proxy = yield* proxyServer.serve({ answer: (socket, open) => {
        if (proxy.asked.length === 1) return void socket.resume()
        socket.write(proxyServer.established)
        open()
      } })
      const scope = yield* Scope.make()
      const transport = yield* transportTo(port, { proxy: proxy.url, connections: "shared" }).pipe(Scope.provide(scope))
      const first = yield* begin(transport.open(query))
      yield* asked(proxy, 1)
      const others = yield* Effect.forEach([1, 2, 3, 4], () =>
        transport.open(query).pipe(Scope.provide(scope), Effect.forkChild({ startImmediately: true })))
      for (let n = 0; n < 5; n++) yield* turn
      yield* Fiber.interrupt(first)
      yield* Effect.forEach(others, (fiber) => Fiber.join(fiber))
      assert.strictEqual(proxy.asked.length, 2)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.all([vacant, proxy.vacant])
    }))
})

describe("what goes wrong beyond a tunnel", () => {
  it.live("is the server's, and says that there is a proxy", () =>
    Effect.gen(function*() {
      const [proxy, { port, vacant }] = yield* Effect.all([proxyServer.serve(), server])
      const transport = yield* transportTo(port, { proxy: proxy.url, ca: another.cert })
      const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.match(error.message, /through the proxy 127\.0\.0\.1:\d+: self-signed certificate/)
      assert.match(error.hint, /^The certificate is not trusted/)
      yield* Effect.all([vacant, proxy.vacant])
    }))

  it.live("leaves nothing where the tunnel breaks at once", () =>
    Effect.gen(function*() {
      const proxy = yield* proxyServer.serve({ answer: (socket) => socket.resume().end(proxyServer.established) })
      for (const connections of ["isolated", "shared"] as const) {
        const transport = yield* transportTo(8443, { proxy: proxy.url, connections })
        const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
        assert.match(error.message, /Could not connect to localhost:8443 through the proxy/)
        yield* proxy.vacant
      }
    }))
})
