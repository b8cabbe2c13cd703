import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { fromText } from "../../src/simulator/Script.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { closeStream } from "../support/flux.ts"
import * as support from "../support/becomes.ts"
import * as h2 from "../support/h2Frames.ts"
import * as raw from "../support/rawClient.ts"
import { cut, draw } from "../support/sound.ts"

type Server = SimulatorServer.SimulatorServer["Service"]

/** Numbers of 0 to below 1, the same ones for the same seed. */
const makeRandom = (seed: number) => {
  const next = (): number => {
    // mulberry32
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    bytes: (limit: number): Buffer => Buffer.from(Array.from({ length: below(limit) }, () => below(256))),
    pick: <A>(of: ReadonlyArray<A>): A => of[below(of.length)] ?? assert.fail("nothing to pick"),
    chance: (share: number): boolean => next() < share
  }
}
type Random = ReturnType<typeof makeRandom>

/** Whatever Node would end the process for. */
const defects = Effect.acquireRelease(
  Effect.sync(() => {
    const seen: Array<unknown> = []
    const note = (error: unknown): void => void seen.push(error)
    process.on("unhandledRejection", note)
    process.on("uncaughtExceptionMonitor", note)
    return { seen, note }
  }),
  ({ note }) =>
    Effect.sync(() => {
      process.off("unhandledRejection", note)
      process.off("uncaughtExceptionMonitor", note)
    })
)

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

const simulator = (tls: boolean): Effect.Effect<Server, never, Scope.Scope> =>
  SimulatorServer.make({ script: fromText("Hello, how are you?\nFine."), tls }).pipe(
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.orDie
  )

/** Also under a test's clock. */
const becomes = (...about: Parameters<typeof support.becomes>) => TestClock.withLive(support.becomes(...about))

const audio = draw("...vvvvvvvvv..........vvvvv.........vv")

/** What a well-behaved client hears in a whole session. */
const session = (server: Server): Promise<ReadonlyArray<string>> =>
  new Promise((resolve, reject) => {
    const connection = http2.connect(server.url, { ca: server.certificate })
    connection.on("error", reject)
    raw.signedHeaders().then(async (headers) => {
      const { answer, stream } = raw.exchange(connection, headers)
      for (const piece of [...cut(audio, [2560]), closeStream]) stream.write(raw.unsignedFrame(raw.part(piece)))
      const { body, clean } = await answer
      connection.destroy()
      assert.isTrue(clean)
      resolve(raw.textsOf(raw.decodeAll(body)).map((text) => text.replace(/"request_id":"[0-9a-f-]{36}",/, "")))
    }).catch(reject)
  })

/** Does something to a simulator, which must be none the worse for it: no defect, no session, no socket is left. */
const withstands = (
  abuse: (server: Server, random: Random) => Promise<void>,
  options: { readonly seed: number; readonly tls?: boolean }
) =>
  Effect.gen(function*() {
    const { seen } = yield* defects
    // a certificate that holds now
    yield* TestClock.setTime(yield* TestClock.withLive(Clock.currentTimeMillis))
    const server = yield* simulator(options.tls ?? false)
    const before = yield* Effect.promise(() => session(server))
    assert.isAbove(before.length, 10)
    yield* Effect.promise(() => abuse(server, makeRandom(options.seed)))
    assert.deepStrictEqual(yield* Effect.promise(() => session(server)), before)
    yield* becomes("sessions", server.sessions, 0)
    yield* becomes("sockets", Effect.sync(sockets), 0)
    yield* becomes(
      "records of sessions that have not ended",
      Effect.map(server.ledger, (records) => records.filter(({ ending }) => ending === "open").length),
      0
    )
    assert.deepStrictEqual(seen, [])
  })

/** So many at once, one after another. */
const crowd = async (times: number, each: (at: number) => Promise<void>, atOnce = 20): Promise<void> => {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < times) await each(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Leaves a connection in one of the ways in which clients do. */
const leave = async (socket: net.Socket, random: Random): Promise<void> => {
  if (socket.destroyed) return
  const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const way = random.below(3)
  if (way === 0 && !(socket instanceof tls.TLSSocket)) socket.resetAndDestroy()
  else if (way === 1) socket.end(() => socket.destroy())
  else socket.destroy()
  await gone
}

const dial = (server: Server): Promise<h2.Connection> => h2.connect(server.port, server.certificate)

const dialTcp = (port: number): Promise<net.Socket> =>
  new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(socket))
    socket.on("error", () => {}).resume()
  })

