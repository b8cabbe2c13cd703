/** Streams that share connections, to a server of node:http2 whose SETTINGS bound them: which connection each goes to. */
import { assert, describe, it } from "@effect/vitest"
import type * as http2 from "node:http2"
import * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connections from "../../src/sagemaker/connections.ts"
import * as endpoint from "../../src/sagemaker/endpoint.ts"
import * as SageMakerOpen from "../../src/sagemaker/open.ts"
import * as SageMakerTransport from "../../src/SageMakerTransport.ts"
import * as certificate from "../../src/simulator/server/certificate.ts"
import * as bare from "../support/bareServer.ts"
import { becomes } from "../support/becomes.ts"
import * as proxyServer from "../support/proxyServer.ts"
import { credentials } from "../support/rawClient.ts"

const localhost = await Effect.runPromise(certificate.make("localhost"))
const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"
const times = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, at) => at)

/** A session of the server. */
interface Seen {
  readonly session: http2.Http2Session
  /** Streams that are open. */
  open: number
  /** The most that ever were. */
  peak: number
}

/** A server, what it has seen, and the transport to it. */
const world = Effect.fnUntraced(function*(options: {
  /** SETTINGS of new connections; undefined: no limit. */
  readonly limit?: number | undefined
  readonly proxied?: boolean
  readonly isSecure?: boolean
  /** In place of 200. */
  readonly answer?: (stream: http2.ServerHttp2Stream, seen: Seen) => void
}) {
  const sessions = new Map<http2.Http2Session, Seen>()
  let requests = 0
  const server = yield* bare.serve({
    answer: (stream) => {
      const { session } = stream
      if (session === undefined) return
      const seen = sessions.get(session) ?? { session, open: 0, peak: 0 }
      sessions.set(session, seen)
      requests += 1
      seen.open += 1
      seen.peak = Math.max(seen.peak, seen.open)
      stream.on("close", () => (seen.open -= 1))
      if (options.answer === undefined) bare.accept(stream)
      else options.answer(stream, seen)
    },
    settings: options.limit === undefined ? {} : { maxConcurrentStreams: options.limit },
    ...(options.isSecure === true || options.proxied === true ? { tls: localhost } : {})
  })
  const isSecure = options.isSecure === true || options.proxied === true
  const proxy = options.proxied === true ? (yield* proxyServer.serve()).url : false
  const settings: SageMakerTransport.Options = {
    endpointName: "my-flux",
    region: "us-east-1",
    endpointUrl: isSecure ? `https://localhost:${server.port}` : `http://127.0.0.1:${server.port}`,
    ...(isSecure ? { ca: localhost.cert } : {}),
    proxy,
    credentials,
    connections: "shared"
  }
  const transport = yield* SageMakerTransport.make(settings)
  return {
    options: settings,
    server,
    sessions,
    requests: () => requests,
    /** Opens at once, or not at all. */
    open: Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Scope.Scope)
      yield* transport.open(query).pipe(Scope.provide(scope), Effect.timeout("5 seconds"))
      return { end: Scope.close(scope, Exit.void) }
    }),
    /** For as long as it takes, with a scope of its own. */
    transport
  }
})

/** Changes what the server allows on a connection, and waits until the client has taken it in. */
const allow = ({ session }: Seen, maxConcurrentStreams: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => session.settings({ maxConcurrentStreams }, () => resume(Effect.void)))

/** The connections in the order in which they came. */
const inOrder = (sessions: ReadonlyMap<unknown, Seen>): ReadonlyArray<Seen> => [...sessions.values()]
const only = <A>(all: ReadonlyArray<A>): A => {
  const [one] = all
  if (one === undefined || all.length > 1) throw new Error(`there are ${all.length}`)
  return one
}

