import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import type * as FluxMessage from "../../src/FluxMessage.ts"
import { type Capabilities, profiles } from "../../src/FluxTransport.ts"
import type { Settings } from "../../src/internal/settings.ts"
import * as settingsChanges from "../../src/internal/settingsChange.ts"
import { fork, settingsOf } from "../support/session.ts"
import { watched } from "../support/watched.ts"

const multi = settingsOf({ model: "flux-general-multi" })

/** One session's settings, what was sent to Flux, and what was told. */
const make = Effect.fnUntraced(function*(initial: Settings = multi, capabilities: Capabilities = profiles["hosted-2026-09"]) {
  const sent: Array<FluxMessage.Configure> = []
  const told: Array<settingsChanges.News> = []
  const { part: changes } = yield* watched((now, dueIn) => settingsChanges.make({
    initial,
    capabilities,
    now,
    dueIn,
    failure: (reason) => FluxError.make(reason, "streaming"),
    configure: (change, handedOver) => {
      sent.push(change)
      handedOver()
    },
    tell: (news) => void told.push(news)
  }), ({ look }) => look)
  changes.start()
  const to = (settings: Settings) => fork(Effect.exit(changes.change(() => Result.succeed(settings))))
  const update = (patch: Partial<Settings>) => to({ ...changes.settings(), ...patch })
  return { changes, sent, told, to, update }
})
type Updating = Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>>
const reasonOf = (fiber: Updating): FluxError.Reason | "waits" | undefined => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined || Exit.isFailure(exit)) return "waits"
  const error = Exit.findErrorOption(exit.value)
  return error._tag === "Some" ? error.value.reason : undefined
}
const tagOf = (fiber: Updating): string | undefined => {
  const reason = reasonOf(fiber)
  return typeof reason === "object" ? reason._tag : reason
}
/** Flux's answer: what is in force unless said otherwise. */
const success = (thresholds: FluxMessage.Thresholds = {}, keyterms: ReadonlyArray<string> = []): FluxMessage.ConfigureSuccess => ({
  type: "ConfigureSuccess",
  request_id: "r",
  sequence_id: 1,
  thresholds: { eot_threshold: 0.7, eot_timeout_ms: 5000, ...thresholds },
  keyterms
})
const failure: FluxMessage.ConfigureFailure = { type: "ConfigureFailure", request_id: "r", sequence_id: 1, code: "X", description: "no" }

