/** Settings that change in mid-call: three levels, Configure and its answers, and what no running session can change. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import { profiles } from "../../src/FluxTransport.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { chunk, entries, fork, settingsOf } from "../support/session.ts"
import { draw } from "../support/sound.ts"
import { connected, requestId } from "../support/wire.ts"

const wide = profiles["hosted-2026-09"]
const withTransport = <A, E>(transport: Layer.Layer<A, E>, settings: FluxSettings.SettingsPatch = {}) =>
  Effect.provide(Transcriber.layer.pipe(Layer.provideMerge(transport), Layer.provideMerge(FluxSettings.layer(settings))))
const simulated = (options: FakeTransport.Options = {}, settings: FluxSettings.SettingsPatch = {}) =>
  withTransport(FakeTransport.layer({ profile: "hosted-2026-09", ...options }), settings)

const Configure = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  thresholds: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite)),
  keyterms: Schema.optionalKey(Schema.Array(Schema.String)),
  language_hints: Schema.optionalKey(Schema.Array(Schema.String)),
  numerals: Schema.optionalKey(Schema.Boolean)
}))
/** The Configures that reached the server: when, and what they asked for. */
const configures = Effect.map(entries, (all) =>
  all.flatMap(({ at, detail, what }) => {
    if (what !== "text") return []
    const { type, ...rest } = Schema.decodeSync(Configure)(detail)
    return type === "Configure" ? [{ at, ...rest }] : []
  }))

const opened = (options: Transcriber.CallOptions = {}) =>
  Effect.gen(function*() {
    const transcriber = yield* Transcriber.Transcriber
    const call = yield* transcriber.open({ id: "call", ...options })
    const events: Array<FluxEvent> = []
    yield* fork(Stream.runForEach(call.events, (event) => Effect.sync(() => void events.push(event))).pipe(Effect.ignore))
    yield* TestClock.adjust(0)
    const settings = (): ReadonlyArray<FluxEvent> =>
      events.flatMap((event) => event.type.startsWith("Settings") || event.type === "Warning" ? [event] : [])
    return { call, events, settings }
  })
const applied = (...settings: ReadonlyArray<string>): FluxEvent => ({ type: "SettingsApplied", id: "call", receivedAt: 0, settings })

/** Connected at once; answers a Configure only as the test says. */
const silent = FakeTransport.layerPeer(() => ({
  opened: (server) => server.say(connected),
  received: (frame, server) =>
    frame.dataType === "UTF8" && new TextDecoder().decode(frame.bytes).includes("CloseStream") ? server.end : Effect.void
}), { capabilities: wide })

/** Answers each Configure after a while with what it echoes for it, or refuses it; takes its time over each frame of audio. */
const slow = (delay: number, answer: (configure: typeof Configure.Type, number: number) => object | undefined, audioMillis = 0) =>
  FakeTransport.layerPeer(() => {
    let number = 0
    return {
      opened: (server) => server.say(connected),
      received: (frame, server) => {
        if (frame.dataType === "BINARY") return Effect.sleep(audioMillis)
        const message = Schema.decodeSync(Configure)(new TextDecoder().decode(frame.bytes))
        if (message.type !== "Configure") return server.end
        const said = answer(message, number++)
        if (said === undefined) return Effect.void
        const text = JSON.stringify({ request_id: requestId, sequence_id: number, ...said })
        return Effect.asVoid(Effect.forkDetach(Effect.delay(server.say(text), delay)))
      }
    }
  }, { capabilities: wide })
const success = (thresholds: object, rest: object = {}) => ({ type: "ConfigureSuccess", thresholds, keyterms: [], numerals: false, ...rest })