for (const proxied of [false, true]) {
  describe(`streams on shared connections${proxied ? ", through a proxy" : ""}`, () => {
    it.live("go to another connection at once where the server's SETTINGS allow no more", () =>
      Effect.gen(function*() {
        const { open, server, sessions } = yield* world({ limit: 2, proxied })
        yield* open
        yield* open
        assert.strictEqual(server.connections(), 1)
        yield* open
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [2, 1])
      }))

    for (const [limit, calls, connections] of [[1, 7, 7], [2, 21, 11], [3, 20, 7], [100, 101, 2], [128, 129, 2], [250, 251, 2], [1000, 257, 2], [undefined, 257, 2]] as const) {
      it.live(`are ${connections} connections for ${calls} opens, all but the last at once, where ${limit ?? "any number"} may share one`, () =>
        Effect.gen(function*() {
          const { open, requests, server, sessions } = yield* world({ limit, proxied })
          yield* Effect.forEach(times(calls - 1), () => open, { concurrency: "unbounded" })
          yield* open
          assert.strictEqual(server.connections(), connections)
          assert.strictEqual(requests(), calls)
          for (const { peak } of sessions.values()) assert.isAtMost(peak, Math.min(limit ?? 256, 256))
        }))
    }

    it.live("go where one has ended, and leave one idle connection behind", () =>
      Effect.gen(function*() {
        const { open, server, sessions } = yield* world({ limit: 2, proxied })
        const opened = yield* Effect.forEach(times(5), () => open)
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [2, 2, 1])
        const end = (at: number) => opened[at]?.end ?? Effect.void
        yield* end(1)
        yield* becomes("streams of the first", Effect.sync(() => inOrder(sessions)[0]?.open), 1)
        const again = yield* open
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [2, 2, 1])
        // the third is not needed: the first has room
        yield* end(0)
        yield* end(4)
        yield* becomes("sockets", Effect.sync(() => server.sockets.size), 2)
        yield* Effect.all([again.end, end(2), end(3)])
        yield* becomes("sockets", Effect.sync(() => server.sockets.size), 1)
        yield* open
        yield* open
        assert.strictEqual(server.connections(), 3)
      }))

    it.live("follow SETTINGS that change", () =>
      Effect.gen(function*() {
        const { open, server, sessions } = yield* world({ limit: 2, proxied })
        const opened = yield* Effect.forEach(times(2), () => open)
        const first = only(inOrder(sessions))
        yield* allow(first, 4)
        yield* open
        yield* open
        assert.strictEqual(first.open, 4)
        yield* allow(first, 1)
        yield* Effect.forEach(opened, ({ end }) => end)
        yield* becomes("streams of the first", Effect.sync(() => first.open), 2)
        yield* open
        assert.deepStrictEqual([server.connections(), first.open], [2, 2])
        yield* allow(first, 3)
        yield* open
        assert.deepStrictEqual([server.connections(), first.open], [2, 3])
        yield* allow(first, 0)
        yield* open
        yield* open
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [3, 2, 1])
        yield* allow(first, 5)
        yield* open
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [4, 2, 1])
      }))

    it.live("go elsewhere once the server leaves a connection, which ends with its last", () =>
      Effect.gen(function*() {
        const { open, server, sessions } = yield* world({ limit: 3, proxied })
        const { end } = yield* open
        const { session } = only(inOrder(sessions))
        yield* Effect.callback<void>((resume) => {
          session.goaway()
          session.ping(Buffer.alloc(8), () => resume(Effect.void))
        })
        const opened = yield* Effect.forEach(times(3), () => open, { concurrency: "unbounded" })
        assert.deepStrictEqual(inOrder(sessions).map(({ open }) => open), [1, 3])
        yield* end
        yield* becomes("sockets", Effect.sync(() => server.sockets.size), 1)
        // one that is left while nobody uses it
        yield* Effect.forEach(opened, ({ end }) => end)
        inOrder(sessions)[1]?.session.close()
        yield* becomes("sockets", Effect.sync(() => server.sockets.size), 0)
        yield* open
        assert.strictEqual(server.connections(), 3)
      }))

    it.live("go elsewhere at once where the server refuses them, and it did nothing for them", () =>
      Effect.gen(function*() {
        // a server that takes two in truth, whatever it says
        const { open, requests, server, sessions } = yield* world({
          limit: 10,
          proxied,
          answer: (stream, { open }) => open > 2 ? stream.close(7) : bare.accept(stream)
        })
        yield* Effect.forEach(times(2), () => open)
        yield* open
        yield* becomes("streams", Effect.sync(() => inOrder(sessions).map(({ open }) => open).join()), "2,1")
        assert.deepStrictEqual([server.connections(), requests()], [2, 4])
        yield* Effect.forEach(times(5), () => open, { concurrency: "unbounded" })
        yield* becomes("open streams", Effect.sync(() => inOrder(sessions).reduce((sum, { open }) => sum + open, 0)), 8)
        for (const { open } of inOrder(sessions)) assert.isAtMost(open, 2)
      }))

    it.live("go elsewhere at once where the server left the connection before it saw them", () =>
      Effect.gen(function*() {
        let isFirst = true
        const { open, server, sessions } = yield* world({
          limit: 10,
          proxied,
          answer: (stream) => {
            if (isFirst) bare.accept(stream)
            // GOAWAY: of stream 1 it knows, of this one it does not
            else if (sessions.size === 1) stream.session?.goaway(0, 1)
            else bare.accept(stream)
            isFirst = false
          }
        })
        yield* open
        yield* open
        assert.deepStrictEqual([server.connections(), inOrder(sessions)[1]?.open], [2, 1])
      }))

    it.live("are counted right, whenever opening is interrupted", () =>
      Effect.gen(function*() {
        const { open, server, sessions, transport } = yield* world({ limit: 2, proxied })
        const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        for (let turns = 0; turns < 20; turns++) {
          const scope = yield* Scope.make()
          const fibers = yield* Effect.forEach(times(7), () => transport.open(query).pipe(Scope.provide(scope), Effect.forkChild({ startImmediately: true })))
          for (let n = 0; n < turns; n++) yield* turn
          // those that go first, and some who wait for them
          yield* Fiber.interruptAll(fibers.filter((_, at) => at % 3 !== 1))
          yield* Effect.forEach(fibers.filter((_, at) => at % 3 === 1), (fiber) => Fiber.join(fiber).pipe(Effect.timeout("5 seconds")))
          yield* Scope.close(scope, Exit.void)
          // Node's server counts a stream that was reset for a moment longer
          yield* becomes("open streams", Effect.sync(() => inOrder(sessions).reduce((sum, { open }) => sum + open, 0)), 0)
        }
        yield* becomes("at most one idle connection", Effect.sync(() => server.sockets.size <= 1), true)
        yield* open
        const made = server.connections()
        yield* open
        assert.strictEqual(server.connections(), made)
        for (const { peak } of sessions.values()) assert.isAtMost(peak, 2)
      }))
  })
}

