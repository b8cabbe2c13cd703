/** What an operator sees: metrics, spans and logs, what they say, and what they never say. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { createServer } from "node:http"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as FluxTransport from "../src/FluxTransport.ts"
import * as Observability from "../src/Observability.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import type * as Fault from "../src/simulator/Fault.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import * as faultTable from "./support/faultTable.ts"
import { credentials } from "./support/rawClient.ts"
import * as recorder from "./support/recorder.ts"
import { fork, once } from "./support/session.ts"
import { cut, draw } from "./support/sound.ts"
import { connected, turnInfo } from "./support/wire.ts"

const script = Script.fromText("good morning\nhow are you today")
const flux = (options: FakeTransport.Options = { script }, settings: FluxSettings.SettingsPatch = {}) =>
  Transcriber.layer.pipe(Layer.provideMerge(FakeTransport.layer(options)), Layer.provide(FluxSettings.layer(settings)))
const peer = (peer: FakeTransport.Peer, settings: FluxSettings.SettingsPatch = {}) =>
  Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layerPeer(() => peer)),
    Layer.provide(FluxSettings.layer(settings))
  )

/** Under the eyes of a recorder. */
const within = <A, E>(seen: ReturnType<typeof recorder.make>, layer: Layer.Layer<A, E>) =>
  Effect.provide(Layer.provideMerge(layer, seen.layer))

/** Two turns, of 8 and 16 voiced frames of 80 ms, with 15 silent ones after each. */
const call = draw("vvvvvvvv............... vvvvvvvvvvvvvvvv...............")
const callFrames = 8 + 15 + 16 + 15

/** Opens a conversation that somebody listens to. */
const open = Effect.fnUntraced(function*(options?: Transcriber.CallOptions) {
  const conversation = yield* (yield* Transcriber.Transcriber).open({ retry: once, ...options })
  yield* fork(Effect.ignore(Stream.runDrain(conversation.events)))
  return conversation
})
/** Speaks in frames, at the pace of speech. */
const speak = (conversation: Transcriber.Conversation, pcm: Uint8Array) =>
  Effect.forEach(cut(pcm, [2560]), (frame) => Effect.andThen(conversation.send(frame), TestClock.adjust("80 millis")), {
    discard: true
  })