/** Writes bytes in random pieces. */
const dribble = async (socket: net.Socket, bytes: Uint8Array, random: Random): Promise<void> => {
  for (let at = 0; at < bytes.length && socket.writable;) {
    const size = 1 + random.below(bytes.length)
    socket.write(bytes.subarray(at, at + size))
    at += size
    if (random.chance(0.5)) await settled()
  }
}

/** A frame of any kind, mostly out of place, sometimes not as long as it says. */
const anyFrame = (random: Random): Buffer => {
  const payload = random.chance(0.2) ? h2.uint32(random.pick([0, 1, 2 ** 31 - 1, 2 ** 32 - 1])) : random.bytes(300)
  return h2.frame(
    random.below(12),
    random.below(256),
    random.pick([0, 1, 1, 2, 3, 5, 2 ** 31 - 1]),
    payload,
    random.chance(0.1) ? random.below(70_000) : payload.length
  )
}

const flip = (bytes: Uint8Array, random: Random): Buffer => {
  const out = Buffer.from(bytes)
  for (let flips = 1 + random.below(4); flips > 0 && out.length > 0; flips--) {
    const at = random.below(out.length)
    out.writeUInt8(out.readUInt8(at) ^ (1 << random.below(8)), at)
  }
  return out
}

const anyJson = (random: Random, depth = 0): unknown => {
  switch (random.below(depth > 4 ? 5 : 7)) {
    case 0:
      return null
    case 1:
      return random.chance(0.5)
    case 2:
      return random.pick([0, -1, 1e308, 0.5, 2 ** 53])
    case 3:
      return random.pick(["CloseStream", "Configure", "__proto__", "", "\u0000", "\ud800", "é"])
    case 4:
      return random.bytes(20).toString("latin1")
    case 5:
      return Array.from({ length: random.below(4) }, () => anyJson(random, depth + 1))
    default: {
      const keys = ["type", "thresholds", "keyterms", "eot_threshold", "__proto__", "constructor", "toString"]
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(keys), anyJson(random, depth + 1)])
      )
    }
  }
}

/** A frame that a client might send, or one that is nearly so. */
const anyMessage = (random: Random): Uint8Array => {
  switch (random.below(9)) {
    case 0:
      return random.bytes(400)
    case 1:
      return flip(raw.unsignedFrame(raw.part(random.bytes(400))), random)
    case 2:
      // all checksums right, but what is sealed
      return raw.unsignedFrame(flip(raw.part(random.bytes(50)), random))
    case 3:
      return raw.unsignedFrame(raw.part(JSON.stringify(anyJson(random)) ?? ""))
    case 4:
      return raw.unsignedFrame(raw.part(JSON.stringify({ type: random.pick(["Configure", "ForceEndTurn", "x"]), thresholds: anyJson(random) })))
    case 5:
      return raw.unsignedFrame(raw.part(random.bytes(50), { CompletionState: random.pick(["PARTIAL", "COMPLETE", "x"]) }))
    case 6:
      return raw.unsignedFrame(raw.part(random.bytes(20).toString("latin1"), { DataType: random.pick(["UTF8", "BINARY", ""]) }))
    case 7:
      return raw.unsignedFrame(raw.part(draw("v"))).subarray(0, random.below(2600))
    default:
      return raw.unsignedFrame(raw.part(random.bytes(6000)))
  }
}

/** What is sent on a connection on which a session runs, and how the server takes it: one stream or all of it ends, or nothing. */
interface Abuse {
  readonly ends: "the connection" | "a stream" | "nothing"
  readonly frames: (headers: Readonly<Record<string, string>>) => Iterable<Uint8Array>
}