describe("settings in mid-call", () => {
  it.effect("go to Flux by Configure, in the names of the wire, and are told when they are in force", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened()
      const outcome = yield* call.update({
        eotThreshold: 0.8,
        eagerEotThreshold: 0.4,
        eotTimeoutMs: 6000,
        keyterm: ["customer service", "SageMaker"],
        languageHints: ["en-GB", "es", "en"],
        numerals: true
      })
      assert.strictEqual(outcome, "configured")
      assert.deepStrictEqual(yield* configures, [{
        at: 0,
        thresholds: { eot_threshold: 0.8, eager_eot_threshold: 0.4, eot_timeout_ms: 6000 },
        keyterms: ["customer service", "SageMaker"],
        language_hints: ["en", "es"],
        numerals: true
      }])
      assert.deepStrictEqual(settings(), [
        applied("eotThreshold", "eagerEotThreshold", "eotTimeoutMs", "keyterm", "languageHints", "numerals")
      ])
      assert.deepInclude(yield* call.settings, { eotThreshold: 0.8, eotTimeoutMs: 6000, numerals: true })
    }).pipe(simulated({}, { model: "flux-general-multi" })))

  it.effect("say only what changes, and back to Flux's default by its value", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      yield* call.update({ eotThreshold: 0.8, keyterm: ["apple"] })
      yield* call.update({ eotThreshold: null, eotTimeoutMs: 5000, keyterm: null })
      // 5000 ms is in force already
      assert.deepStrictEqual(yield* configures, [
        { at: 0, thresholds: { eot_threshold: 0.8 }, keyterms: ["apple"] },
        { at: 0, thresholds: { eot_threshold: 0.7 }, keyterms: [] }
      ])
      yield* call.update({ eotThreshold: 0.7 })
      assert.strictEqual((yield* configures).length, 2)
    }).pipe(simulated()))

  it.effect("are in force: Flux ends turns by the new threshold, and the watchdog has the new timeout", () =>
    Effect.gen(function*() {
      const { call, events } = yield* opened()
      yield* call.update({ eotThreshold: 0.5 })
      yield* call.send(draw("vvvvvvvv.............."))
      yield* TestClock.adjust(0)
      const end = events.find((event) => event.type === "EndOfTurn")
      // eight frames of silence are 0.512 in the first turn of a hosted session, whose silence counts over 1.25 s; at 0.7 it would be eleven
      assert.closeTo(end?.type === "EndOfTurn" ? end.audioEnd : 0, 16 * 0.08, 0.001)
    }).pipe(simulated()))

  it.effect("of the client alone need no Configure, and no endpoint that takes it", () =>
    Effect.gen(function*() {
      const { call, events, settings } = yield* opened()
      assert.strictEqual(yield* call.update({ minConfidence: 0.99, shouldInterrupt: false }), "configured")
      yield* call.send(draw("vvvvvvvv.............."))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(settings(), [applied("minConfidence", "shouldInterrupt")])
      assert.deepInclude(events.find((event) => event.type === "StartOfTurn"), { interrupts: false })
      assert.deepInclude(events.find((event) => event.type === "EndOfTurn"), { accepted: false, ending: "confirmed" })
      assert.deepStrictEqual(yield* configures, [])
      yield* call.finish
      assert.strictEqual((yield* Effect.flip(call.update({ minConfidence: 0 }))).reason._tag, "CallOver")
    }).pipe(withTransport(FakeTransport.layer())))

  /** One session, and no other. */
  const alone = (patch: FluxSettings.SettingsPatch = {}) =>
    Effect.gen(function*() {
      const settings = settingsOf(patch)
      const session = yield* FluxSession.open(settings, { id: "call" })
      yield* session.connected
      return { session, change: (more: FluxSettings.SettingsPatch) => session.update(Result.getOrThrow(FluxSettings.resolve(settings, more, wide))) }
    })

  it.effect("that the endpoint cannot change are refused by a session alone, all or nothing, and nothing is sent", () =>
    Effect.gen(function*() {
      const { change, session } = yield* alone()
      const error = yield* Effect.flip(change({ eotThreshold: 0.8, minConfidence: 0.5 }))
      assert.strictEqual(error.reason._tag, "UnsupportedByEndpoint")
      assert.match(error.message, /eotThreshold/)
      assert.deepInclude(yield* session.settings, { minConfidence: 0 })
      assert.deepStrictEqual((yield* entries).map(({ what }) => what), ["open"])
    }).pipe(withTransport(FakeTransport.layer())))

  for (const [what, patch] of Object.entries({
    tag: { tag: ["b"] },
    model: { model: "flux-general-multi" },
    mipOptOut: { mipOptOut: true },
    "eagerEotThreshold to none": { eagerEotThreshold: null }
  } satisfies Record<string, FluxSettings.SettingsPatch>)) {
    it.effect(`that only another session can have are refused by a session alone: ${what}`, () =>
      Effect.gen(function*() {
        const { change } = yield* alone({ eagerEotThreshold: 0.4 })
        const error = yield* Effect.flip(change({ ...patch, eotThreshold: 0.6 }))
        assert.strictEqual(error.reason._tag, "UnsupportedByEndpoint")
        assert.include(error.message, what)
        assert.deepStrictEqual(yield* configures, [])
      }).pipe(simulated()))
  }

  it.effect("that break a rule are refused here, by name", () =>
    Effect.gen(function*() {
      const { call } = yield* opened({ settings: { eagerEotThreshold: 0.6 } })
      const error = yield* Effect.flip(call.update({ eotThreshold: 0.55, numerals: true }))
      assert.strictEqual(error.reason._tag, "InvalidSettings")
      assert.match(error.message, /eagerEotThreshold: must not be above eotThreshold/)
      assert.deepStrictEqual(yield* configures, [])
    }).pipe(simulated()))

  it.effect("asked for before Connected wait for it, and go before any audio", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const call = yield* transcriber.open()
      yield* call.send(chunk(80))
      const update = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(update)
      assert.deepStrictEqual((yield* entries).map(({ at, what }) => [at, what]), [[0, "open"], [3000, "text"], [3000, "audio"]])
    }).pipe(simulated({ faults: [{ fault: "late-connected", delay: 3000 }] })))
})

