import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import type { AddressInfo, Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as exchange from "../../../src/simulator/server/exchange.ts"
import { holdMillis } from "../../../src/simulator/server/outlet.ts"
import type { Player, Wire } from "../../../src/simulator/wire.ts"
import * as h2 from "../../support/h2Frames.ts"
import * as raw from "../../support/rawClient.ts"

/** A timer that the test fires. */
interface Timer {
  readonly millis: number
  readonly run: () => void
}

/** One stream with both its ends: the wire, what its player was told, and the client's socket. */
interface Served {
  readonly wire: Wire
  readonly heard: ReadonlyArray<string>
  readonly timers: Array<Timer>
  readonly stream: http2.ServerHttp2Stream
  readonly client: h2.Connection
  /** Sends body bytes. */
  readonly write: (bytes: Uint8Array, flags?: number) => void
  /** Resolves when the player was told that. */
  readonly hears: (what: string) => Promise<void>
}

const request = { ":path": "/", ":authority": "x" }
/** The server's wall clock, and how HTTP writes it: the example of RFC 9110, 5.6.7. */
const wall = 784_111_777_000
const wallInHttp = "Sun, 06 Nov 1994 08:49:37 GMT"

/** A server of one stream, whose player only notes what it is told. */
const serve = (
  settings: ReadonlyArray<readonly [number, number]> = [],
  method = "POST"
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function*() {
    const heard: Array<string> = []
    const waiting = new Set<() => void>()
    const timers: Array<Timer> = []
    const note = (what: string): void => {
      heard.push(what)
      waiting.forEach((check) => check())
    }
    const player: Player = {
      audio: (bytes) => note(`audio ${bytes.length}`),
      text: (message) => note(`text ${message}`),
      bodyEnded: () => note("bodyEnded"),
      refused: ({ as, name }) => note(`refused ${as} ${name}`),
      gone: () => note("gone")
    }
    const ready = Promise.withResolvers<readonly [Wire, http2.ServerHttp2Stream]>()
    let tcp: Socket | undefined
    const server = http2.createServer()
    server.on("connection", (socket) => {
      tcp = socket
    })
    server.on("sessionError", () => {})
    server.on("stream", (stream) => {
      const { play, wire } = exchange.make(stream, {
        requestId: "request-1",
        chain: undefined,
        after: (millis, run) => void timers.push({ millis, run }),
        now: () => wall,
        drop: () => tcp?.destroy()
      })
      play(player)
      ready.resolve([wire, stream])
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.close()
          tcp?.destroy()
        })
    )
    const client = yield* Effect.promise(() => h2.connect((server.address() as AddressInfo).port))
    client.send(h2.preface, h2.settings(settings), h2.request(1, { ...request, ":method": method }))
    const [wire, stream] = yield* Effect.promise(() => ready.promise)
    return {
      wire,
      heard,
      timers,
      stream,
      client,
      write: (bytes, flags = 0) => client.send(h2.frame(h2.type.data, flags, 1, bytes)),
      hears: (what) =>
        new Promise((resolve) => {
          const check = (): void => void (heard.includes(what) && resolve())
          waiting.add(check)
          check()
        })
    }
  })

const isReset = ({ type }: h2.Frame): boolean => type === h2.type.rstStream
const isEnd = ({ flags, type }: h2.Frame): boolean => type === h2.type.data && (flags & h2.endStream) !== 0
const isData = ({ type }: h2.Frame): boolean => type === h2.type.data

/** The frames of a run of parts, and what they come to together. */
const partsOf = (body: Uint8Array) => {
  const messages = raw.decodeAll(body)
  return {
    states: messages.map((message) => raw.headersOf(message)["CompletionState"]),
    text: Buffer.concat(messages.map(({ body }) => body)).toString()
  }
}

/** Numbers of 0 to below 1, the same ones each time. */
const random = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

