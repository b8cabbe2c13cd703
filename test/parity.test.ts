/** What Pipecat's service offers, row by row, as the README tells it: every row is true. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EagerReply from "../src/EagerReply.ts"
import * as FakeTransport from "../src/FakeTransport.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import type { FluxTransport } from "../src/FluxTransport.ts"
import * as Observability from "../src/Observability.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { credentials } from "./support/rawClient.ts"
import { entries, fork, once, reasonOf } from "./support/session.ts"
import { draw } from "./support/sound.ts"
import { connected, turnInfo } from "./support/wire.ts"

const script = Script.fromText("one two three four")
const spoken = draw("vvvvvvvv..............")
const layered = <A, E>(transport: Layer.Layer<A | FluxTransport, E>, settings: FluxSettings.SettingsPatch = {}) =>
  Transcriber.layer.pipe(Layer.provideMerge(transport), Layer.provideMerge(FluxSettings.layer(settings)))
const on = (options: FakeTransport.Options = {}, settings: FluxSettings.SettingsPatch = {}) =>
  Effect.provide(layered(FakeTransport.layer({ script, ...options }), settings))
const queries = Effect.map(entries, (all) => all.flatMap(({ detail, what }) => (what === "open" ? [detail] : [])))
const call = (options: Transcriber.CallOptions = {}, audio = spoken) =>
  Stream.runCollect(Stream.make(audio).pipe(Transcriber.transcribe({ id: "call", ...options })))
const the = <T extends FluxEvent["type"]>(events: ReadonlyArray<FluxEvent>, type: T): Extract<FluxEvent, { readonly type: T }> => {
  const isIt = (event: FluxEvent): event is Extract<FluxEvent, { readonly type: T }> => event.type === type
  return events.find(isIt) ?? assert.fail(`no ${type}`)
}
/** A server that says these when it hears audio. */
const saying = (...messages: ReadonlyArray<string>): Layer.Layer<FluxTransport | FakeTransport.FakeTransport> =>
  FakeTransport.layerPeer(() => ({
    opened: (server) => server.say(connected),
    received: (frame, server) => frame.dataType === "UTF8" ? server.end : Effect.forEach(messages, server.say, { discard: true })
  }))

interface Row {
  readonly pipecat: string
  readonly here: string
  readonly holds: Effect.Effect<void, unknown>
}