describe("Configure: one at a time", () => {
  it.effect("a burst goes as one, with the latest values, once the first is answered", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened()
      const updates = yield* Effect.forEach(
        [{ eotThreshold: 0.6 }, { eotThreshold: 0.65 }, { eotTimeoutMs: 3000 }, { eotThreshold: 0.8 }],
        (patch) => fork(call.update(patch))
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* configures).length, 1)
      assert.deepStrictEqual(updates.map((update) => update.pollUnsafe() === undefined), [true, true, true, true])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(updates.map((update) => update.pollUnsafe() === undefined), [false, true, true, true])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* configures, [
        { at: 0, thresholds: { eot_threshold: 0.6 } },
        { at: 2000, thresholds: { eot_threshold: 0.8, eot_timeout_ms: 3000 } }
      ])
      for (const update of updates) assert.strictEqual(yield* Fiber.join(update), "configured")
      assert.strictEqual(settings().length, 2)
    }).pipe(withTransport(slow(2000, ({ thresholds = {} }) => success({ eot_threshold: 0.7, eot_timeout_ms: 5000, ...thresholds })))))

  it.effect("an answer with other values is stale and does not count", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      const update = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(update.pollUnsafe())
      yield* TestClock.adjust("4 seconds")
      const error = yield* Effect.flip(Fiber.join(update))
      assert.deepInclude(error.reason, { _tag: "ConfigureUnanswered", seconds: 5 })
    }).pipe(withTransport(slow(1000, () => success({ eot_threshold: 0.6, eot_timeout_ms: 5000 })))))

  it.effect("a refusal tells Flux's own words, and leaves what was in force", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened({ settings: { keyterm: ["pear"] } })
      const error = yield* Effect.flip(call.update({ eotThreshold: 0.8, keyterm: ["apple"] }))
      assert.deepInclude(error.reason, { _tag: "SettingsRefused", settings: ["eotThreshold", "keyterm"], code: "INVALID_THRESHOLD" })
      assert.notInclude(error.message, "apple")
      assert.deepStrictEqual(settings(), [{
        type: "SettingsRejected",
        id: "call",
        receivedAt: 0,
        settings: ["eotThreshold", "keyterm"],
        code: "INVALID_THRESHOLD",
        description: "not above apple"
      }])
      assert.deepInclude(yield* call.settings, { keyterm: ["pear"] })
      assert.strictEqual((yield* call.settings).eotThreshold ?? 0.7, 0.7)
      assert.strictEqual(yield* call.status, "ready")
    }).pipe(simulated({ faults: [{ fault: "configure-failure", code: "INVALID_THRESHOLD", description: "not above apple" }] })))

  it.effect("a refusal without code and description is one, too", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened()
      const update = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(Fiber.join(update))).reason._tag, "SettingsRefused")
      assert.deepStrictEqual(settings(), [{ type: "SettingsRejected", id: "call", receivedAt: 10, settings: ["eotThreshold"] }])
    }).pipe(withTransport(slow(10, () => ({ type: "ConfigureFailure" })))))

  it.effect("what was changed again meanwhile is asked for after a refusal", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      const first = yield* fork(call.update({ eotThreshold: 0.9, eotTimeoutMs: 4000 }))
      const second = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(first))).reason._tag, "SettingsRefused")
      assert.strictEqual(yield* Fiber.join(second), "configured")
      assert.deepStrictEqual((yield* configures).map(({ thresholds }) => thresholds), [
        { eot_threshold: 0.9, eot_timeout_ms: 4000 },
        { eot_threshold: 0.8 }
      ])
      assert.deepInclude(yield* call.settings, { eotThreshold: 0.8 })
      assert.strictEqual((yield* call.settings).eotTimeoutMs ?? 5000, 5000)
    }).pipe(withTransport(slow(1000, ({ thresholds = {} }, number) =>
      number === 0 ? { type: "ConfigureFailure", code: "X" } : success({ eot_timeout_ms: 5000, ...thresholds })))))

  it.effect("an answer that is lost strands nobody, also when no audio flows; what is not known goes along with the next", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened()
      const first = yield* fork(call.update({ eotThreshold: 0.8 }))
      const second = yield* fork(call.update({ eotTimeoutMs: 3000 }))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(Fiber.join(first))).reason._tag, "ConfigureUnanswered")
      assert.deepInclude(settings()[0], { type: "Warning", code: "CONFIGURE_UNANSWERED" })
      assert.deepStrictEqual((yield* configures).map(({ at, thresholds }) => [at, thresholds]), [
        [0, { eot_threshold: 0.8 }],
        [5000, { eot_threshold: 0.8, eot_timeout_ms: 3000 }]
      ])
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Effect.flip(Fiber.join(second))).reason._tag, "ConfigureUnanswered")
      assert.strictEqual(yield* call.status, "ready")
    }).pipe(withTransport(silent)))

  it.effect("its bound begins when it is sent, not while a frame under way holds it up", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened()
      yield* call.send(chunk(80))
      const first = yield* fork(call.update({ eotThreshold: 0.8 }))
      const second = yield* fork(call.update({ eotTimeoutMs: 3000 }))
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual([first.pollUnsafe(), settings()], [undefined, []])
      assert.deepStrictEqual((yield* configures).map(({ at, thresholds }) => [at, thresholds]), [[4000, { eot_threshold: 0.8 }]])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(first), "configured")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(second), "configured")
      assert.deepStrictEqual((yield* configures).map(({ at }) => at), [4000, 8000])
    }).pipe(withTransport(slow(4000, ({ thresholds = {} }) => success({ eot_threshold: 0.8, eot_timeout_ms: 5000, ...thresholds }), 4000))))

  it.effect("has the bound of the settings", () =>
    Effect.gen(function*() {
      const { call } = yield* opened({ settings: { configureTimeout: "2 seconds" } })
      const update = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude((yield* Effect.flip(Fiber.join(update))).reason, { _tag: "ConfigureUnanswered", seconds: 2 })
    }).pipe(simulated({ faults: [{ fault: "configure-lost" }] })))

  it.effect("a session that ends answers who waits", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      const update = yield* fork(call.update({ eotThreshold: 0.8 }))
      yield* TestClock.adjust("1 second")
      yield* call.finish
      assert.strictEqual((yield* Effect.flip(Fiber.join(update))).reason._tag, "CallOver")
      assert.strictEqual((yield* Effect.flip(call.update({ minConfidence: 0.5 }))).reason._tag, "CallOver")
    }).pipe(withTransport(silent)))
})

