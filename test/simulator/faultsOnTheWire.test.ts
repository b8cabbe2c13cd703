import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as net from "node:net"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type { Fault } from "../../src/simulator/Fault.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import { fromText } from "../../src/simulator/Script.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { closeStream } from "../support/flux.ts"
import * as h2 from "../support/h2Frames.ts"
import * as raw from "../support/rawClient.ts"
import { cut, draw } from "../support/sound.ts"

type Server = SimulatorServer.SimulatorServer["Service"]

const simulator = (faults: ReadonlyArray<Fault>, options: SimulatorServer.Options = {}) =>
  SimulatorServer.make({ script: fromText("one two three four"), ...options, faults }).pipe(
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.orDie
  )

/** A client of one stream that knows nothing of HTTP/2 but its frames. */
interface Client extends h2.Connection {
  /** Sends messages, each in a signed frame of its own. */
  readonly write: (...messages: ReadonlyArray<Uint8Array | string>) => void
  /** Bytes of messages that have been sent. */
  readonly sent: () => number
  /** Resolves once the server has read, and answered, what was sent before. */
  readonly roundTrip: Effect.Effect<void>
}

const dial = (server: Server, options: raw.RequestOptions = {}): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function*() {
    const headers = yield* Effect.promise(() => raw.signedHeaders(options))
    const connection = yield* Effect.acquireRelease(
      Effect.promise(() => h2.connect(server.port, server.certificate)),
      ({ socket }) => Effect.sync(() => socket.destroy())
    )
    connection.send(h2.preface, h2.settings(), h2.request(1, headers))
    const data = h2.flow(connection, 1)
    let pings = 0
    return {
      ...connection,
      write: (...messages) => {
        for (const message of messages) data.write(raw.unsignedFrame(raw.part(message)))
      },
      sent: data.sent,
      // more than one: what waits for the server's windows, and what the server's writes wait for
      roundTrip: Effect.promise(async () => {
        for (let i = 0; i < 4; i++) {
          const mark = ++pings
          connection.send(h2.frame(h2.type.ping, 0, 0, h2.uint32(0, mark)))
          await connection.seen(({ payload, type }) => type === h2.type.ping && payload.readUInt32BE(4) === mark)
        }
      })
    }
  })

/** 1.2 s of speech in the frames in which Flux wants it, and a silence of 0.4 s. */
const speech = cut(draw("vvvvvvvvvvvvvvv....."), [2560])

const typeOf = (text: string): string => {
  if (!text.startsWith("{")) return text
  const { code, event, type }: Record<string, string> = JSON.parse(text)
  return type === "TurnInfo" ? String(event) : code === undefined ? String(type) : `${type} ${code}`
}

/** What a body says: each message by its type or exception, PARTIAL parts put together, and how many parts there were. */
const read = (body: Buffer): { readonly messages: Array<string>; readonly parts: number } => {
  const messages: Array<string> = []
  let parts = 0
  let held: Buffer = Buffer.alloc(0)
  for (let at = 0; at < body.length; at += body.readUInt32BE(at)) {
    const bytes = body.subarray(at, at + body.readUInt32BE(at))
    try {
      const [message] = raw.decodeAll(bytes)
      const headers = raw.headersOf(message)
      const payload = Buffer.from(message?.body ?? [])
      const kind = headers[":message-type"]
      if (kind === "error") messages.push(`error ${headers[":error-code"]}`)
      else if (headers[":event-type"] === "PayloadPart") {
        parts++
        held = Buffer.concat([held, payload])
        if (headers["CompletionState"] === "PARTIAL") continue
        messages.push(typeOf(held.toString()))
        held = Buffer.alloc(0)
      } else messages.push(`${kind} ${headers[`:${kind}-type`]} ${payload.toString()}`)
    } catch (error) {
      messages.push(String(error))
    }
  }
  return { messages, parts }
}