const abuses: Readonly<Record<string, Abuse>> = {
  "headers of a megabyte": {
    ends: "the connection",
    *frames(headers) {
      yield h2.request(3, { ...headers, "x-large": "x".repeat(1_000_000) })
    }
  },
  "headers without end": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.headers, 0, 3, Buffer.of(0x83))
      for (let i = 0; i < 20_000; i++) yield h2.frame(h2.type.continuation, 0, 3, h2.headerBlock({ "x-a": "b" }))
    }
  },
  "thousands of headers": {
    ends: "a stream",
    *frames(headers) {
      const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`x-${at}`, "y"]))
      yield h2.request(3, { ...headers, ...many })
    }
  },
  "headers that grow by their table": {
    ends: "a stream",
    *frames(headers) {
      // an entry of 3 kB, then 10,000 references to it by a byte each
      const entry = Buffer.concat([Buffer.of(0x40, 3), Buffer.from("x-a"), Buffer.of(0x7f, 0xb9, 0x16), Buffer.alloc(3000, 0x61)])
      yield h2.frame(h2.type.headers, h2.endHeaders, 3, Buffer.concat([h2.headerBlock({ ":scheme": "http", ...headers }), entry, Buffer.alloc(10_000, 0xbe)]))
    }
  },
  "streams reset as soon as they are opened": {
    ends: "the connection",
    *frames(headers) {
      for (let stream = 3; stream < 6000; stream += 2) {
        yield h2.request(stream, headers)
        yield h2.frame(h2.type.rstStream, 0, stream, h2.uint32(stream % 4 === 3 ? 8 : 2))
      }
    }
  },
  "more streams than allowed": {
    ends: "the connection",
    *frames(headers) {
      for (let stream = 3; stream < 1000; stream += 2) yield h2.request(stream, headers)
    }
  },
  "a flood of SETTINGS": {
    ends: "nothing",
    *frames() {
      for (let i = 0; i < 20_000; i++) yield h2.settings([[4, i]])
    }
  },
  "a flood of PING": {
    ends: "nothing",
    *frames() {
      for (let i = 0; i < 20_000; i++) yield h2.frame(h2.type.ping, 0, 0, Buffer.alloc(8))
    }
  },
  "a flood of empty DATA": {
    ends: "the connection",
    *frames() {
      for (let i = 0; i < 20_000; i++) yield h2.frame(h2.type.data, 0, 1)
    }
  },
  "WINDOW_UPDATE of nothing": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.windowUpdate, 0, 1, h2.uint32(0))
      yield h2.frame(h2.type.windowUpdate, 0, 0, h2.uint32(0))
    }
  },
  "a window that is too large": {
    ends: "the connection",
    *frames() {
      for (let i = 0; i < 3; i++) yield h2.frame(h2.type.windowUpdate, 0, 1, h2.uint32(2 ** 31 - 1))
      for (let i = 0; i < 3; i++) yield h2.frame(h2.type.windowUpdate, 0, 0, h2.uint32(2 ** 31 - 1))
    }
  },
  "DATA of the connection": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.data, 0, 0, Buffer.alloc(10))
    }
  },
  "DATA beyond the window": {
    ends: "the connection",
    *frames() {
      for (let i = 0; i < 100; i++) yield h2.frame(h2.type.data, 0, 1, Buffer.alloc(16_000))
    }
  },
  "DATA of a stream that never was": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.data, 0, 99, Buffer.alloc(10))
    }
  },
  "DATA after its end": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.data, h2.endStream, 1)
      yield h2.frame(h2.type.data, h2.endStream, 1)
    }
  },
  "a stream of the server": {
    ends: "the connection",
    *frames(headers) {
      yield h2.request(2, headers)
    }
  },
  "a promise by the client": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.pushPromise, h2.endHeaders, 1, h2.uint32(2))
    }
  },
  "a stream that hangs on itself": {
    ends: "nothing",
    *frames() {
      yield h2.frame(h2.type.priority, 0, 1, Buffer.concat([h2.uint32(1), Buffer.of(0)]))
    }
  },
  "a header block that is none": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.headers, h2.endHeaders, 3, Buffer.alloc(50, 0xff))
    }
  },
  "trailers, and headers twice": {
    ends: "a stream",
    *frames(headers) {
      yield h2.request(1, headers)
      yield h2.frame(h2.type.headers, h2.endHeaders | h2.endStream, 1, h2.headerBlock({ "x-a": "b" }))
    }
  },
  "GOAWAY in mid-session": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.goAway, 0, 0, h2.uint32(0, 2))
    }
  },
  "a frame that is never finished": {
    ends: "nothing",
    *frames() {
      yield h2.frame(h2.type.data, 0, 1, Buffer.alloc(100), 16_000)
    }
  },
  "a frame of 16 MiB": {
    ends: "the connection",
    *frames() {
      yield h2.frame(h2.type.data, 0, 1, Buffer.alloc(100), 0xff_ffff)
    }
  }
}

