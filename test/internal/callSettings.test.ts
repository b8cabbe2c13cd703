/** The three levels of a call's settings, over the real settings of a session whose Flux is played by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import type * as FluxMessage from "../../src/FluxMessage.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import { type Capabilities, profiles } from "../../src/FluxTransport.ts"
import * as callSettings from "../../src/internal/callSettings.ts"
import * as settingsChanges from "../../src/internal/settingsChange.ts"
import { fork } from "../support/session.ts"
import { watched } from "../support/watched.ts"

const hosted = profiles["hosted-2026-09"]
const success = (thresholds: FluxMessage.Thresholds = {}, keyterms: ReadonlyArray<string> = []): FluxMessage.ConfigureSuccess => ({
  type: "ConfigureSuccess",
  request_id: "r",
  sequence_id: 1,
  thresholds: { eot_threshold: 0.7, eot_timeout_ms: 5000, ...thresholds },
  keyterms
})
const failure: FluxMessage.ConfigureFailure = { type: "ConfigureFailure", request_id: "r", sequence_id: 1 }

/** A call with settings of its own over defaults that change. */
const make = Effect.fnUntraced(function*(
  own: FluxSettings.SettingsPatch = {},
  { capabilities = hosted, defaults = {} }: { readonly capabilities?: Capabilities; readonly defaults?: FluxSettings.SettingsPatch } = {}
) {
  const service = yield* FluxSettings.make(defaults)
  const base = yield* service.get
  const sent: Array<FluxMessage.Configure> = []
  const told: Array<string> = []
  const { part: changes } = yield* watched((now, dueIn) => settingsChanges.make({
    initial: Result.getOrThrow(FluxSettings.resolve(base, own, capabilities)),
    capabilities,
    now,
    dueIn,
    failure: (reason) => FluxError.make(reason, "streaming"),
    configure: (change, handedOver) => {
      sent.push(change)
      handedOver()
    },
    tell: (news) => void told.push(news.type === "Notice" ? news.code : `${news.type} ${news.settings.join()}`)
  }), ({ look }) => look)
  changes.start()
  const call = callSettings.make({
    session: {
      change: (next) => Effect.as(changes.change(next), "configured" as const),
      reject: (settings, { reason }) => Effect.sync(() => void told.push(`rejected ${settings.toSorted().join()} ${reason._tag}`))
    },
    capabilities,
    base,
    own
  })
  yield* fork(call.follow(service.changes))
  /** Changes the defaults. */
  const change = (patch: FluxSettings.SettingsPatch) => Effect.andThen(service.update(patch), TestClock.adjust(0))
  const update = (patch: FluxSettings.SettingsPatch) => fork(Effect.exit(call.update(patch)))
  return { call, change, changes, sent, settings: changes.settings, told, update }
})
const outcome = (fiber: Fiber.Fiber<Exit.Exit<unknown, FluxError.FluxError>>): string | undefined => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined || Exit.isFailure(exit)) return "waits"
  const error = Exit.findErrorOption(exit.value)
  return error._tag === "Some" ? error.value.reason._tag : undefined
}