/** All that came on the only stream, in order; Updates, which come and go with the audio, are left out. */
const story = ({ frames }: h2.Connection): Array<string> => {
  const tale = h2.told(frames).filter((what) => !what.startsWith("DATA"))
  const end = frames.some(({ flags, type }) => type === h2.type.data && (flags & h2.endStream) !== 0)
  const messages = read(h2.bodyOf(frames)).messages.filter((what) => what !== "Update")
  return [...tale.slice(0, 1), ...messages, ...tale.slice(1), ...(end ? ["END_STREAM"] : [])]
}

const isOver = ({ flags, type }: h2.Frame): boolean =>
  type === h2.type.rstStream || (type === h2.type.data && (flags & h2.endStream) !== 0)

/** Until what was left of all sessions so far has been decoded: that of a later one has. */
const decoded = Effect.gen(function*() {
  const client = yield* dial(yield* simulator([]))
  client.write(closeStream)
  yield* Effect.promise(() => client.seen(isOver))
})

/** The only session of a server, whose faults are told by name. */
const only = (server: Server): Effect.Effect<SessionRecord & { readonly names: ReadonlyArray<string> }> =>
  Effect.map(server.ledger, (records) => {
    assert.lengthOf(records, 1)
    const [record] = records
    return record === undefined ? assert.fail() : { ...record, names: record.faults.map(({ fault }) => fault) }
  })

const head = ["HEADERS", "Connected"]
const modelStreamError = `{"Message":"An error occurred while streaming the inference response"}`