describe("three levels of settings", () => {
  const change = (patch: FluxSettings.SettingsPatch) =>
    Effect.andThen(FluxSettings.FluxSettings.use((settings) => settings.update(patch)), TestClock.adjust(0))

  it.effect("a change of the defaults reaches every open call in what it has not set itself", () =>
    Effect.gen(function*() {
      const plain = yield* opened()
      const own = yield* opened({ settings: { eotThreshold: 0.6 } })
      const later = yield* opened()
      yield* later.call.update({ eotTimeoutMs: 2000 })
      yield* change({ eotThreshold: 0.8, eotTimeoutMs: 3000, minConfidence: 0.5 })
      assert.deepInclude(yield* plain.call.settings, { eotThreshold: 0.8, eotTimeoutMs: 3000, minConfidence: 0.5 })
      assert.deepInclude(yield* own.call.settings, { eotThreshold: 0.6, eotTimeoutMs: 3000, minConfidence: 0.5 })
      assert.deepInclude(yield* later.call.settings, { eotThreshold: 0.8, eotTimeoutMs: 2000, minConfidence: 0.5 })
      const fake = yield* FakeTransport.FakeTransport
      const sessions = (yield* fake.entries).flatMap(({ detail, session, what }) => what === "text" ? [[session, JSON.parse(detail).thresholds]] : [])
      assert.deepStrictEqual(sessions, [
        [2, { eot_timeout_ms: 2000 }],
        [0, { eot_threshold: 0.8, eot_timeout_ms: 3000 }],
        [1, { eot_timeout_ms: 3000 }],
        [2, { eot_threshold: 0.8 }]
      ])
    }).pipe(simulated()))

  it.effect("null in a call is a value of its own, which the defaults do not override", () =>
    Effect.gen(function*() {
      const { call } = yield* opened({ settings: { keyterm: null } })
      assert.deepStrictEqual((yield* call.settings).keyterm, [])
      yield* change({ keyterm: ["plum"] })
      assert.deepStrictEqual((yield* call.settings).keyterm, [])
    }).pipe(simulated({}, { keyterm: ["pear"] })))

  it.effect("what a call cannot have of them is told, and the rest of its life is untouched", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* opened({ settings: { eagerEotThreshold: 0.65 } })
      // below what this call has set for itself
      yield* change({ eotThreshold: 0.6 })
      assert.deepInclude(settings()[0], { type: "SettingsRejected", settings: ["eotThreshold"] })
      yield* change({ sampleRate: 8000 })
      assert.deepInclude(settings()[1], { type: "SettingsRejected", settings: ["sampleRate"] })
      assert.strictEqual(yield* call.status, "ready")
      assert.deepStrictEqual(yield* configures, [])
    }).pipe(simulated()))

  it.effect("a change that failed leaves the setting to the defaults", () =>
    Effect.gen(function*() {
      const { call } = yield* opened()
      yield* Effect.flip(call.update({ eotThreshold: 0.8, sampleRate: 8000 }))
      yield* change({ eotThreshold: 0.6 })
      assert.deepInclude(yield* call.settings, { eotThreshold: 0.6 })
    }).pipe(simulated()))
})