/** Lets time pass until an effect is done. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* fork(effect)
    yield* TestClock.adjust("60 seconds")
    return yield* Fiber.join(fiber)
  })
const transcribed = (audio: Stream.Stream<Uint8Array>, options?: Transcriber.CallOptions) =>
  Effect.exit(Stream.runDrain(Transcriber.transcribe(audio, { retry: once, ...options })))

const histogram = (state: unknown) => {
  if (typeof state !== "object" || state === null || !("count" in state) || !("sum" in state)) return assert.fail("no histogram")
  return { count: state.count, sum: Math.round(Number(state.sum) * 1e6) / 1e6 }
}
const counter = (state: unknown): number =>
  typeof state === "object" && state !== null && "count" in state ? Math.round(Number(state.count) * 1e6) / 1e6 : 0

describe("metrics", () => {
  it.effect("of a call are what its script makes them", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      const conversation = yield* open()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* seen.metrics)["flux.sessions.open"], { value: 1 })
      yield* speak(conversation, call)
      yield* inTime(conversation.finish)
      const [session] = yield* (yield* FakeTransport.FakeTransport).ledger
      const { Connected, EndOfTurn = 0, StartOfTurn = 0, Update = 0 } = session?.sent.messages ?? {}
      assert.deepStrictEqual([Connected, StartOfTurn, EndOfTurn], [1, 2, 2])

      const metrics = yield* seen.metrics
      assert.deepStrictEqual(histogram(metrics["flux.connect.duration|open"]), { count: 1, sum: 0.2 })
      assert.deepStrictEqual(histogram(metrics["flux.connect.duration|connected"]), { count: 1, sum: 0.4 + 0.3 })
      // the frame that ends a turn is answered 300 ms after it was sent
      assert.deepStrictEqual(histogram(metrics["flux.turn.latency"]), { count: 2, sum: 2 * 0.3 })
      assert.strictEqual(counter(metrics["flux.audio.seconds|false"]), callFrames * 0.08)
      assert.strictEqual(counter(metrics["flux.audio.seconds|true"]), 0)
      for (const [type, count] of Object.entries({ Connected: 1, StartOfTurn, EndOfTurn, Update })) {
        assert.strictEqual(counter(metrics[`flux.messages|${type}`]), count, type)
      }
      assert.strictEqual(histogram(metrics["flux.behind.seconds"]).count, StartOfTurn + EndOfTurn + Update)
      // within 300 ms three more frames are sent
      assert.closeTo(Object(metrics["flux.behind.seconds"]).max, 3 * 0.08, 1e-9)
      assert.deepStrictEqual(metrics["flux.sessions.open"], { value: 0 })
      assert.deepStrictEqual(Object.keys(metrics).filter((name) => name.startsWith("flux.errors")), [])
    }).pipe(
      within(seen, flux({
        script,
        faults: [
          { fault: "late-headers", delay: 200 },
          { fault: "late-connected", delay: 400 },
          { fault: "lag", delay: 300 }
        ]
      }))
    )
  })

  it.effect("tell silence of this client apart, and the latency of a turn by the audio that ended it", () => {
    const seen = recorder.make()
    let frames = 0
    const server: FakeTransport.Peer = {
      opened: (server) => server.say(connected),
      received: (frame, server) => {
        if (frame.dataType === "UTF8") return server.end
        frames += 1
        const event = frames === 5 ? "EndOfTurn" : frames < 5 ? "Update" : undefined
        return event === undefined
          ? Effect.void
          : Effect.forkDetach(Effect.delay(
            server.say(turnInfo({ event, transcript: "hello", end: Math.min(frames, 4) * 0.08 })),
            event === "EndOfTurn" ? 250 : 0
          ))
      }
    }
    return Effect.gen(function*() {
      const conversation = yield* open()
      yield* TestClock.adjust("100 millis")
      yield* conversation.send(new Uint8Array(2560).fill(0x11))
      yield* TestClock.adjust("40 millis")
      // silence at once, and every 80 ms: the fourth frame of all is sent 160 ms after the second
      yield* conversation.setMuted(true)
      yield* TestClock.adjust("10 seconds")
      const metrics = yield* seen.metrics
      assert.deepStrictEqual(histogram(metrics["flux.turn.latency"]), { count: 1, sum: 0.08 + 0.25 })
      const turn = seen.spans().find(({ name }) => name === "flux.turn")
      assert.closeTo(Number(turn?.attributes["flux.turn.latency"]), 0.33, 1e-9)
      yield* inTime(conversation.finish)
      const after = yield* seen.metrics
      assert.strictEqual(counter(after["flux.audio.seconds|false"]), 0.08)
      assert.isAtLeast(counter(after["flux.audio.seconds|true"]), 4 * 0.08)
    }).pipe(within(seen, peer(server)))
  })

  it.effect("tell what waits while nothing comes in", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      const conversation = yield* open({ settings: { catchUpSpeed: 1_000_000 } })
      yield* conversation.send(call)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* seen.metrics)["flux.outbox.bytes"], { value: callFrames * 2560 })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* seen.metrics)["flux.outbox.bytes"], { value: 0 })
    }).pipe(within(seen, flux({ script, faults: [{ fault: "late-headers", delay: 2500 }] })))
  })

  it.effect("tell what was sent to a Flux that says nothing", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      const conversation = yield* open()
      yield* speak(conversation, draw(".".repeat(50)))
      // of 4 s all but the last second at the most
      assert.isAtLeast(counter((yield* seen.metrics)["flux.audio.seconds|false"]), 3)
    }).pipe(within(seen, peer({ opened: (server) => server.say(connected) })))
  })

  for (const row of faultTable.rows) {
    it.effect(`gauges are at 0, errors counted and spans ended after ${row.flag}`, () => {
      const seen = recorder.make()
      return Effect.gen(function*() {
        yield* inTime(faultTable.run(row))
        const metrics = yield* seen.metrics
        assert.strictEqual(Object(metrics["flux.sessions.open"] ?? { value: 0 }).value, 0)
        assert.deepStrictEqual(metrics["flux.outbox.bytes"], { value: 0 })
        assert.deepStrictEqual(
          Object.entries(metrics).filter(([name]) => name.startsWith("flux.errors")).map(([name, state]) => [name, counter(state)]),
          row.error === undefined ? [] : [[`flux.errors|${row.error[0]}`, 1]]
        )
        assert.deepStrictEqual(seen.spans().filter(({ status }) => status === "open"), [])
        const failed = seen.spans().filter(({ name }) => name === "flux.session").map(({ attributes }) => attributes["error.type"])
        assert.deepStrictEqual(failed, [row.error?.[0]])
      }).pipe(
        within(seen, flux({ script: faultTable.script, faults: [faultTable.faultOf(row)] }))
      )
    })
  }

  it.effect("have units and no ids", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      for (const id of ["call-one", "call-two"]) yield* inTime(transcribed(Stream.make(call), { id }))
      const all = yield* seen.metricAttributes
      assert.deepStrictEqual(
        Object.fromEntries(all.map((metric) => [metric.id, "unit" in metric ? metric.unit : undefined])),
        {
          "flux.sessions.open": "{session}",
          "flux.connect.duration": "s",
          "flux.turn.latency": "s",
          "flux.audio.seconds": "s",
          "flux.messages": "{message}",
          "flux.outbox.bytes": "By",
          "flux.behind.seconds": "s"
        }
      )
      const keys = new Set(all.flatMap((metric) => Object.keys(metric)))
      assert.deepStrictEqual([...keys].toSorted(), ["id", "injected", "stage", "type", "unit"])
      const names: ReadonlyArray<string> = Object.values(Observability.metricNames)
      assert.isTrue(all.every(({ id }) => names.includes(id)))
    }).pipe(within(seen, flux()))
  })
})

describe("spans", () => {
  const genAi = {
    "gen_ai.operation.name": "speech_to_text",
    "gen_ai.provider.name": "deepgram",
    "gen_ai.request.model": "flux-general-en",
    "gen_ai.conversation.id": "c1"
  }
  const ofSession = { ...genAi, "flux.session": 0, "flux.request_id": "fake-0" }

  it.effect("of a call: the conversation, its session with the stages of connecting, its turns", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      yield* inTime(transcribed(Stream.make(call), { id: "c1" }).pipe(Effect.withSpan("caller")))
      const turn = (number: number, words: number, seconds: number) => ({
        ...ofSession,
        "flux.turn": number,
        "flux.turn.latency": 0,
        "flux.ending": "confirmed",
        "flux.accepted": true,
        "flux.language": "en",
        "flux.words": words,
        "flux.audio_seconds": seconds,
        "flux.injected_seconds": 0
      })
      const spans = seen.spans().map(({ attributes, kind, name, parent, status }) => {
        const { "flux.average_confidence": _, "flux.end_of_turn_confidence": __, ...others } = attributes
        return { name, parent, kind, status, attributes: others }
      })
      const ok = { kind: "internal", status: "ok" } as const
      assert.deepStrictEqual(spans, [
        { name: "caller", parent: undefined, ...ok, attributes: {} },
        { name: "flux.conversation", parent: "caller", ...ok, attributes: genAi },
        { name: "flux.session", parent: "flux.conversation", kind: "client", status: "ok", attributes: { ...ofSession, "flux.variant": "simulator" } },
        { name: "flux.connect.open", parent: "flux.session", ...ok, attributes: ofSession },
        { name: "flux.connect.connected", parent: "flux.session", ...ok, attributes: ofSession },
        // each turn ends with its ninth silent frame
        { name: "flux.turn", parent: "flux.conversation", ...ok, attributes: turn(0, 2, 1.36) },
        { name: "flux.turn", parent: "flux.conversation", ...ok, attributes: turn(1, 4, 2.48) }
      ])
    }).pipe(within(seen, flux()))
  })

  it.effect("are as many however many chunks there are", () =>
    Effect.gen(function*() {
      const counts: Array<number> = []
      for (const size of [64, 2560, 100_000]) {
        const seen = recorder.make()
        yield* inTime(transcribed(Stream.fromIterable(cut(call, [size])))).pipe(within(seen, flux()))
        counts.push(seen.spans().length)
      }
      assert.deepStrictEqual(counts, [6, 6, 6])
    }))

  it.effect("of a call that breaks in mid-turn say so, and so does the log", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      yield* inTime(transcribed(Stream.concat(Stream.make(call), Stream.never), { id: "c1" }))
      const spans = seen.spans()
      const [conversation, session] = ["flux.conversation", "flux.session"].map((of) => spans.find(({ name }) => name === of))
      assert.match(session?.status ?? "", /^The model's stream failed/)
      assert.strictEqual(conversation?.status, session?.status)
      assert.deepInclude(session?.attributes, { ...ofSession, "error.type": "ModelStreamError", "flux.stage": "streaming" })
      const turns = spans.filter(({ name }) => name === "flux.turn")
      assert.deepStrictEqual(turns.map(({ status }) => status), ["ok", "The turn was lost with its session"])
      assert.deepInclude(turns[1]?.attributes, { ...ofSession, "flux.turn": 1, "flux.ending": "lost", "error.type": "lost" })

      const about = { conversation: "c1", session: 0, requestId: "fake-0" }
      const [connected, failed, gone] = seen.logs()
      assert.deepInclude(connected, { level: "DEBUG", message: "Connected to Flux", annotations: { ...about, variant: "simulator" } })
      assert.deepInclude(failed, { level: "INFO", message: "The session with Flux failed" })
      assert.deepInclude(failed?.["annotations"], { ...about, turn: 1, reason: "ModelStreamError", stage: "streaming" })
      assert.deepInclude(gone, { message: "Disconnected from Flux", annotations: about })
    }).pipe(
      within(seen, flux({ script, faults: [{ fault: "model-stream-error", turn: 1, after: 0.5 }] }))
    )
  })

  it.effect("of a call that is hung up in mid-turn end with it, and are no errors", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const conversation = yield* open()
        yield* conversation.send(draw("vvvvvvvv"))
        yield* TestClock.adjust("100 millis")
      }))
      assert.deepStrictEqual(seen.spans().map(({ name, status }) => [name, status]), [
        ["flux.conversation", "ok"],
        ["flux.session", "interrupted"],
        ["flux.connect.open", "ok"],
        ["flux.connect.connected", "ok"],
        ["flux.turn", "ok"]
      ])
      assert.strictEqual(seen.spans().at(-1)?.attributes["flux.ending"], "closed")
      const { "flux.outbox.bytes": outbox, "flux.sessions.open": sessions } = yield* seen.metrics
      assert.deepStrictEqual([sessions, outbox], [{ value: 0 }, { value: 0 }])
    }).pipe(within(seen, flux()))
  })

  it.effect("of a transport that dies: the defect is counted and told", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      yield* inTime(transcribed(Stream.make(call)))
      assert.strictEqual(counter((yield* seen.metrics)["flux.errors|Defect"]), 1)
      assert.deepInclude(seen.logs()[0]?.["annotations"], { reason: "Defect", stage: "open" })
      assert.deepStrictEqual(seen.spans().map(({ name, status }) => [name, status]), [
        ["flux.conversation", "boom"],
        ["flux.session", "boom"],
        ["flux.connect.open", "boom"]
      ])
    }).pipe(within(seen, peer({ accept: Effect.die(new Error("boom")) })))
  })
})

// --- over OTLP

interface Post {
  readonly path: string
  readonly type: string | undefined
  readonly headers: NodeJS.Dict<string | Array<string>>
  readonly body: string
}

/** A collector on a free port, and what was posted to it. */
const collector = Effect.gen(function*() {
  const posts: Array<Post> = []
  const server = createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part)).on("end", () => {
      posts.push({
        path: request.url ?? "",
        type: request.headers["content-type"],
        headers: request.headers,
        body: Buffer.concat(parts).toString("utf8")
      })
      response.setHeader("content-type", "application/json").end("{}")
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return { url: `http://127.0.0.1:${port}`, posts }
})