/** A port that hands its connections on only once it is told to: before, it takes them and is silent. */
const gate = (to: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ server: net.Server; port: number; taken: Array<net.Socket>; turn: (open: boolean) => void }>((resume) => {
        const taken: Array<net.Socket> = []
        let isOpen = false
        const pass = (socket: net.Socket): void => {
          const link = net.connect(to, "127.0.0.1")
          link.on("error", () => undefined).on("close", () => socket.destroy())
          socket.on("close", () => link.destroy())
          socket.pipe(link).pipe(socket)
        }
        const server = net.createServer((socket) => {
          taken.push(socket.on("error", () => undefined))
          if (isOpen) pass(socket)
          else socket.resume()
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ server, port, taken, turn: (open) => (isOpen = open) }))
        })
      }),
      ({ server, taken }) =>
        Effect.sync(() => {
          server.close()
          taken.forEach((socket) => socket.destroy())
        })
    ),
    ({ port, taken, turn }) => ({ port, taken, turn })
  )

describe("opens that wait for the SETTINGS of a connection", () => {
  const behindGate = Effect.fnUntraced(function*(settings: http2.Settings) {
    const server = yield* bare.serve({ answer: (stream) => bare.accept(stream), settings })
    const { port, taken, turn } = yield* gate(server.port)
    const transport = yield* SageMakerTransport.make({
      endpointName: "my-flux",
      region: "us-east-1",
      endpointUrl: `http://127.0.0.1:${port}`,
      credentials,
      connections: "shared"
    })
    return { taken, turn, start: transport.open(query).pipe(Effect.forkChild({ startImmediately: true })) }
  })
  const begun = Effect.gen(function*() {
    const { start, taken, turn } = yield* behindGate({})
    const first = yield* start
    const others = yield* Effect.forEach(times(4), () => start)
    yield* becomes("connections", Effect.sync(() => taken.length), 1)
    return { first, others, taken, turn }
  })

  it.live("fail with who went first, where there comes no connection", () =>
    Effect.gen(function*() {
      const { first, others, taken } = yield* begun
      taken[0]?.destroy()
      for (const fiber of [first, ...others]) {
        assert.strictEqual((yield* Fiber.join(fiber).pipe(Effect.flip)).reason._tag, "ConnectFailed")
      }
      assert.strictEqual(taken.length, 1)
    }))

  it.live("go first, one of them, where that one is interrupted", () =>
    Effect.gen(function*() {
      const { first, others, taken, turn } = yield* begun
      turn(true)
      yield* Fiber.interrupt(first)
      yield* Effect.forEach(others, (fiber) => Fiber.join(fiber).pipe(Effect.timeout("5 seconds")))
      assert.strictEqual(taken.length, 2)
    }))

  it.live("are as many as the last SETTINGS let share; the others connect at once", () =>
    Effect.gen(function*() {
      const { start, taken, turn } = yield* behindGate({ maxConcurrentStreams: 2 })
      turn(true)
      yield* Effect.forEach(times(2), () => Effect.flatMap(start, (fiber) => Fiber.join(fiber)))
      turn(false)
      const fibers = yield* Effect.forEach(times(7), () => start)
      yield* becomes("connections", Effect.sync(() => taken.length), 1 + Math.ceil(7 / 2))
      // every second one waits for the one before; others may have the places of those that give up, and no more
      yield* Fiber.interruptAll(fibers.filter((_, at) => at % 2 === 1))
      yield* Effect.forEach(times(4 + 1), () => start)
      yield* becomes("connections", Effect.sync(() => taken.length), 1 + 4 + 1)
    }))

  it.live("are interrupted themselves, and nobody waits for them", () =>
    Effect.gen(function*() {
      const { first, others, taken } = yield* begun
      yield* Fiber.interruptAll(others)
      yield* Fiber.interrupt(first)
      yield* becomes("the socket is closed", Effect.sync(() => taken.every((socket) => socket.destroyed)), true)
      assert.strictEqual(taken.length, 1)
    }))
})