describe("a fault on the wire, in a running session", () => {
  it.effect.each<readonly [fault: Fault, story: ReadonlyArray<string>]>([
    [{ fault: "model-stream-error" }, ["HEADERS", "Connected", `exception ModelStreamError ${modelStreamError}`, "END_STREAM"]],
    [{ fault: "model-stream-error", turn: 0, as: "event", errorCode: "StreamBroken" }, [
      ...head,
      "StartOfTurn",
      `event ModelStreamError ${modelStreamError.replace("}", `,"ErrorCode":"StreamBroken"}`)}`,
      "END_STREAM"
    ]],
    [{ fault: "flux-error", turn: 0, after: 0.2 }, [...head, "StartOfTurn", "Error INTERNAL_SERVER_ERROR", "END_STREAM"]],
    [{ fault: "error-frame" }, [...head, "error InternalFailure", "END_STREAM"]],
    [{ fault: "end", turn: 0 }, [...head, "StartOfTurn", "END_STREAM"]],
    [{ fault: "end", at: "close" }, [...head, "StartOfTurn", "END_STREAM"]],
    [{ fault: "reset", turn: 0 }, [...head, "StartOfTurn", "RST_STREAM 2"]],
    [{ fault: "reset", at: "end", code: 7 }, [...head, "StartOfTurn", "RST_STREAM 7"]],
    [{ fault: "go-away", turn: 0, code: 11 }, [...head, "StartOfTurn", "GOAWAY 11"]],
    [{ fault: "drop-socket", turn: 0 }, [...head, "StartOfTurn"]]
  ])("%j", ([fault, expected]) =>
    Effect.gen(function*() {
      const server = yield* simulator([fault])
      const client = yield* dial(server)
      client.write(...speech.slice(0, 15), closeStream)
      yield* Effect.promise(() => Promise.race([client.closed, client.seen(isOver)]))
      assert.deepStrictEqual(story(client), expected)
      const { ending, names } = yield* only(server)
      assert.deepStrictEqual([ending, names], ["fault", [fault.fault]])
      assert.strictEqual(yield* server.sessions, 0)
    }))

  it.effect("breaks come after all that was said over TLS too", () =>
    Effect.gen(function*() {
      // a certificate that holds now
      yield* TestClock.setTime(yield* TestClock.withLive(Clock.currentTimeMillis))
      for (
        const [fault, end] of [
          [{ fault: "reset", turn: 0 }, ["RST_STREAM 2"]],
          [{ fault: "go-away", turn: 0, code: 11 }, ["GOAWAY 11"]],
          [{ fault: "drop-socket", turn: 0 }, []]
        ] as const
      ) {
        const server = yield* simulator([fault], { tls: true })
        const client = yield* dial(server)
        client.write(...speech.slice(0, 15), closeStream)
        yield* Effect.promise(() => Promise.race([client.closed, client.seen(isOver)]))
        assert.deepStrictEqual(story(client), [...head, "StartOfTurn", ...end])
      }
    }))

  it.effect.each<readonly [name: "throttle" | "internal-stream-failure", exception: string]>([
    ["throttle", "ThrottlingException"],
    ["internal-stream-failure", "InternalStreamFailure"]
  ])("%s", ([name, exception]) =>
    Effect.gen(function*() {
      const client = yield* dial(yield* simulator([{ fault: name, at: 0 }]))
      yield* Effect.promise(() => client.seen(isOver))
      const [, , failure, end] = story(client)
      assert.match(failure ?? "", new RegExp(`^exception ${exception} \\{"Message":`))
      assert.strictEqual(end, "END_STREAM")
    }))

  it.effect("at a sample: what the audio up to there brings is said, and nothing after", () =>
    Effect.gen(function*() {
      const whole = yield* dial(yield* simulator([]))
      whole.write(...speech)
      yield* whole.roundTrip
      const texts = ({ frames }: h2.Connection) => raw.textsOf(raw.decodeAll(h2.bodyOf(frames))).slice(1)
      const windowEnd = (text: string): number => JSON.parse(text).audio_window_end
      for (const at of [0.64, 0.719_937_5, 1.2]) {
        const server = yield* simulator([{ fault: "reset", at }])
        const client = yield* dial(server)
        client.write(...speech)
        yield* Effect.promise(() => client.seen(isOver))
        assert.deepStrictEqual(
          texts(client).map(windowEnd),
          texts(whole).map(windowEnd).filter((end) => end <= at)
        )
        const { faults } = yield* only(server)
        assert.deepStrictEqual(faults, [{ fault: "reset", at: 0, audioSeconds: (yield* only(server)).received.audioSeconds }])
      }
    }))

  it.effect("go-away with NO_ERROR: the stream lives on to its end", () =>
    Effect.gen(function*() {
      const client = yield* dial(yield* simulator([{ fault: "go-away" }]))
      yield* Effect.promise(() => client.seen(({ type }) => type === h2.type.goAway))
      client.write(...speech, closeStream)
      yield* Effect.promise(() => client.seen(isOver))
      assert.deepStrictEqual(story(client), [...head, "StartOfTurn", "GOAWAY 0", "END_STREAM"])
    }))

  it.effect("corrupt-crc: one frame has a wrong checksum, those before and after it are right", () =>
    Effect.gen(function*() {
      const client = yield* dial(yield* simulator([{ fault: "corrupt-crc", turn: 0 }]))
      client.write(...speech, closeStream)
      yield* Effect.promise(() => client.seen(isOver))
      const told = story(client)
      assert.match(told[3] ?? "", /message checksum/)
      assert.deepStrictEqual(told.toSpliced(3, 1), [...head, "StartOfTurn", "END_STREAM"])
    }))

  it.effect("say, omit and mute change what is said, and the stream goes on", () =>
    Effect.gen(function*() {
      const texts = Effect.fnUntraced(function*(fault: Fault) {
        const client = yield* dial(yield* simulator([fault]))
        client.write(...speech, closeStream)
        yield* client.roundTrip
        yield* decoded
        yield* client.roundTrip
        return story(client)
      })
      assert.deepStrictEqual(yield* texts({ fault: "say", text: "é{", turn: 0 }), [...head, "StartOfTurn", "é{", "END_STREAM"])
      assert.deepStrictEqual(yield* texts({ fault: "omit", event: "StartOfTurn" }), [...head, "END_STREAM"])
      assert.deepStrictEqual(yield* texts({ fault: "mute" }), head)
      assert.deepStrictEqual(yield* texts({ fault: "mute", for: 1 }), [...head, "END_STREAM"])
      assert.deepStrictEqual(yield* texts({ fault: "stay-open" }), [...head, "StartOfTurn"])
      assert.deepStrictEqual(yield* texts({ fault: "no-connected" }), ["HEADERS"])
      assert.deepStrictEqual(yield* texts({ fault: "no-headers" }), [])
    }))

  it.effect("stop-reading: the client's window runs out", () =>
    Effect.gen(function*() {
      const server = yield* simulator([{ fault: "stop-reading", turn: 0 }])
      const client = yield* dial(server)
      const minute = Array.from({ length: 750 }, () => speech[0] ?? new Uint8Array(0))
      client.write(...minute)
      for (let i = 0; i < 100; i++) yield* client.roundTrip
      // more than four seconds of a minute are never taken
      assert.isBelow(client.sent(), 4 * 32_000)
      const { names, received } = yield* only(server)
      assert.deepStrictEqual(names, ["stop-reading"])
      assert.isBelow(received.audioSeconds, 1)
    }))

  it.effect("split-parts and chop-data: the same messages, in pieces", () =>
    Effect.gen(function*() {
      const plain = yield* dial(yield* simulator([]))
      plain.write(...speech, closeStream)
      yield* Effect.promise(() => plain.seen(isOver))
      for (const faults of [[{ fault: "split-parts" }], [{ fault: "chop-data" }], [{ fault: "chop-data" }, { fault: "split-parts", bytes: 100 }]] as const) {
        const server = yield* simulator(faults)
        const client = yield* dial(server)
        client.write(...speech, closeStream)
        yield* Effect.promise(() => client.seen(isOver))
        const expected = read(h2.bodyOf(plain.frames))
        const given = read(h2.bodyOf(client.frames))
        assert.deepStrictEqual(given.messages, expected.messages)
        const size = faults.map((fault) => (fault.fault === "split-parts" ? "bytes" in fault ? fault.bytes : 7 : undefined)).find(Number)
        const parts = raw.textsOf(raw.decodeAll(h2.bodyOf(plain.frames)))
          .reduce((sum, text) => sum + (size === undefined ? 1 : Math.ceil(Buffer.byteLength(text) / size)), 0)
        assert.strictEqual(given.parts, parts)
        if (faults.some(({ fault }) => fault === "chop-data")) {
          assert.isAbove(client.frames.filter(({ type }) => type === h2.type.data).length, expected.messages.length)
        }
        assert.sameMembers([...(yield* only(server)).names], faults.map(({ fault }) => fault))
      }
    }))

  it.effect("configure-failure and configure-lost", () =>
    Effect.gen(function*() {
      const query = "model=flux-general-multi&encoding=linear16&sample_rate=16000"
      const configure = `{"type":"Configure","thresholds":{"eot_threshold":0.8}}`
      const answers: ReadonlyArray<readonly [ReadonlyArray<Fault>, ReadonlyArray<string>]> = [
        [[], ["ConfigureSuccess"]],
        [[{ fault: "configure-failure" }], ["ConfigureFailure UNPARSABLE_CLIENT_MESSAGE"]],
        [[{ fault: "configure-failure", code: "X" }], ["ConfigureFailure X"]],
        [[{ fault: "configure-lost" }], []]
      ]
      for (const [faults, answer] of answers) {
        const client = yield* dial(yield* simulator(faults), { query })
        client.write(configure, closeStream)
        yield* Effect.promise(() => client.seen(isOver))
        assert.deepStrictEqual(story(client), [...head, ...answer, "END_STREAM"])
      }
    }))
})