describe("exchange", () => {
  it.live("says what it is told, and ends cleanly", () =>
    Effect.gen(function*() {
      const { client, heard, hears, wire, write } = yield* serve()
      wire.accept()
      wire.say("é")
      wire.end()
      wire.say("nothing comes after the end")
      wire.reset(2)
      yield* Effect.promise(() => client.seen(isEnd))
      assert.deepStrictEqual(partsOf(h2.bodyOf(client.frames)), { states: [undefined], text: "é" })
      write(raw.unsignedFrame(new Uint8Array(0)), h2.endStream)
      yield* Effect.promise(() => hears("gone"))
      assert.deepStrictEqual(h2.told(client.frames).filter((what) => what.startsWith("RST")), [])
      // what comes after the end is not heard, but that the client ended is
      assert.deepStrictEqual(heard, ["bodyEnded", "gone"])
    }))

  it.live("hands on messages, and the end of the body once", () =>
    Effect.gen(function*() {
      const { heard, hears, write } = yield* serve()
      write(raw.unsignedFrame(raw.part(new Uint8Array(6))))
      write(raw.unsignedFrame(raw.part("hello")))
      write(Buffer.concat([raw.unsignedFrame(new Uint8Array(0)), raw.unsignedFrame(raw.part("late"))]), h2.endStream)
      yield* Effect.promise(() => hears("bodyEnded"))
      assert.deepStrictEqual(heard, ["audio 6", "text hello", "bodyEnded"])
    }))

  it.live("tells of a frame that is not acceptable, and hears no more", () =>
    Effect.gen(function*() {
      const { client, heard, hears, wire, write } = yield* serve()
      wire.accept()
      write(Buffer.alloc(64, 0x7f))
      write(raw.unsignedFrame(raw.part("late")), h2.endStream)
      yield* Effect.promise(() => hears("refused exception InputValidationError"))
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      yield* Effect.promise(() => hears("gone"))
      assert.deepStrictEqual(heard, ["refused exception InputValidationError", "gone"])
    }))

  it.live("refuses with the status, type and body given", () =>
    Effect.gen(function*() {
      const page = yield* serve()
      page.wire.refuse({ status: 500, contentType: "text/html", errorType: undefined, body: "<html/>", reason: "" })
      page.wire.accept()
      page.wire.say("nothing comes after")
      yield* Effect.promise(() => page.client.seen(isEnd))
      assert.deepStrictEqual(h2.told(page.client.frames), ["HEADERS", "DATA 7 END_STREAM"])
      assert.strictEqual(h2.bodyOf(page.client.frames).toString(), "<html/>")
      const { ":status": status, "content-type": type, ...others } = page.stream.sentHeaders ?? {}
      assert.deepStrictEqual([status, type], [500, "text/html"])
      assert.strictEqual(others["date"], wallInHttp)
      assert.notProperty(others, "x-amzn-errortype")
      const headless = yield* serve([], "HEAD")
      headless.wire.refuse({ status: 400, errorType: "x", body: "{}", reason: "" })
      headless.write(new Uint8Array(0), h2.endStream)
      yield* Effect.promise(() => headless.hears("gone"))
      assert.deepStrictEqual(h2.told(headless.client.frames), ["HEADERS END_STREAM"])
    }))

  it.live.each([0, 2, 8, 2 ** 32 - 1])("resets with code %i after all that was said, and without END_STREAM", (code) =>
    Effect.gen(function*() {
      const { client, hears, wire } = yield* serve()
      wire.accept()
      for (let i = 0; i < 3; i++) wire.say("x".repeat(1000))
      wire.reset(code)
      wire.end()
      yield* Effect.promise(() => client.seen(isReset))
      const frames = h2.told(client.frames)
      assert.strictEqual(frames.at(-1), `RST_STREAM ${Math.min(code, 2 ** 31 - 1)}`)
      assert.deepStrictEqual(frames.filter((what) => what.includes("END_STREAM")), [])
      assert.strictEqual(partsOf(h2.bodyOf(client.frames)).text, "x".repeat(3000))
      yield* Effect.promise(() => hears("gone"))
    }))

  it.live("resets before the headers too, and at last though the client reads nothing", () =>
    Effect.gen(function*() {
      const early = yield* serve()
      early.wire.reset(11)
      yield* Effect.promise(() => early.client.seen(isReset))
      assert.deepStrictEqual(h2.told(early.client.frames), ["RST_STREAM 11"])
      // a window of 100 bytes that nobody widens
      const blocked = yield* serve([[4, 100]])
      blocked.wire.accept()
      blocked.wire.say("x".repeat(1000))
      blocked.wire.reset(2)
      yield* Effect.promise(() => blocked.client.seen(isData))
      // a second for the break, a minute for a client that stays
      assert.deepStrictEqual(blocked.timers.map(({ millis }) => millis).toSorted(), [1000, 60_000])
      blocked.timers.find(({ millis }) => millis === 1000)?.run()
      yield* Effect.promise(() => blocked.client.seen(isReset))
      assert.deepStrictEqual(h2.told(blocked.client.frames), ["HEADERS", "DATA 100", "RST_STREAM 2"])
    }))

  it.live("drops the socket after all that was said, without another frame", () =>
    Effect.gen(function*() {
      const { client, hears, wire } = yield* serve()
      wire.accept()
      wire.say("hello")
      wire.drop()
      yield* Effect.promise(() => client.closed)
      yield* Effect.promise(() => hears("gone"))
      assert.match(h2.told(client.frames).join(), /^HEADERS,DATA \d+$/)
      assert.strictEqual(partsOf(h2.bodyOf(client.frames)).text, "hello")
    }))

  it.live("sends GOAWAY, after which the stream lives on unless it is for an error", () =>
    Effect.gen(function*() {
      const { client, wire } = yield* serve()
      wire.accept()
      wire.say("before")
      wire.goAway(0)
      const isGoAway = ({ type }: h2.Frame): boolean => type === h2.type.goAway
      assert.deepStrictEqual((yield* Effect.promise(() => client.seen(isGoAway))).payload, h2.uint32(1, 0))
      wire.say("after")
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      assert.strictEqual(partsOf(h2.bodyOf(client.frames)).text, "beforeafter")

      const broken = yield* serve()
      broken.wire.accept()
      broken.wire.say("before")
      broken.wire.goAway(11)
      broken.wire.say("after")
      yield* Effect.promise(() => broken.client.closed)
      yield* Effect.promise(() => broken.hears("gone"))
      assert.deepStrictEqual(broken.client.frames.find(isGoAway)?.payload, h2.uint32(1, 11))
      assert.strictEqual(partsOf(h2.bodyOf(broken.client.frames)).text, "before")
      assert.strictEqual(h2.told(broken.client.frames).at(-1), "GOAWAY 11")
    }))

  it.live("spells failures in three ways, and holds on to a text that no header can hold", () =>
    Effect.gen(function*() {
      const { client, wire } = yield* serve()
      wire.accept()
      wire.fail({ as: "exception", name: "ModelStreamError", message: "m", errorCode: "c" })
      wire.fail({ as: "event", name: "InternalStreamFailure", message: "m" })
      wire.fail({ as: "error", name: "InternalFailure", message: "m" })
      wire.fail({ as: "error", name: "x".repeat(40_000), message: "é".repeat(40_000) })
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      const body = h2.bodyOf(client.frames)
      // the bytes of protocol 5.5
      const sample = "0000008d0000005ea087d7b90f3a657863657074696f6e2d747970650700104d6f64656c53747265616d4572726f72" +
        "0d3a6d6573736167652d74797065070009657863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f" +
        "6a736f6e7b224d657373616765223a226d222c224572726f72436f6465223a2263227d3f4d2c24"
      assert.strictEqual(body.subarray(0, sample.length / 2).toString("hex"), sample)
      const [, event, error, long] = raw.decodeAll(body)
      assert.deepStrictEqual(raw.headersOf(event), {
        ":message-type": "event",
        ":event-type": "InternalStreamFailure",
        ":content-type": "application/json"
      })
      assert.deepStrictEqual(raw.textsOf(event === undefined ? [] : [event]), [`{"Message":"m"}`])
      assert.deepStrictEqual(raw.headersOf(error), {
        ":message-type": "error",
        ":error-code": "InternalFailure",
        ":error-message": "m"
      })
      assert.lengthOf(error?.body ?? "?", 0)
      assert.match(String(raw.headersOf(long)[":error-code"]), /^x+$/)
    }))

  it.live("sends a frame whose checksum alone is wrong", () =>
    Effect.gen(function*() {
      const { client, wire } = yield* serve()
      wire.accept()
      wire.corrupt()
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      const frame = h2.bodyOf(client.frames)
      assert.strictEqual(frame.readUInt32BE(0), frame.length)
      assert.throws(() => raw.decodeAll(frame), /message checksum/)
      frame.writeUInt8(frame.readUInt8(frame.length - 1) ^ 1, frame.length - 1)
      assert.lengthOf(raw.decodeAll(frame), 1)
    }))

  it.live("cuts messages into PARTIAL parts, within code points too", () =>
    Effect.gen(function*() {
      const { client, wire } = yield* serve()
      wire.accept()
      wire.cut({ partBytes: 3 })
      // 8 bytes, whose code points end at 2, 5 and 8
      wire.say("é€€")
      wire.say("abc")
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      const messages = raw.decodeAll(h2.bodyOf(client.frames))
      assert.deepStrictEqual(
        messages.map((message) => [message.body.length, raw.headersOf(message)["CompletionState"]]),
        [[3, "PARTIAL"], [3, "PARTIAL"], [2, "COMPLETE"], [3, undefined]]
      )
      assert.strictEqual(Buffer.concat(messages.map(({ body }) => body)).toString(), "é€€abc")
    }))

  it.live("chops DATA into frames of the sizes drawn", () =>
    Effect.gen(function*() {
      const { client, wire } = yield* serve()
      wire.accept()
      // never held back, and always half of what is there, of at most 1024 bytes
      wire.cut({ chop: () => 0.5 })
      wire.say("x".repeat(2000))
      wire.say("y".repeat(2000))
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      // the first one is drawn before there is a second message
      const sizes = [513]
      for (let left = h2.bodyOf(client.frames).length - 513; left > 0; left -= sizes.at(-1) ?? 0) {
        sizes.push(1 + Math.floor(Math.min(left, 1024) / 2))
      }
      assert.isAbove(sizes.length, 10)
      // the last one has nothing but the end
      assert.deepStrictEqual(client.frames.filter(isData).map(({ payload }) => payload.length), [...sizes, 0])
    }))

  it.live("chops DATA at random, and holds nothing back at the end or for long", () =>
    Effect.gen(function*() {
      const { client, timers, wire } = yield* serve()
      const said: Array<string> = []
      const say = (text: string): void => {
        said.push(text)
        wire.say(text)
      }
      wire.accept()
      wire.cut({ chop: random(1) })
      const whole = (): boolean => raw.decodeAll(h2.bodyOf(client.frames)).length === said.length
      // one at a time: some of them wait, and go when their time is over
      let held = 0
      for (let i = 0; i < 20; i++) {
        const before = timers.length
        say(`${i} ${"x".repeat(i * 20)}`)
        while (!whole() && timers.length === before) yield* Effect.promise(() => new Promise(setImmediate))
        if (whole()) continue
        held++
        timers.splice(0).forEach(({ millis, run }) => {
          assert.strictEqual(millis, holdMillis)
          run()
        })
        yield* Effect.promise(() => client.seen(whole))
      }
      assert.isAbove(held, 2)
      const pieces = client.frames.filter(isData).length
      assert.isAbove(pieces, 40)
      // in a row: those held go with the next or the end, though the Clock stands still
      for (let i = 0; i < 20; i++) say(`${i}`)
      wire.end()
      yield* Effect.promise(() => client.seen(isEnd))
      assert.deepStrictEqual(raw.textsOf(raw.decodeAll(h2.bodyOf(client.frames))), said)
      // some frames of HTTP/2 hold parts of two messages
      assert.isBelow(client.frames.filter(isData).length - pieces, 100)
    }))

  it.live("reads nothing more once told so, until the client's window is used up; and sees it go", () =>
    Effect.gen(function*() {
      // the client reads nothing at first, and so the server does not either
      const { client, heard, hears, wire } = yield* serve([[4, 100]])
      const { sent, write } = h2.flow(client, 1)
      wire.accept()
      write(raw.unsignedFrame(raw.part(new Uint8Array(6))))
      yield* Effect.promise(() => hears("audio 6"))
      wire.say("x".repeat(100_000))
      wire.stopReading()
      for (const id of [0, 1]) client.send(h2.frame(h2.type.windowUpdate, 0, id, h2.uint32(200_000)))
      yield* Effect.promise(() => client.seen(() => h2.bodyOf(client.frames).length > 100_000))
      write(new Uint8Array(1_000_000))
      for (let trips = 0; trips < 100; trips++) {
        client.send(h2.frame(h2.type.ping, 0, 0, h2.uint32(0, trips)))
        yield* Effect.promise(() =>
          client.seen(({ payload, type }) => type === h2.type.ping && payload.readUInt32BE(4) === trips))
      }
      assert.isBelow(sent(), 200_000)
      assert.deepStrictEqual(heard, ["audio 6"])
      // also with NO_ERROR, after which Node would wait for what is unread
      client.send(h2.frame(h2.type.rstStream, 0, 1, h2.uint32(0)))
      yield* Effect.promise(() => hears("gone"))
      assert.deepStrictEqual(heard, ["audio 6", "gone"])
    }))

  it.live("does nothing, and throws nothing, where the stream goes before what was said has left", () =>
    Effect.gen(function*() {
      for (const what of ["end", "reset", "goAway", "drop"] as const) {
        const { client, hears, timers, wire } = yield* serve([[4, 100]])
        wire.accept()
        wire.say("x".repeat(1000))
        if (what === "end" || what === "drop") wire[what]()
        else wire[what](11)
        yield* Effect.promise(() => client.seen(isData))
        client.socket.destroy()
        yield* Effect.promise(() => hears("gone"))
        timers.forEach(({ run }) => run())
      }
    }))

  it.live("does nothing, and throws nothing, once the stream has gone", () =>
    Effect.gen(function*() {
      const { client, heard, hears, wire } = yield* serve()
      client.socket.destroy()
      yield* Effect.promise(() => hears("gone"))
      const { length } = heard
      wire.accept()
      wire.refuse({ status: 500, errorType: undefined, body: "", reason: "" })
      wire.say("x")
      wire.fail({ as: "error", name: "x", message: "" })
      wire.corrupt()
      wire.goAway(2)
      wire.stopReading()
      wire.cut({ partBytes: 1, chop: () => 0 })
      wire.reset(2)
      wire.drop()
      wire.end()
      yield* Effect.promise(() => new Promise(setImmediate))
      assert.lengthOf(heard, length)
    }))
})