describe("settings of a session that change", () => {
  /** Protocol 3.2, "Not changeable", and what there is no word for. */
  const ofSession: ReadonlyArray<readonly [string, Partial<Settings>]> = [
    ["model", { model: "flux-general-en" }],
    ["encoding", { encoding: "mulaw" }],
    ["sampleRate", { sampleRate: 8000 }],
    ["profanityFilter", { profanityFilter: true }],
    ["redact", { redact: "numbers" }],
    ["mipOptOut", { mipOptOut: true }],
    ["tag", { tag: ["a"] }]
  ]
  for (const [name, patch] of ofSession) {
    it.effect(`${name} needs another session: it is refused with all that comes with it`, () =>
      Effect.gen(function*() {
        const { changes, sent, told, update } = yield* make()
        const updating = yield* update({ ...patch, minConfidence: 0.5, eotThreshold: 0.8, keyterm: ["a"] })
        assert.strictEqual(tagOf(updating), "UnsupportedByEndpoint")
        const reason = reasonOf(updating)
        assert.include(typeof reason === "object" && reason._tag === "UnsupportedByEndpoint" ? reason.feature : "", name)
        assert.deepStrictEqual(changes.settings(), multi)
        assert.deepStrictEqual([sent, told], [[], []])
      }))
  }

  it.effect("no eager threshold any more needs another session, and another one does not", () =>
    Effect.gen(function*() {
      const { eagerEotThreshold: _, ...without } = multi
      const { changes, sent, to, update } = yield* make({ ...multi, eagerEotThreshold: 0.5 })
      const unset = yield* to(without)
      assert.strictEqual(tagOf(unset), "UnsupportedByEndpoint")
      assert.strictEqual(changes.settings().eagerEotThreshold, 0.5)
      yield* update({ eagerEotThreshold: 0.4 })
      assert.deepStrictEqual(sent, [{ thresholds: { eager_eot_threshold: 0.4 } }])
      // also while Flux has not said yet whether it is in force
      const early = yield* to(without)
      assert.strictEqual(tagOf(early), "UnsupportedByEndpoint")
      // one that was never set, and one that was refused, are none
      const other = yield* make()
      yield* other.update({ eagerEotThreshold: 0.4 })
      other.changes.onFailure(failure)
      assert.isFalse("eagerEotThreshold" in other.changes.settings())
      const nothing = yield* other.update({})
      assert.isUndefined(reasonOf(nothing))
    }))

  it.effect("an endpoint without Configure takes those of the client, and no others", () =>
    Effect.gen(function*() {
      const { changes, sent, told, update } = yield* make(multi, profiles["flux-english-20260311"])
      const own = yield* update({ minConfidence: 0.5, shouldInterrupt: false })
      assert.isUndefined(reasonOf(own))
      for (const patch of [{ eotThreshold: 0.8 }, { eagerEotThreshold: 0.4 }, { eotTimeoutMs: 1000 }, { keyterm: ["a"] }, { languageHints: ["de"] }, { numerals: true }]) {
        const updating = yield* update({ ...patch, outboxLimit: 10_000 })
        assert.strictEqual(tagOf(updating), "UnsupportedByEndpoint", Object.keys(patch).join())
      }
      // what says the same in other words is no change
      const same = yield* update({ eotThreshold: 0.7, eotTimeoutMs: 5000, numerals: false })
      assert.isUndefined(reasonOf(same))
      assert.deepInclude(changes.settings(), { minConfidence: 0.5, shouldInterrupt: false })
      assert.isUndefined(changes.settings().outboxLimit)
      assert.deepStrictEqual(told, [{ type: "SettingsApplied", settings: ["minConfidence", "shouldInterrupt"] }])
      assert.deepStrictEqual(sent, [])
    }))

  it.effect("those of the client are in force at once, each one, and are told only where they change", () =>
    Effect.gen(function*() {
      const patches: ReadonlyArray<Partial<Settings>> = [
        { minConfidence: 0.5 },
        { shouldInterrupt: false },
        { outboxLimit: 5000 },
        { outboxPolicy: "fail" },
        ...([
          "watchdogMinTimeout",
          "openTimeout",
          "connectedTimeout",
          "drainTimeout",
          "disconnectTimeout",
          "sendTimeout",
          "stallTimeout",
          "keepAliveInterval",
          "configureTimeout"
        ] as const).map((key): Partial<Settings> => ({ [key]: Duration.seconds(77) }))
      ]
      const { changes, sent, told, update } = yield* make()
      for (const patch of patches) {
        const updating = yield* update(patch)
        assert.isUndefined(reasonOf(updating))
        assert.deepInclude(changes.settings(), patch)
        assert.deepStrictEqual(told.at(-1), { type: "SettingsApplied", settings: Object.keys(patch) })
      }
      // the same values, in other objects
      const same = yield* update({ tag: [], keyterm: [], drainTimeout: Duration.millis(77_000) })
      assert.isUndefined(reasonOf(same))
      assert.strictEqual(told.length, patches.length)
      assert.deepStrictEqual(sent, [])
    }))

  it.effect("those of Flux are asked for, are told when it has taken them, and are what they were when it refuses", () =>
    Effect.gen(function*() {
      const { changes, sent, told, update } = yield* make()
      const first = yield* update({ eotThreshold: 0.8, keyterm: ["a"], minConfidence: 0.5 })
      assert.deepStrictEqual(sent, [{ thresholds: { eot_threshold: 0.8 }, keyterms: ["a"] }])
      assert.deepStrictEqual(told, [{ type: "SettingsApplied", settings: ["minConfidence"] }])
      assert.deepInclude(changes.settings(), { eotThreshold: 0.8, keyterm: ["a"] })
      assert.strictEqual(tagOf(first), "waits")
      changes.onSuccess(success({ eot_threshold: 0.8 }, ["a"]))
      yield* TestClock.adjust(0)
      assert.isUndefined(reasonOf(first))
      assert.deepStrictEqual(told.at(-1), { type: "SettingsApplied", settings: ["eotThreshold", "keyterm"] })

      const second = yield* update({ eotThreshold: 0.6, eotTimeoutMs: 1000, languageHints: ["de-CH"] })
      const third = yield* update({ keyterm: ["b"] })
      changes.onFailure(failure)
      yield* TestClock.adjust(0)
      assert.strictEqual(tagOf(second), "SettingsRefused")
      assert.strictEqual(tagOf(third), "waits")
      assert.deepStrictEqual(told.at(-1), {
        type: "SettingsRejected",
        settings: ["eotThreshold", "eotTimeoutMs", "languageHints"],
        code: "X",
        description: "no"
      })
      assert.deepInclude(changes.settings(), { eotThreshold: 0.8, keyterm: ["b"], languageHints: [], minConfidence: 0.5 })
      assert.strictEqual(changes.settings().eotTimeoutMs ?? 5000, 5000)
      assert.deepStrictEqual(sent.slice(1), [
        { thresholds: { eot_threshold: 0.6, eot_timeout_ms: 1000 }, language_hints: ["de"] },
        { keyterms: ["b"] }
      ])
    }))

  it.effect("settings that say nothing go on saying nothing where Flux takes something else", () =>
    Effect.gen(function*() {
      const { changes, update } = yield* make()
      yield* update({ keyterm: ["a"] })
      changes.onSuccess(success({}, ["a"]))
      for (const key of ["eotThreshold", "eotTimeoutMs", "eagerEotThreshold", "numerals"]) assert.isFalse(key in changes.settings(), key)
    }))

  it.effect("an answer that does not come is told, with its own bound, and leaves what was asked for", () =>
    Effect.gen(function*() {
      const { changes, told, update } = yield* make()
      yield* update({ configureTimeout: Duration.seconds(2) })
      const updating = yield* update({ eotThreshold: 0.8 })
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(tagOf(updating), "waits")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(reasonOf(updating), { _tag: "ConfigureUnanswered", settings: ["eotThreshold"], seconds: 2 })
      assert.deepInclude(told.at(-1), { type: "Notice", code: "CONFIGURE_UNANSWERED" })
      assert.deepInclude(changes.settings(), { eotThreshold: 0.8 })
      changes.onFailure(failure)
      assert.strictEqual(changes.settings().eotThreshold, 0.7)
    }))

  it.effect("after the end nothing changes", () =>
    Effect.gen(function*() {
      const { changes, sent, update } = yield* make()
      const waiting = yield* update({ eotThreshold: 0.8 })
      changes.stop(FluxError.make(new FluxError.ConnectionLost({ detail: "over" }), "closing"))
      yield* TestClock.adjust(0)
      assert.strictEqual(tagOf(waiting), "ConnectionLost")
      const late = yield* update({ keyterm: ["a"] })
      assert.strictEqual(tagOf(late), "ConnectionLost")
      assert.strictEqual(sent.length, 1)
    }))
})