describe("a fault on the wire, in time", () => {
  it.effect("late-headers, late-connected and lag: nothing before its time, all of it then", () =>
    Effect.gen(function*() {
      for (
        const [fault, before] of [
          [{ fault: "late-headers", delay: 3000 }, ""],
          [{ fault: "late-connected", delay: 3000 }, "HEADERS"],
          [{ fault: "lag", delay: 3000 }, "HEADERS"]
        ] as const
      ) {
        const client = yield* dial(yield* simulator([fault]))
        // what comes early is answered when the time has come
        client.write(...speech, closeStream)
        yield* client.roundTrip
        yield* decoded
        yield* TestClock.adjust(2999)
        yield* client.roundTrip
        assert.strictEqual(story(client).join(), before)
        yield* TestClock.adjust(1)
        yield* Effect.promise(() => client.seen(isOver))
        assert.deepStrictEqual(story(client), [...head, "StartOfTurn", "END_STREAM"])
      }
    }))

  it.effect("lifetime: thirty minutes, or as told, and in every way told", () =>
    Effect.gen(function*() {
      const exception = `exception ModelStreamError ${modelStreamError}`
      const cases: ReadonlyArray<readonly [ReadonlyArray<Fault>, seconds: number, ReadonlyArray<string>]> = [
        [[], 1800, [exception, "END_STREAM"]],
        [[{ fault: "lifetime", seconds: 5 }], 5, [exception, "END_STREAM"]],
        [[{ fault: "lifetime", seconds: 5, as: "end" }], 5, ["END_STREAM"]],
        [[{ fault: "lifetime", seconds: 5, as: "reset" }], 5, ["RST_STREAM 2"]]
      ]
      for (const [faults, seconds, end] of cases) {
        const server = yield* simulator(faults)
        const client = yield* dial(server)
        yield* client.roundTrip
        yield* TestClock.adjust(seconds * 1000 - 1)
        yield* client.roundTrip
        assert.deepStrictEqual(story(client), head)
        yield* TestClock.adjust(1)
        yield* Effect.promise(() => client.seen(isOver))
        assert.deepStrictEqual(story(client), [...head, ...end])
        const { ending, endedAt, openedAt } = yield* only(server)
        assert.deepStrictEqual([ending, (endedAt ?? 0) - openedAt], ["fault", seconds * 1000])
      }
    }))

  it.effect("a held-back piece of chopped data goes out with the next tick of the Clock", () =>
    Effect.gen(function*() {
      const server = yield* simulator([{ fault: "chop-data" }])
      // Connected alone, over and over, until each of some dozen sessions has said it
      for (let i = 0; i < 20; i++) {
        const client = yield* dial(server)
        yield* client.roundTrip
        for (let ticks = 0; read(h2.bodyOf(client.frames)).messages[0] !== "Connected"; ticks++) {
          if (ticks > 1) assert.fail("Connected is held back")
          yield* TestClock.adjust(20)
          yield* client.roundTrip
          yield* client.roundTrip
        }
      }
    }))
})