describe("a stream that was given a connection, but has not used it yet", () => {
  const rows: ReadonlyArray<readonly [what: string, act: (seen: Seen, server: bare.BareServer) => Effect.Effect<void>]> = [
    ["allows no more", (seen) => allow(seen, 1)],
    ["allows none at all", (seen) => allow(seen, 0)],
    ["leaves it", ({ session }) =>
      Effect.callback((resume) => {
        session.goaway()
        session.ping(Buffer.alloc(8), () => resume(Effect.void))
      })],
    ["breaks it", ({ session }, { sockets }) =>
      Effect.callback<void>((resume) => {
        session.on("close", () => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      }).pipe(Effect.andThen(Effect.sleep("50 millis")))]
  ]
  for (const [what, act] of rows) {
    it.live(`goes to another one where the server meanwhile ${what}`, () =>
      Effect.gen(function*() {
        const { options, requests, server, sessions } = yield* world({ limit: 5 })
        const resolved = yield* endpoint.resolve(options)
        const connections = Connections.make("shared", resolved)
        yield* Effect.addFinalizer(() => connections.close)
        let between = Effect.void
        const open = SageMakerOpen.make(resolved, { ...connections, acquire: Effect.tap(connections.acquire, () => between) })
        yield* open(query)
        const first = only(inOrder(sessions))
        between = Effect.suspend(() => {
          between = Effect.void
          return act(first, server)
        })
        yield* open(query)
        assert.deepStrictEqual([server.connections(), requests()], [2, 2])
        assert.strictEqual(inOrder(sessions)[1]?.open, 1)
      }))
  }
})

describe("a stream of a connection of its own", () => {
  it.live("fails at once where the server refuses it, also where others would share", () =>
    Effect.gen(function*() {
      const { requests, server, transport } = yield* world({ limit: 10, answer: (stream) => stream.close(7) })
      for (const count of [1, 2]) {
        const error = yield* transport.open(query).pipe(Effect.scoped, Effect.flip)
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.deepStrictEqual([requests(), server.connections()], [count, count])
      }
    }))
})