const rows: ReadonlyArray<Row> = [
  {
    pipecat: "`endpoint_name`, `region`",
    here: "`SageMakerTransport.layer({ endpointName, region })`, or `FLUX_ENDPOINT_NAME`, `AWS_REGION`",
    holds: Effect.scoped(Effect.gen(function*() {
      const simulator = yield* SimulatorServer.make({ script })
      yield* call().pipe(Effect.provide(layered(SageMakerTransport.layer({
        endpointName: "my-flux",
        region: "us-east-2",
        endpointUrl: simulator.url,
        credentials
      }))))
      const [record] = yield* simulator.ledger
      assert.strictEqual(record?.endpoint, "my-flux")
    })).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  },
  {
    pipecat: "`encoding`, `sample_rate`, `mip_opt_out`, `tag`",
    here: "settings `encoding`, `sampleRate`, `mipOptOut`, `tag`",
    holds: Effect.gen(function*() {
      yield* call({ settings: { encoding: "mulaw", sampleRate: 8000, mipOptOut: true, tag: ["a", "b c"] } })
      assert.deepStrictEqual(yield* queries, [
        "model=flux-general-en&encoding=mulaw&sample_rate=8000&mip_opt_out=true&tag=a&tag=b%20c"
      ])
    }).pipe(on())
  },
  {
    pipecat: "`Settings(model, eot_threshold, eager_eot_threshold, eot_timeout_ms, keyterm, language_hints)`",
    here: "the same names in camel case: defaults < `FluxSettings` (code, or `FLUX_*`) < per call",
    holds: Effect.gen(function*() {
      yield* call({ settings: { eotThreshold: 0.8, languageHints: ["de-CH", "en-US", "en"] } })
      assert.deepStrictEqual(yield* queries, [
        "model=flux-general-multi&encoding=linear16&sample_rate=16000&eot_threshold=0.8&eager_eot_threshold=0.5" +
        "&eot_timeout_ms=3000&keyterm=customer%20service&keyterm=SageMaker&language_hint=de&language_hint=en"
      ])
    }).pipe(
      Effect.provide(Transcriber.layer.pipe(
        Layer.provideMerge(FakeTransport.layer({ script })),
        Layer.provide(FluxSettings.layerConfig()),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
          FLUX_MODEL: "flux-general-multi",
          FLUX_EOT_THRESHOLD: "0.6",
          FLUX_EAGER_EOT_THRESHOLD: "0.5",
          FLUX_EOT_TIMEOUT_MS: "3000",
          FLUX_KEYTERM: "customer service,SageMaker"
        })))
      ))
    )
  },
  {
    pipecat: "`numerals`, `profanity_filter` and `redact` of `Settings`",
    here: "settings `numerals`, `profanityFilter`, `redact`, where the endpoint has them; a change of `numerals` is a `Configure`, of the others another session",
    holds: Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open({ settings: { numerals: true, profanityFilter: true, redact: "numbers" } })
      assert.strictEqual(yield* conversation.update({ numerals: false }), "configured")
      // another session takes over
      const change = yield* fork(conversation.update({ profanityFilter: false }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(change), "rotated")
      const query = "model=flux-general-en&encoding=linear16&sample_rate=16000"
      assert.deepStrictEqual(yield* queries, [
        `${query}&numerals=true&profanity_filter=true&redact=numbers`,
        `${query}&redact=numbers`
      ])
    }).pipe(on({ profile: "hosted-2026-09" }), Effect.scoped)
  },
  {
    pipecat: "`language` of a transcription",
    here: "`language` and `languages` of every turn event; `en` for flux-general-en, none where Flux says none",
    holds: Effect.gen(function*() {
      const language = (model: "flux-general-en" | "flux-general-multi", languages?: ReadonlyArray<string>) =>
        Effect.map(
          call({ settings: { model } }).pipe(Effect.provide(layered(saying(
            turnInfo({ event: "StartOfTurn", transcript: "a", extra: languages === undefined ? {} : { languages } })
          )))),
          (events) => the(events, "StartOfTurn").language
        )
      assert.strictEqual(yield* language("flux-general-en"), "en")
      assert.strictEqual(yield* language("flux-general-multi", ["fr", "en"]), "fr")
      assert.isUndefined(yield* language("flux-general-multi", []))
      assert.isUndefined(yield* language("flux-general-multi"))
    })
  },
  {
    pipecat: "`min_confidence`",
    here: "setting `minConfidence`, over the mean of the words (`averageConfidence`); a turn under it still ends, with `accepted: false`",
    holds: Effect.gen(function*() {
      const said = saying(turnInfo({
        event: "EndOfTurn",
        transcript: "a b",
        extra: { words: [{ word: "a", confidence: 0.5 }, { word: "b", confidence: 0.7 }] }
      }))
      const end = (minConfidence: number) =>
        Effect.map(call({ settings: { minConfidence } }).pipe(Effect.provide(layered(said))), (events) => the(events, "EndOfTurn"))
      const accepted = yield* end(0.59)
      assert.closeTo(accepted.averageConfidence ?? 0, 0.6, 1e-9)
      assert.isTrue(accepted.accepted)
      assert.deepInclude(yield* end(0.61), { accepted: false, ending: "confirmed", transcript: "a b" })
    })
  },
  {
    pipecat: "`should_interrupt`",
    here: "setting `shouldInterrupt`; `interrupts` of `StartOfTurn`",
    holds: Effect.gen(function*() {
      assert.isTrue(the(yield* call(), "StartOfTurn").interrupts)
      assert.isFalse(the(yield* call({ settings: { shouldInterrupt: false } }), "StartOfTurn").interrupts)
    }).pipe(on())
  },
  {
    pipecat: "`on_connected`, `on_disconnected`",
    here: "`Connected`, `Disconnected`; connecting does not wait for audio",
    holds: Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      const seen: Array<string> = []
      yield* fork(Stream.runForEach(conversation.events, ({ type }) => Effect.sync(() => void seen.push(type))))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(seen, ["Connected"])
      assert.strictEqual(yield* conversation.status, "ready")
      yield* conversation.finish
      assert.deepStrictEqual(seen, ["Connected", "Disconnected"])
    }).pipe(on(), Effect.scoped)
  },
  {
    pipecat: "`on_connection_error`, `push_error`",
    here: "one `FluxError` with a `reason`, a stage, a request id and a hint, in `events`, `send` and `finish`",
    holds: Effect.gen(function*() {
      const error = yield* Effect.flip(call({ retry: once }))
      assert.strictEqual(error.reason._tag, "Rejected")
      assert.strictEqual(error.stage, "open")
      assert.match(error.hint, /CloudWatch/)
    }).pipe(on({ faults: [{ fault: "reject-424" }] }))
  },
  {
    pipecat: "`on_start_of_turn`, `on_update`, `on_eager_end_of_turn`, `on_turn_resumed`, `on_end_of_turn`",
    here: "`StartOfTurn`, `Update`, `EagerEndOfTurn`, `TurnResumed`, `EndOfTurn`, numbered, in strict alternation",
    holds: Effect.gen(function*() {
      // a pause of 0.4 s is over 0.35 and under 0.7; at 0.56 and 0.64 s of the last one there are Updates
      const events = yield* call({ settings: { eagerEotThreshold: 0.35 } }, draw("vvvvvvvv.....vvvvvvvv.............."))
      const order = events.flatMap(({ type }, at) => (type === events[at - 1]?.type ? [] : [type]))
      assert.deepStrictEqual(order, [
        "Connected", "StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "Update", "EagerEndOfTurn", "Update", "EndOfTurn", "Disconnected"
      ])
      const end = the(events, "EndOfTurn")
      assert.deepInclude(end, { turn: 0, transcript: "one two three four", ending: "confirmed", accepted: true, language: "en" })
      assert.strictEqual(end.words.length, 4)
    }).pipe(on())
  },
  {
    pipecat: "`enable_eager_end_of_turn`, `eager_eot_threshold`",
    here: "`EagerReply.reply` over the events, with setting `eagerEotThreshold`: a draft that is spoken at the end of the turn, or dropped",
    holds: Effect.gen(function*() {
      const [said, became]: [Array<string>, Array<string>] = [[], []]
      // 0.4 s of silence are over 0.35, and are taken back; 0.72 s are the end
      yield* Stream.make(draw("vvvvvvvv.....vvvvvvvv..............")).pipe(
        Transcriber.transcribe({ settings: { eagerEotThreshold: 0.35 } }),
        EagerReply.reply({
          draft: ({ transcript }) => Effect.succeed(`re: ${transcript}`),
          speak: (text) => Effect.sync(() => void said.push(text))
        }),
        Stream.runForEach(({ type }) => Effect.sync(() => void became.push(type)))
      )
      assert.deepStrictEqual(said, ["re: one two three four"])
      assert.deepStrictEqual(became, ["Drafted", "Discarded", "Drafted", "Spoken"])
    }).pipe(on())
  },
  {
    pipecat: "`run_stt(audio)`, which drops audio before it is connected",
    here: "`send(pcm)`, `offerUnsafe(pcm)`; audio before `Connected` is kept, in order",
    holds: Effect.gen(function*() {
      const fiber = yield* fork(call({ settings: { catchUpSpeed: 1_000_000 } }))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(the(yield* Fiber.join(fiber), "EndOfTurn").transcript, "one two three four")
    }).pipe(on({ faults: [{ fault: "late-connected", delay: 4000 }] }))
  },
  {
    pipecat: "the watchdog's silence",
    here: "the same, in real time, adaptive to the chunk as offered, capped, and told apart in `usage`",
    holds: Effect.gen(function*() {
      const fiber = yield* fork(Stream.runCollect(
        Stream.concat(Stream.make(draw("vvvvvvvv")), Stream.fromEffectDrain(Effect.sleep("10 seconds"))).pipe(Transcriber.transcribe())
      ))
      yield* TestClock.adjust("10 seconds")
      const end = the(yield* Fiber.join(fiber), "EndOfTurn")
      assert.deepInclude(end, { ending: "confirmed" })
      assert.deepStrictEqual(end.usage, { audioSeconds: 0.64, injectedSeconds: 0.72 })
    }).pipe(on())
  },
  {
    pipecat: "settings updates while running (`Configure`; of a refusal it reads the code from the wrong field)",
    here: "`conversation.update(patch)`, `FluxSettings.update(patch)`; `SettingsApplied`, `SettingsRejected` with `code` and `description`",
    holds: Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      assert.strictEqual(yield* conversation.update({ eotThreshold: 0.8 }), "configured")
      const sent = (yield* entries).flatMap(({ detail, what }) => (what === "text" ? [JSON.parse(detail)] : []))
      assert.deepStrictEqual(sent, [{ type: "Configure", thresholds: { eot_threshold: 0.8 } }])
    }).pipe(on({ profile: "hosted-2026-09" }), Effect.scoped)
  },
  {
    pipecat: "Flux's `Error`",
    here: "`FluxFatal` with `code` and `description`",
    holds: Effect.gen(function*() {
      const exit = yield* Effect.exit(call({ retry: once }))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(reasonOf(exit), { _tag: "FluxFatal", code: "INTERNAL_SERVER_ERROR", description: "oh dear" })
    }).pipe(Effect.provide(layered(saying(
      JSON.stringify({ type: "Error", sequence_id: 1, code: "INTERNAL_SERVER_ERROR", description: "oh dear" })
    ))))
  },
  {
    pipecat: "the close, which cancels its reader right after `CloseStream` and loses the tail",
    here: "`finish`: `CloseStream`, the tail, the open turn's last words as `closed`, then the body's end",
    holds: Effect.gen(function*() {
      const events = yield* call({}, draw("vvvvvvvv"))
      assert.deepInclude(the(events, "EndOfTurn"), { ending: "closed", transcript: "one two" })
      assert.deepStrictEqual((yield* entries).flatMap(({ what }) => (what === "audio" ? [] : [what])), ["open", "text", "end", "disconnect"])
    }).pipe(on())
  },
  {
    pipecat: "usage metrics",
    here: "`usage` of `EndOfTurn` and `Disconnected`: seconds of audio, injected silence apart; their sum is what was sent",
    holds: Effect.gen(function*() {
      const events = yield* call({}, draw("vvvvvvvv.............."))
      assert.deepStrictEqual(the(events, "EndOfTurn").usage, { audioSeconds: 1.36, injectedSeconds: 0 })
      assert.deepStrictEqual(the(events, "Disconnected").usage, { audioSeconds: 0.4, injectedSeconds: 0 })
    }).pipe(on())
  },
  {
    pipecat: "processing metrics, tracing (`@traced_stt`)",
    here: "metrics and spans of Effect, over OTLP with `Observability.layerConfig`",
    holds: Effect.gen(function*() {
      yield* call()
      const metrics = yield* Metric.snapshot
      const spoken = metrics.find(({ attributes, id }) => id === Observability.metricNames.audioSeconds && attributes?.["injected"] === "false")
      assert.closeTo(spoken?.type === "Counter" ? Number(spoken.state.count) : 0, 22 * 0.08, 1e-6)
    }).pipe(on(), Effect.provideService(Metric.MetricRegistry, new Map()))
  },
  {
    pipecat: "muting (`STTMuteFilter`)",
    here: "`conversation.setMuted(true)`: silence while a turn is open, then keep-alive only",
    holds: Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open()
      yield* conversation.setMuted(true)
      yield* conversation.send(spoken)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual((yield* entries).map(({ detail, what }) => [what, what === "audio" ? detail : ""]), [["open", ""], ["audio", "2"]])
    }).pipe(on(), Effect.scoped)
  }
]

describe("what Pipecat's service offers", () => {
  for (const { holds, pipecat } of rows) it.effect(pipecat, () => holds)

  it("stands in the README as it is tested", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    const section = /### From Pipecat\n([^]*?)\n##/.exec(readme)?.[1] ?? ""
    const shown = section.split("\n").flatMap((line) => {
      const [, pipecat, here] = /^\| (.*) \| (.*) \|$/.exec(line) ?? []
      return pipecat === undefined || pipecat === "Pipecat" ? [] : [[pipecat, here]]
    })
    assert.deepStrictEqual(shown, rows.map(({ here, pipecat }) => [pipecat, here]))
  })
})