describe("a simulator withstands", () => {
  for (const tls of [false, true]) {
    it.effect(`random bytes (TLS: ${tls})`, () =>
      withstands((server, random) =>
        crowd(100, async () => {
          const socket = await dialTcp(server.port)
          await dribble(socket, Buffer.concat([random.chance(0.5) ? h2.preface : Buffer.alloc(0), random.bytes(4000)]), random)
          await leave(socket, random)
        }), { seed: 1, tls }))

    it.effect(`random frames, and a session among them (TLS: ${tls})`, () =>
      withstands(async (server, random) => {
        const headers = await raw.signedHeaders()
        await crowd(100, async () => {
          const client = await dial(server)
          client.send(h2.preface, h2.settings())
          if (random.chance(0.7)) client.send(h2.request(1, headers), h2.frame(h2.type.data, 0, 1, raw.unsignedFrame(raw.part(draw("v")))))
          const frames = Array.from({ length: random.below(20) }, () => anyFrame(random))
          await dribble(client.socket, Buffer.concat(frames), random)
          await leave(client.socket, random)
        })
      }, { seed: 2, tls }))
  }

  it.effect("every abuse of HTTP/2 on the list", () =>
    withstands(async (server, random) => {
      const headers = await raw.signedHeaders()
      for (const [name, { ends, frames }] of Object.entries(abuses)) {
        const client = await dial(server)
        client.send(h2.preface, h2.settings(), h2.request(1, headers))
        await client.seen(({ type }) => type === h2.type.data)
        let batch: Array<Uint8Array> = []
        for (const frame of frames(headers)) {
          batch.push(frame)
          if (batch.length < 500) continue
          client.send(...batch)
          batch = []
          await settled()
        }
        client.send(...batch)
        if (ends === "the connection") await client.closed
        if (ends === "a stream") await client.seen(({ type }) => type === h2.type.rstStream)
        if (ends === "nothing") {
          await session(server)
          assert.isFalse(client.socket.closed, name)
        }
        await leave(client.socket, random)
      }
    }, { seed: 3 }))

  it.effect("floods from a client that reads nothing", () =>
    withstands(async (server, random) => {
      const headers = await raw.signedHeaders()
      for (const name of ["a flood of SETTINGS", "a flood of PING", "streams reset as soon as they are opened"]) {
        const { socket, send } = await dial(server)
        socket.pause()
        send(h2.preface, h2.settings())
        for (const frame of abuses[name]?.frames(headers) ?? []) send(frame)
        await settled()
        await leave(socket, random)
      }
    }, { seed: 4 }))

  it.effect("bodies of any bytes, messages of any text, and messages that never end", () =>
    withstands(async (server, random) => {
      const headers = await raw.signedHeaders({
        query: "model=flux-general-multi&encoding=linear16&sample_rate=16000"
      })
      await crowd(300, async () => {
        const client = await dial(server)
        client.send(h2.preface, h2.settings(), h2.request(1, headers))
        await client.seen(({ type }) => type === h2.type.settings)
        const body = h2.flow(client, 1).write
        for (let count = random.below(12); count >= 0; count--) {
          body(anyMessage(random))
          if (random.chance(0.3)) await settled()
        }
        if (random.chance(0.5)) client.send(h2.frame(h2.type.data, h2.endStream, 1))
        if (random.chance(0.5)) client.send(h2.frame(h2.type.ping, 0, 0, h2.uint32(7, 7)))
        if (random.chance(0.5)) await Promise.race([client.closed, client.seen(({ stream }) => stream === 1)])
        await leave(client.socket, random)
      })
      for (const size of [0, 1, 2000]) {
        const connection = http2.connect(server.url).on("error", () => {})
        const { stream } = raw.exchange(connection, headers)
        const part = raw.unsignedFrame(raw.part(new Uint8Array(size), { CompletionState: "PARTIAL" }))
        for (let i = 0; i < 40; i++) {
          await new Promise((resolve) => stream.write(Buffer.concat(Array.from({ length: 200 }, () => part)), resolve))
        }
        connection.destroy()
      }
    }, { seed: 5 }))

  it.effect("wrong methods, paths and headers", () =>
    withstands(async (server, random) => {
      const good = await raw.signedHeaders()
      await crowd(100, async () => {
        const connection = http2.connect(server.url).on("error", () => {})
        const headers: http2.OutgoingHttpHeaders = { ...good }
        if (random.chance(0.7)) headers[":method"] = random.pick(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "X"])
        if (random.chance(0.7)) headers[":path"] = random.pick(["/", "*", "/endpoints//", "/endpoints/%00/invocations-bidirectional-stream", `/${"x".repeat(8000)}`])
        if (random.chance(0.3)) headers[random.pick(Object.keys(good).filter((name) => !name.startsWith(":")))] = random.pick(["", "x".repeat(20_000), "%"])
        if (random.chance(0.1)) {
          delete headers[":path"]
          delete headers[":scheme"]
          headers[":method"] = "CONNECT"
        }
        const { answer, stream } = raw.exchange(connection, headers)
        if (random.chance(0.5)) stream.end(random.bytes(1000))
        if (random.chance(0.8)) await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200))])
        connection.destroy()
      })
      // each is answered, a HEAD without a body
      for (const method of ["GET", "HEAD", "OPTIONS", "CONNECT"]) {
        const connection = http2.connect(server.url).on("error", () => {})
        const { answer } = raw.exchange(connection, { ...(method === "CONNECT" ? { ":authority": "x" } : { ":path": "/" }), ":method": method })
        const { body, clean, status } = await answer
        assert.deepStrictEqual([status, clean, body.length > 0], [400, true, method !== "HEAD"], method)
        connection.destroy()
      }
    }, { seed: 6 }))

  it.effect.each<readonly [clients: number, tls: boolean]>([
    [1000, false],
    [300, true]
  ])("%i clients that go at any moment (TLS: %s)", ([clients, tls]) =>
    withstands(async (server, random) => {
      const headers = await raw.signedHeaders()
      const frames = cut(audio, [2560]).map((bytes) => raw.unsignedFrame(raw.part(bytes)))
      const close = raw.unsignedFrame(raw.part(closeStream))
      await crowd(clients, async () => {
        const stage = random.below(8)
        const socket = tls ? (await dial(server)).socket : await dialTcp(server.port)
        const write = (...parts: ReadonlyArray<Uint8Array>): void => void (socket.writable && socket.write(Buffer.concat(parts)))
        const answered = () => new Promise<void>((resolve) => socket.once("data", () => resolve()).once("close", () => resolve()))
        if (stage > 0) write(h2.preface, h2.settings())
        if (stage > 1) await answered()
        // a dialled one has acknowledged SETTINGS already
        if (stage > 2) write(...(tls ? [] : [h2.frame(h2.type.settings, h2.ack, 0)]), h2.request(1, headers))
        if (stage > 3) await answered()
        if (stage > 4) write(...frames.slice(0, random.below(9)).map((bytes) => h2.frame(h2.type.data, 0, 1, bytes)))
        if (stage > 5) await settled()
        if (stage > 6) write(h2.frame(h2.type.data, 0, 1, random.chance(0.5) ? close : close.subarray(0, random.below(close.length))))
        if (stage > 2 && random.chance(0.3)) write(h2.frame(h2.type.rstStream, 0, 1, h2.uint32(random.pick([0, 2, 8]))))
        if (stage > 2 && random.chance(0.2)) write(h2.frame(h2.type.data, h2.endStream, 1))
        await leave(socket, random)
      }, 50)
      assert.isAbove((await Effect.runPromise(server.ledger)).length, clients / 5)
    }, { seed: 7, tls }))

  it.effect("TLS handshakes that are cut off or wrong", () =>
    withstands(async (server, random) => {
      const hello = await new Promise<Buffer>((resolve) => {
        const listener = net.createServer((socket) => {
          socket.on("error", () => {}).once("data", (data) => {
            resolve(data)
            socket.destroy()
            listener.close()
          })
        })
        listener.listen(0, "127.0.0.1", () => {
          const address = listener.address()
          tls.connect({ port: typeof address === "object" && address !== null ? address.port : 0, ALPNProtocols: ["h2"] }).on("error", () => {})
        })
      })
      await crowd(200, async () => {
        const socket = await dialTcp(server.port)
        const bytes = random.chance(0.5) ? flip(hello, random) : hello
        await dribble(socket, bytes.subarray(0, random.chance(0.3) ? bytes.length : random.below(bytes.length)), random)
        if (random.chance(0.3)) await dribble(socket, random.bytes(500), random)
        await leave(socket, random)
      })
    }, { seed: 8, tls: true }))
})