describe("a fault on the wire, in place of an answer", () => {
  const answered = Effect.fnUntraced(function*(server: Server) {
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => http2.connect(server.url).on("error", () => {})),
      (session) => Effect.sync(() => session.destroy())
    )
    const headers = yield* Effect.promise(() => raw.signedHeaders())
    const exchange = raw.exchange(session, headers)
    yield* Effect.promise(() => new Promise<void>((resolve) => session.on("remoteSettings", () => resolve())))
    return { session, exchange }
  })

  it.effect.each<readonly [fault: Fault, status: number, errorType: string | undefined, body: RegExp]>([
    [{ fault: "not-found-400" }, 400, "ValidationError", /^\{"Message":"Endpoint my-flux of account 000000000000 not found\."\}$/],
    [{ fault: "reject-424" }, 424, "ModelError", /Failed to establish WebSocket connection.*"ErrorCode":"INTERNAL_FAILURE_FROM_MODEL"/],
    [{ fault: "deny-403" }, 403, "AccessDeniedException", /InvokeEndpointWithBidirectionalStream/],
    [{ fault: "expired-token-403" }, 403, "ExpiredTokenException", /^\{"message":"The security token included in the request is expired"\}$/],
    [{ fault: "throttle-400" }, 400, "ThrottlingException", /^\{"message":null\}$/],
    [{ fault: "throttle-429" }, 429, "ThrottlingException", /^\{"message":null\}$/],
    [{ fault: "error-500" }, 500, undefined, /^<html>/],
    [{ fault: "error-500", as: "html" }, 500, undefined, /^<html>/],
    [{ fault: "error-500", as: "typed", delay: 500 }, 500, "InternalServerError", /^\{"Message":"[^"]+","ErrorCode":"[A-Z_]+"\}$/],
    [{ fault: "unavailable-503", delay: 500 }, 503, "ServiceUnavailableError", /^\{"Message":"[^"]+","ErrorCode":"[A-Z_]+"\}$/],
    [{ fault: "max-streams", streams: 0 }, 424, "ModelError", /Failed to establish WebSocket connection.*"ErrorCode":"INTERNAL_FAILURE_FROM_MODEL"/]
  ])("%j", ([fault, status, errorType, body]) =>
    Effect.gen(function*() {
      const server = yield* simulator([fault])
      const { exchange, session } = yield* answered(server)
      yield* Effect.promise(() => raw.roundTrip(session))
      if ("delay" in fault && fault.delay !== undefined) {
        yield* TestClock.adjust(fault.delay - 1)
        yield* Effect.promise(() => raw.roundTrip(session))
        assert.isEmpty(yield* server.ledger.pipe(Effect.map((records) => records.filter(({ ending }) => ending !== "open"))))
        yield* TestClock.adjust(1)
      }
      const answer = yield* Effect.promise(() => exchange.answer)
      assert.strictEqual(answer.status, status)
      assert.strictEqual(answer.headers["x-amzn-errortype"], errorType)
      assert.strictEqual(answer.headers["content-type"], errorType === undefined ? "text/html" : "application/json")
      assert.match(Buffer.from(answer.body).toString(), body)
      assert.isTrue(answer.clean)
      const { ending, names } = yield* only(server)
      assert.deepStrictEqual([ending, names], ["refused", [fault.fault]])
    }))

  it.effect("max-streams: one too many is told so, and there is room again when another has ended", () =>
    Effect.gen(function*() {
      const server = yield* simulator([{ fault: "max-streams", streams: 1, as: "flux-error" }])
      const first = yield* dial(server)
      yield* first.roundTrip
      const second = yield* dial(server)
      yield* Effect.promise(() => second.seen(isOver))
      assert.deepStrictEqual(story(second), ["HEADERS", "Error INTERNAL_SERVER_ERROR", "END_STREAM"])
      first.write(closeStream)
      yield* Effect.promise(() => first.seen(isOver))
      const third = yield* dial(server)
      yield* third.roundTrip
      assert.deepStrictEqual(story(third), head)
    }))

  it.effect("accept-and-hang: a connection is taken, and nothing is said; the next one is served", () =>
    Effect.gen(function*() {
      for (const tls of [false, true]) {
        // a certificate that holds now
        yield* TestClock.setTime(yield* TestClock.withLive(Clock.currentTimeMillis))
        const server = yield* simulator([{ fault: "accept-and-hang", session: 0 }], { tls })
        const hung = net.connect(server.port, "127.0.0.1")
        const said: Array<string> = []
        hung.on("data", () => said.push("data")).on("error", () => {})
        yield* Effect.promise(() => new Promise<void>((resolve) => hung.on("connect", () => resolve())))
        hung.write(h2.preface)
        const client = yield* Effect.acquireRelease(
          Effect.promise(() => h2.connect(server.port, server.certificate)),
          ({ socket }) => Effect.sync(() => socket.destroy())
        )
        client.send(h2.preface, h2.settings())
        yield* Effect.promise(() => client.seen(({ type }) => type === h2.type.settings))
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(said, [])
        assert.isFalse(hung.destroyed)
        // rudely, which the server sees as an error
        hung.resetAndDestroy()
        const last = yield* Effect.promise(() => h2.connect(server.port, server.certificate))
        last.send(h2.preface, h2.settings())
        yield* Effect.promise(() => last.seen(({ type }) => type === h2.type.settings))
        last.socket.destroy()
      }
    }))
})