const fieldOf = (value: unknown, key: string): ReadonlyArray<unknown> => {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => name === key ? [inner] : fieldOf(inner, key))
}
const bodies = (posts: ReadonlyArray<Post>, path: string): ReadonlyArray<unknown> =>
  posts.filter((post) => post.path === path).map(({ body }): unknown => JSON.parse(body))
const exported = (env: Record<string, string>, layer: typeof Observability.layerConfig = Observability.layerConfig) =>
  transcribed(Stream.make(call), { id: "c1" }).pipe(
    Effect.provide(Layer.provideMerge(flux(), Layer.provide(layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

describe("layerConfig", () => {
  it.live("the program of scratch/ exports traces, metrics with units, and logs", () =>
    Effect.gen(function*() {
      const { posts, url } = yield* collector
      const program = new URL("../scratch/metrics-over-otlp.ts", import.meta.url).pathname
      const output = yield* Effect.callback<string>((resume) => {
        const env = {
          PATH: process.env["PATH"] ?? "",
          OTEL_EXPORTER_OTLP_ENDPOINT: url,
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
          OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b"
        }
        const child = execFile(process.execPath, [program], { env }, (error, stdout, stderr) =>
          resume(error === null ? Effect.succeed(stdout) : Effect.die(`${error.message}\n${stderr}`)))
        return Effect.sync(() => child.kill())
      })
      assert.match(output, /good: I would like to cancel \(confirmed\)/)
      assert.isTrue(posts.every(({ headers, type }) => type === "application/json" && headers["x-key"] === "a b"))

      const metrics = new Map(bodies(posts, "/v1/metrics").flatMap((body) => fieldOf(body, "metrics")).flat().map((metric) => {
        const { name, sum, unit } = Object(metric)
        return [name, [unit, sum?.isMonotonic]]
      }))
      assert.deepStrictEqual(Object.fromEntries([...metrics].filter(([name]) => String(name).startsWith("flux."))), {
        "flux.connect.duration": ["s", undefined],
        "flux.sessions.open": ["{session}", undefined],
        "flux.messages": ["{message}", true],
        "flux.behind.seconds": ["s", undefined],
        "flux.outbox.bytes": ["By", undefined],
        "flux.audio.seconds": ["s", true],
        "flux.audio.replayed": ["s", true],
        "flux.turn.latency": ["s", undefined],
        "flux.errors": ["{error}", true],
        "flux.reconnects": ["{session}", true]
      })
      const spans = bodies(posts, "/v1/traces").flatMap((body) => fieldOf(body, "spans")).flat()
      const names = new Set(spans.map((span) => Object(span).name))
      for (const name of Object.values(Observability.spanNames)) assert.isTrue(names.has(name), name)
      const failed = spans.filter((span) => Object(span).status.code === 2).map((span) => Object(span).name)
      // every session breaks, and the conversation with the last one that its schedule has
      assert.deepStrictEqual(failed.toSorted(), ["flux.conversation", ...Array.from({ length: 5 }, () => "flux.session"), "flux.turn"])
      const logs = bodies(posts, "/v1/logs").flatMap((body) => fieldOf(body, "logRecords")).flat()
      assert.deepStrictEqual([...new Set(logs.map((log) => Object(log).body.stringValue))], ["The session with Flux failed"])
      const broken = spans.filter((span) => Object(span).name === "flux.session" && Object(span).status.code === 2)
      assert.sameMembers(logs.map((log) => Object(log).spanId), broken.map((span) => Object(span).spanId))
      assert.include(JSON.stringify(logs), `{"key":"reason","value":{"stringValue":"ModelStreamError"}}`)
    }))

  it.live("exports as protobuf unless told otherwise, under a name of its own, each process apart", () =>
    Effect.gen(function*() {
      const { posts, url } = yield* collector
      yield* exported({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
      assert.deepStrictEqual(posts.map(({ path, type }) => `${path} ${type}`).toSorted(), [
        "/v1/metrics application/x-protobuf",
        "/v1/traces application/x-protobuf"
      ])
      for (const { body } of posts) {
        assert.include(body, "effect-flux-sagemaker")
        assert.match(body, /service\.instance\.id[^]*[\da-f]{8}-[\da-f]{4}/)
      }
    }))

  it.live("does as the standard variables say, and code stands over them", () =>
    Effect.gen(function*() {
      const { posts, url } = yield* collector
      const paths = () => posts.splice(0).map(({ path }) => path).toSorted()
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
      yield* exported({ ...env, OTEL_SDK_DISABLED: "true" })
      assert.deepStrictEqual(paths(), [])
      yield* exported({ ...env, OTEL_METRICS_EXPORTER: "none" })
      assert.deepStrictEqual(paths(), ["/v1/traces"])
      yield* exported({ ...env, OTEL_RESOURCE_ATTRIBUTES: "service.name=mine,service.instance.id=7" })
      const resources = bodies(posts, "/v1/traces").flatMap((body) => fieldOf(body, "resource"))
      assert.include(JSON.stringify(resources), `{"key":"service.name","value":{"stringValue":"mine"}}`)
      assert.include(JSON.stringify(resources), `{"key":"service.instance.id","value":{"stringValue":"7"}}`)
      assert.notInclude(JSON.stringify(resources), "effect-flux-sagemaker")
      posts.splice(0)

      const layer = Observability.layer({ endpoint: url, protocol: "http/json", serviceName: "mine", headers: { "x-key": "a,b" } })
      yield* exported({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_METRICS_EXPORTER: "none" }, layer)
      assert.deepStrictEqual(posts.map(({ headers, path }) => [path, headers["x-key"]]), [["/v1/traces", "a,b"]])
      assert.include(posts[0]?.body, `"stringValue":"mine"`)
    }))

  it.live("does nothing without an endpoint, and lets a call be where the collector is not there", () =>
    Effect.gen(function*() {
      for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TIMEOUT: "100" }]) {
        assert.isTrue(Exit.isSuccess(yield* exported(env)))
      }
    }))

  for (const [name, value] of [
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "no url"],
    ["OTEL_METRIC_EXPORT_INTERVAL", "often"]
  ] as const) {
    it.live(`a wrong ${name} is a ConfigError`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(exported({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", [name]: value }))
        assert.strictEqual(error._tag, "ConfigError")
        assert.include(error.message, name)
      }))
  }
})

// --- what is told to nobody (invariant 11)

const keyterm = "Zaphod Beeblebrox"
const tag = "cohort-Vogsphere-7"
const added = "Trillian McMillan"
const spoken = Script.fromText("quokkas wobble\nwombats f\u{f6}raging near Ulladulla")
const words = ["quokkas", "wobble", "wombats", "raging", "Ulladulla"]
const confidential: FluxSettings.SettingsPatch = { ...faultTable.settings, keyterm: [keyterm], tag: [tag] }
const query = FluxSettings.query({ ...FluxSettings.defaults, keyterm: [keyterm], tag: [tag] })
/** Three letters of audio in base64, whatever it is aligned to. */
const audioTexts = [0, 1, 2].map((at) => Buffer.from(call).toString("base64", at, at + 60).slice(4, 60))
const asked = ["Zaphod", "Beeblebrox", "Vogsphere", "Trillian", "McMillan", query, "keyterm=", "tag="]

const nothingOf = (secrets: ReadonlyArray<string>, text: string): void => {
  const lower = text.toLowerCase()
  assert.deepStrictEqual(secrets.filter((secret) => lower.includes(secret.toLowerCase())), [])
}
/** Makes a call and looks through all it told, and the error it failed with. */
const secretCall = (seen: ReturnType<typeof recorder.make>, audio: Stream.Stream<Uint8Array>, secrets: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const exit = yield* transcribed(audio, { settings: confidential, raw: true })
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    const text = yield* seen.text
    nothingOf([...asked, ...words, ...audioTexts, ...secrets], `${text}\n${error === undefined ? "" : recorder.textOf(error)}`)
    assert.isNotEmpty(seen.spans())
    return error
  })
const reason = (tag: FluxError.Reason["_tag"]) => (error: FluxError.FluxError | undefined) => assert.strictEqual(error?.reason._tag, tag)

describe("confidence", () => {
  it.effect("of a good call", () => {
    const seen = recorder.make()
    return inTime(secretCall(seen, Stream.make(call), [])).pipe(
      Effect.tap((error) => Effect.sync(() => assert.isUndefined(error))),
      within(seen, flux({ script: spoken }))
    )
  })

  for (const row of faultTable.rows) {
    it.effect(`of a call with ${row.flag}`, () => {
      const seen = recorder.make()
      const audio = row.hangsUp === "never" ? Stream.concat(Stream.make(call), Stream.never) : Stream.make(call)
      return inTime(secretCall(seen, audio, [])).pipe(
        within(seen, flux({ script: spoken, faults: [faultTable.faultOf(row)] }))
      )
    })
  }

  /** A server that repeats what it was asked for, in every case and spelling. */
  const gossip = `bad keyterm ${keyterm} (${keyterm.toUpperCase()}, ${encodeURIComponent(keyterm)}) or tag ${tag} in ${query}`
  /** The same of a keyterm that came later. */
  const more = `${gossip}, also ${added}`
  const reasons = (gossip: string, cause = Object.assign(new Error(gossip), { code: "EGOSSIP" })): ReadonlyArray<FluxError.Reason> => [
    new FluxError.InvalidRequest({ status: 400, detail: gossip }),
    new FluxError.Unauthorized({ status: 403, errorType: gossip, detail: gossip }),
    new FluxError.Rejected({ detail: gossip }),
    new FluxError.Throttled({ detail: gossip }),
    new FluxError.ServiceUnavailable({ status: 500, detail: gossip }),
    new FluxError.ConnectFailed({ target: "here", cause }),
    new FluxError.ConnectionLost({ detail: gossip, cause }),
    new FluxError.ModelStreamError({ errorCode: gossip, detail: gossip }),
    new FluxError.StreamFailure({ errorCode: gossip, detail: gossip }),
    new FluxError.MalformedFrame({ detail: gossip })
  ]
  const gossips: ReadonlyArray<readonly [what: string, tag: FluxError.Reason["_tag"], peer: FakeTransport.Peer]> = [
    ...reasons(gossip).map((reason) =>
      [`${reason._tag} on opening`, reason._tag, { accept: Effect.fail(FluxError.make(reason, "open")) }] as const),
    ...reasons(more).map((reason) =>
      [`${reason._tag} in mid-call`, reason._tag, {
        opened: (server: FakeTransport.Server) => Effect.andThen(server.say(connected), Effect.delay(server.fail(reason), 100))
      }] as const),
    ["Flux's Error", "FluxFatal", {
      opened: (server) =>
        Effect.andThen(
          server.say(connected),
          Effect.delay(server.say(JSON.stringify({ type: "Error", code: more, description: more })), 100)
        )
    }],
    ["Flux's Error, at length", "FluxFatal", {
      opened: (server) =>
        Effect.andThen(
          server.say(connected),
          Effect.delay(server.say(JSON.stringify({ type: "Error", code: "X", description: `${more} ${"x ".repeat(1e5)}` })), 100)
        )
    }],
    ["a Connected that cannot be read", "MalformedFrame", {
      opened: (server) => server.say(JSON.stringify({ type: "Connected", request_id: 1, sequence_id: gossip, [gossip]: gossip }))
    }],
    ["a transport that was cut within a term", "Rejected", {
      accept: Effect.fail(FluxError.make(new FluxError.Rejected({ detail: "the keyterm Zaphod Bee..." }), "open"))
    }]
  ]
  for (const [what, tag, server] of gossips) {
    it.effect(`where the server repeats what it was asked for: ${what}`, () => {
      const seen = recorder.make()
      return Effect.gen(function*() {
        const conversation = yield* (yield* Transcriber.Transcriber).open({ settings: confidential, retry: once })
        const events = yield* fork(Effect.exit(Stream.runDrain(conversation.events)))
        yield* TestClock.adjust("50 millis")
        yield* fork(Effect.ignore(conversation.update({ keyterm: [added] })))
        yield* TestClock.adjust("60 seconds")
        const error = Option.getOrUndefined(Exit.findErrorOption(yield* Fiber.join(events)))
        reason(tag)(error)
        const text = `${yield* seen.text}\n${recorder.textOf(error)}`
        nothingOf(asked, text)
        // what it says besides is still of use
        if (what.includes(" on opening") || what.includes(" in mid-call")) assert.include(error?.message, "bad keyterm ...")
        assert.isBelow(error?.message.length ?? 0, 2000)
      }).pipe(
        within(seen, Transcriber.layer.pipe(
          Layer.provide(FakeTransport.layerPeer(() => server, { capabilities: FluxTransport.profiles["hosted-2026-09"] })),
          Layer.provide(FluxSettings.layer())
        ))
      )
    })
  }

  it.effect("where a Configure is refused with its keyterm: the application is told, nobody else", () => {
    const seen = recorder.make()
    const description = `keyterm ${added} is not allowed`
    const server: FakeTransport.Peer = {
      opened: (server) => server.say(connected),
      received: (frame, server) => {
        if (frame.dataType === "BINARY") return Effect.void
        return new TextDecoder().decode(frame.bytes).includes("CloseStream")
          ? server.end
          : server.say(JSON.stringify({ type: "ConfigureFailure", request_id: "r", sequence_id: 1, code: description, description }))
      }
    }
    return Effect.gen(function*() {
      const conversation = yield* (yield* Transcriber.Transcriber).open({ settings: confidential })
      const events = yield* fork(Stream.runCollect(conversation.events))
      yield* TestClock.adjust("50 millis")
      const error = yield* inTime(Effect.flip(conversation.update({ keyterm: [added] })))
      reason("SettingsRefused")(error)
      yield* inTime(conversation.finish)
      const rejected = (yield* Fiber.join(events)).find(({ type }) => type === "SettingsRejected")
      assert.deepInclude(rejected, { description })
      nothingOf(asked, `${yield* seen.text}\n${recorder.textOf(error)}`)
    }).pipe(
      within(seen, Transcriber.layer.pipe(
        Layer.provide(FakeTransport.layerPeer(() => server, { capabilities: FluxTransport.profiles["hosted-2026-09"] })),
        Layer.provide(FluxSettings.layer())
      ))
    )
  })

  it.effect("of settings that are refused here", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      const settings = { keyterm: [keyterm.repeat(10), ""], tag: [tag.repeat(200)] }
      const error = yield* Effect.flip((yield* Transcriber.Transcriber).open({ settings }))
      reason("InvalidSettings")(error)
      nothingOf(asked, `${yield* seen.text}\n${recorder.textOf(error)}`)
    }).pipe(within(seen, flux()))
  })

  it.effect("of what the program around a conversation fails with", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      const listening = Transcriber.transcribe(Stream.make(call)).pipe(
        Stream.runForEach((event) => event.type === "EndOfTurn" ? Effect.fail(event.transcript) : Effect.void)
      )
      assert.include(yield* inTime(Effect.flip(listening)), "quokkas")
      nothingOf(words, yield* seen.text)
      assert.deepStrictEqual(seen.spans().filter(({ status }) => status === "open"), [])
    }).pipe(within(seen, flux({ script: spoken })))
  })

  it.effect("is given up where transcripts may be recorded: on the spans of turns, and nowhere else", () => {
    const seen = recorder.make()
    return Effect.gen(function*() {
      yield* inTime(transcribed(Stream.make(call), { settings: confidential }))
      const transcripts = seen.spans().map(({ attributes, name }) => [name, attributes["flux.transcript"]])
      assert.deepStrictEqual(transcripts.slice(-2), [
        ["flux.turn", "quokkas wobble"],
        ["flux.turn", "wombats f\u{f6}raging near Ulladulla"]
      ])
      nothingOf(words, JSON.stringify([seen.logs(), seen.spans().filter(({ name }) => name !== "flux.turn"), yield* seen.metrics]))
      nothingOf(asked, yield* seen.text)
    }).pipe(
      Effect.provideService(Observability.RecordTranscripts, true),
      within(seen, flux({ script: spoken }))
    )
  })

  const wireCredentials = { ...credentials, sessionToken: "IQoJb3JpZ2luX2VjEXAMPLETOKEN0123456789" }
  const ofCredentials = Object.values(wireCredentials)
  const wired = (url: string, secretAccessKey = wireCredentials.secretAccessKey) =>
    Transcriber.layer.pipe(
      Layer.provide(SageMakerTransport.layer({
        endpointName: "my-flux",
        region: "us-east-2",
        endpointUrl: url,
        credentials: { ...wireCredentials, secretAccessKey }
      })),
      Layer.provide(FluxSettings.layer())
    )
  const verifyCredentials = {
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: Redacted.make(credentials.secretAccessKey)
  }
  const fault = (flag: string): ReadonlyArray<Fault.Fault> => [faultTable.faultOf({ flag, events: [] })]
  const overTheWire: ReadonlyArray<readonly [what: string, SimulatorServer.Options, wrongSecret?: string]> = [
    ["a good call", {}],
    ["a wrong secret", {}, "wrong-secret-of-the-caller-0123456789"],
    ["a container that breaks", { faults: fault("model-stream-error,turn=1,after=0.5") }],
    ["Flux's own error", { faults: fault("flux-error,turn=1,after=0.5") }],
    ["a refusal", { faults: fault("reject-424") }]
  ]
  for (const [what, options, secret] of overTheWire) {
    it.live(`over the wire, with the simulator's log: ${what}`, () => {
      const seen = recorder.make()
      return Effect.gen(function*() {
        const server = yield* SimulatorServer.make({ script: spoken, verifyCredentials, ...options })
        const audio = what === "a good call" ? Stream.make(call) : Stream.concat(Stream.make(call), Stream.never)
        const secrets = [...ofCredentials, ...(secret === undefined ? [] : [secret])]
        const error = yield* secretCall(seen, audio, secrets).pipe(Effect.provide(wired(server.url, secret)))
        assert.strictEqual(error === undefined, what === "a good call")
        assert.isTrue(seen.spans().some(({ name, parent }) => name === "SageMakerTransport.open" && parent === "flux.connect.open"))
      }).pipe(Effect.provide(seen.layer))
    })
  }
})