describe("settings of a call", () => {
  const Key = Schema.Literals(["minConfidence", "shouldInterrupt", "outboxLimit"])
  const Values = Schema.Struct({
    minConfidence: Schema.optionalKey(Schema.NullOr(Schema.Literals([0.1, 0.2, 0.3]))),
    shouldInterrupt: Schema.optionalKey(Schema.NullOr(Schema.Boolean)),
    outboxLimit: Schema.optionalKey(Schema.NullOr(Schema.Literals([5000, 6000])))
  })
  it.effect.prop("a field is what the call set last, else what the defaults are, else what the package has", {
    defaults: Values,
    own: Values,
    steps: Schema.Array(Schema.Struct({ of: Schema.Literals(["call", "defaults"]), values: Values }))
  }, ({ defaults, own, steps }) =>
    Effect.gen(function*() {
      const { call, change, settings } = yield* make(own, { defaults })
      const levels = { call: { ...own }, defaults: { ...defaults } }
      for (const { of, values } of steps) {
        Object.assign(levels[of], values)
        if (of === "defaults") yield* change(values)
        else yield* call.update(values)
      }
      for (const key of Key.literals) {
        const ofCall = levels.call[key]
        const expected = (ofCall === undefined ? levels.defaults[key] : ofCall) ?? FluxSettings.defaults[key]
        assert.strictEqual(settings()[key], expected, key)
      }
    }), { arbitrary: { runs: 200, size: 20, seed: "flux" } })

  it.effect("defaults that change and change back before anybody has looked are as they were", () =>
    Effect.gen(function*() {
      const { call, settings } = yield* make()
      const before = settings()
      yield* call.follow(Stream.make(before, { ...before, minConfidence: 0.3 }, before))
      yield* TestClock.adjust(0)
      assert.strictEqual(settings().minConfidence, before.minConfidence)
    }))

  it.effect("a change of the defaults is asked for where the call has not set it, and back to none by its value", () =>
    Effect.gen(function*() {
      const { change, changes, sent, settings } = yield* make({ eotThreshold: 0.6 })
      yield* change({ eotThreshold: 0.8, eotTimeoutMs: 1000 })
      assert.deepStrictEqual(sent, [{ thresholds: { eot_timeout_ms: 1000 } }])
      changes.onSuccess(success({ eot_threshold: 0.6, eot_timeout_ms: 1000 }))
      yield* change({ eotThreshold: null, eotTimeoutMs: null })
      assert.deepStrictEqual(sent.slice(1), [{ thresholds: { eot_timeout_ms: 5000 } }])
      assert.strictEqual(settings().eotThreshold, 0.6)
      assert.isUndefined(settings().eotTimeoutMs)
    }))

  it.effect("what was asked for in a call is its own from then on, also before it is in force", () =>
    Effect.gen(function*() {
      const { change, changes, sent, settings, update } = yield* make()
      yield* update({ eotThreshold: 0.8 })
      yield* change({ eotThreshold: 0.6 })
      changes.onSuccess(success({ eot_threshold: 0.8 }))
      yield* TestClock.adjust(0)
      yield* change({ eotThreshold: 0.55 })
      assert.strictEqual(settings().eotThreshold, 0.8)
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("two changes at the same time are both in force, wherever one gives way to the other", () =>
    Effect.gen(function*() {
      for (let opsBeforeYield = 3; opsBeforeYield < 14; opsBeforeYield++) {
        for (let delay = 0; delay < 10; delay++) {
          const { call, changes, sent, settings } = yield* make()
          const first = yield* Effect.forkChild(
            Effect.provideService(call.update({ eotThreshold: 0.8, minConfidence: 0.3 }), Scheduler.MaxOpsBeforeYield, opsBeforeYield)
          )
          yield* Effect.repeat(Effect.yieldNow, { times: delay })
          const second = yield* fork(Effect.exit(call.update({ keyterm: ["a"], shouldInterrupt: true })))
          yield* Effect.repeat(Effect.yieldNow, { times: 50 })
          const where = `after ${delay} turns, yielding every ${opsBeforeYield} steps`
          const { eotThreshold, keyterm, minConfidence, shouldInterrupt } = settings()
          assert.deepStrictEqual([eotThreshold, keyterm, minConfidence, shouldInterrupt], [0.8, ["a"], 0.3, true], where)
          const [asked] = sent
          changes.onSuccess(success(asked?.thresholds, asked?.keyterms))
          changes.onSuccess(success({ eot_threshold: 0.8 }, ["a"]))
          yield* Effect.repeat(Effect.yieldNow, { times: 50 })
          assert.strictEqual(sent.length, 2, where)
          assert.isDefined(first.pollUnsafe(), where)
          assert.isUndefined(outcome(second), where)
        }
      }
    }))

  it.effect("one change that fails takes nothing from another of the same field", () =>
    Effect.gen(function*() {
      const { change, changes, settings, update } = yield* make()
      const first = yield* update({ eotThreshold: 0.9 })
      const second = yield* update({ eotThreshold: 0.8 })
      changes.onFailure(failure)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([outcome(first), outcome(second)], ["SettingsRefused", "waits"])
      yield* change({ eotThreshold: 0.6 })
      changes.onSuccess(success({ eot_threshold: 0.8 }))
      yield* TestClock.adjust(0)
      assert.isUndefined(outcome(second))
      yield* change({ eotThreshold: 0.55 })
      assert.strictEqual(settings().eotThreshold, 0.8)
    }))

  it.effect("a field stays the call's own where nobody waited for the answer, or it never came; and not where it was refused", () =>
    Effect.gen(function*() {
      const { change, changes, sent, settings, update } = yield* make()
      yield* Fiber.interrupt(yield* update({ eotThreshold: 0.8 }))
      changes.onSuccess(success({ eot_threshold: 0.8 }))
      const unanswered = yield* update({ keyterm: ["a"] })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(outcome(unanswered), "ConfigureUnanswered")
      yield* change({ eotThreshold: 0.6, keyterm: ["b"] })
      assert.deepInclude(settings(), { eotThreshold: 0.8, keyterm: ["a"] })
      assert.strictEqual(sent.length, 2)

      const other = yield* make()
      const refused = yield* other.update({ eotThreshold: 0.8, minConfidence: 3 })
      assert.strictEqual(outcome(refused), "InvalidSettings")
      yield* other.change({ eotThreshold: 0.6, minConfidence: 0.5 })
      assert.deepInclude(other.settings(), { eotThreshold: 0.6, minConfidence: 0.5 })
    }))

  it.effect("what cannot be had of the defaults is told, once, whoever refuses it", () =>
    Effect.gen(function*() {
      // here, by the rules
      const rules = yield* make({ eagerEotThreshold: 0.65 })
      yield* rules.change({ eotThreshold: 0.6, minConfidence: 0.5 })
      assert.deepStrictEqual(rules.told, ["rejected eotThreshold,minConfidence InvalidSettings"])
      // here, as it needs another session
      const session = yield* make()
      yield* session.change({ tag: ["a"] })
      assert.deepStrictEqual(session.told, ["rejected tag UnsupportedByEndpoint"])
      // by the endpoint's range
      const narrow = yield* make({}, { capabilities: profiles["flux-multi-20260417"] })
      yield* narrow.change({ eotThreshold: 0.95 })
      assert.deepStrictEqual(narrow.told, ["rejected eotThreshold InvalidSettings"])
      // by Flux
      const flux = yield* make()
      yield* flux.change({ eotThreshold: 0.8 })
      flux.changes.onFailure(failure)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(flux.told, ["SettingsRejected eotThreshold"])
      // here, once Flux has taken the ground from under it
      const ground = yield* make()
      yield* ground.change({ eotThreshold: 0.9 })
      yield* ground.change({ eagerEotThreshold: 0.8 })
      ground.changes.onFailure(failure)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(ground.told, ["SettingsRejected eotThreshold", "SettingsRejected eagerEotThreshold"])
    }))

  it.effect("of the defaults' next change only what is new is asked for, and one that waits does not hold it up", () =>
    Effect.gen(function*() {
      const { change, sent, settings, told } = yield* make({ eagerEotThreshold: 0.65 })
      yield* change({ eotThreshold: 0.6 })
      yield* change({ eotTimeoutMs: 1000 })
      yield* change({ minConfidence: 0.5 })
      assert.deepStrictEqual(sent, [{ thresholds: { eot_timeout_ms: 1000 } }])
      assert.strictEqual(settings().minConfidence, 0.5)
      assert.deepStrictEqual(told, ["rejected eotThreshold InvalidSettings", "SettingsApplied minConfidence"])
    }))

  it.effect("a session that is over is no reason to tell of settings", () =>
    Effect.gen(function*() {
      const { change, changes, told } = yield* make()
      yield* change({ eotThreshold: 0.8 })
      changes.stop(FluxError.make(new FluxError.Stalled({ seconds: 10 }), "streaming"))
      yield* TestClock.adjust(0)
      yield* change({ eotThreshold: 0.6 })
      assert.deepStrictEqual(told, [])
    }))
})
