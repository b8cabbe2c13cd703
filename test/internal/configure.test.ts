import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as Clock from "effect/Clock"
import * as FluxError from "../../src/FluxError.ts"
import type * as FluxMessage from "../../src/FluxMessage.ts"
import * as configure from "../../src/internal/configure.ts"
import { check, defaults } from "../../src/internal/settings.ts"
import * as configuration from "../../src/simulator/model/configuration.ts"
import * as Profile from "../../src/simulator/Profile.ts"

const hosted = Profile.profiles["hosted-2026-09"]
const initial = configure.activeOf({ ...defaults, model: "flux-general-multi" })

/** One configurator, what it sent, and what it told. */
const make = Effect.fnUntraced(function*(before: configure.Active = initial) {
  const clock = yield* Clock.Clock
  const sent: Array<FluxMessage.Configure> = []
  const told: Array<string> = []
  const configurator = configure.make({
    initial: before,
    check: (active) => check({ ...defaults, model: "flux-general-multi", ...active }, hosted.limits),
    now: () => clock.currentTimeMillisUnsafe(),
    timeout: () => 5000,
    send: (change) => void sent.push(change),
    failure: (reason) => FluxError.make(reason, "streaming"),
    told: {
      applied: (keys) => void told.push(`applied ${keys.join()}`),
      rejected: (keys, { code, description }) => void told.push(`rejected ${keys.join()}${code === undefined ? "" : ` ${code}`}${description === undefined ? "" : `: ${description}`}`),
      unanswered: (keys) => void told.push(`unanswered ${keys.join()}`)
    }
  })
  yield* Effect.forkChild(configurator.run, { startImmediately: true })
  const ask = (change: Partial<configure.Active>) =>
    Effect.forkChild(Effect.exit(configurator.want({ ...configurator.wanted(), ...change })), { startImmediately: true })
  return { configurator, sent, told, ask }
})
const success = (thresholds: FluxMessage.Thresholds, rest: Partial<FluxMessage.ConfigureSuccess> = {}): FluxMessage.ConfigureSuccess => ({
  type: "ConfigureSuccess",
  request_id: "r",
  sequence_id: 1,
  thresholds: { eot_threshold: 0.7, eot_timeout_ms: 5000, ...thresholds },
  keyterms: [],
  ...rest
})
const failure = (code?: string): FluxMessage.ConfigureFailure => ({
  type: "ConfigureFailure",
  request_id: "r",
  sequence_id: 1,
  ...(code === undefined ? {} : { code })
})
const reasonOf = (exit: Exit.Exit<void, FluxError.FluxError> | undefined): string | undefined => {
  if (exit === undefined) return "waits"
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" ? error.value.reason._tag : undefined
}
const outcome = (fiber: Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>>): string | undefined => {
  const exit = fiber.pollUnsafe()
  return reasonOf(exit === undefined ? undefined : Exit.isSuccess(exit) ? exit.value : Exit.fail(FluxError.make(new FluxError.Stalled({ seconds: 0 }), "open")))
}

describe("configure", () => {
  it.effect("knows an answer by its values, as the wire spells them", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      const asking = yield* ask({ eotThreshold: 0.8, keyterm: ["b", "a"], eagerEotThreshold: 0.4 })
      assert.deepStrictEqual(sent, [{ thresholds: { eot_threshold: 0.8, eager_eot_threshold: 0.4 }, keyterms: ["b", "a"] }])
      for (const other of [{ eot_threshold: 0.8 }, { eot_threshold: 0.7, eager_eot_threshold: 0.4 }, { eot_threshold: 0.8, eager_eot_threshold: null }]) {
        configurator.onSuccess(success(other, { keyterms: ["a", "b"] }))
        assert.strictEqual(outcome(asking), "waits")
      }
      configurator.onSuccess(success({ eot_threshold: 0.8, eager_eot_threshold: 0.4 }, { keyterms: ["a"] }))
      assert.strictEqual(outcome(asking), "waits")
      // 32-bit floats, another order, and neither hints nor numerals
      configurator.onSuccess(success({ eot_threshold: Math.fround(0.8), eager_eot_threshold: Math.fround(0.4) }, { keyterms: ["a", "b"] }))
      yield* TestClock.adjust(0)
      assert.isUndefined(outcome(asking))
      assert.deepStrictEqual(told, ["applied eotThreshold,eagerEotThreshold,keyterm"])
    }))

  it.effect("an answer that nobody waits for changes nothing", () =>
    Effect.gen(function*() {
      const { configurator, told } = yield* make()
      configurator.start()
      configurator.onSuccess(success({ eot_threshold: 0.55 }))
      configurator.onFailure(failure("X"))
      assert.deepStrictEqual(told, [])
      assert.strictEqual(configurator.wanted().eotThreshold, 0.7)
    }))

  it.effect("who asks for what is asked for already gets the same answer, and who asks for what is in force gets one at once", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      configurator.start()
      const first = yield* ask({ eotThreshold: 0.8 })
      const second = yield* ask({ eotThreshold: 0.8 })
      configurator.onFailure(failure())
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([outcome(first), outcome(second)], ["SettingsRefused", "SettingsRefused"])
      const third = yield* ask({ eotThreshold: 0.7 })
      assert.isUndefined(outcome(third))
      assert.strictEqual(sent.length, 1)
    }))

  it.effect("a late answer to one that was given up is the truth: taken or refused", () =>
    Effect.gen(function*() {
      for (const late of [success({ eot_threshold: 0.8 }), failure("LATE")]) {
        const { ask, configurator, told } = yield* make()
        configurator.start()
        const asking = yield* ask({ eotThreshold: 0.8 })
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(outcome(asking), "ConfigureUnanswered")
        if (late.type === "ConfigureSuccess") configurator.onSuccess(late)
        else configurator.onFailure(late)
        assert.deepStrictEqual(told, ["unanswered eotThreshold", late.type === "ConfigureSuccess" ? "applied eotThreshold" : "rejected eotThreshold LATE"])
        assert.strictEqual(configurator.wanted().eotThreshold, late.type === "ConfigureSuccess" ? 0.8 : 0.7)
      }
    }))

  it.effect("what is uncertain goes along with the next change, or with the same one asked again", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("5 seconds")
      yield* ask({ eotThreshold: 0.8 })
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_threshold: 0.8 } })
      yield* TestClock.adjust("5 seconds")
      yield* ask({ keyterm: ["a"] })
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_threshold: 0.8 }, keyterms: ["a"] })
      configurator.onSuccess(success({ eot_threshold: 0.8 }, { keyterms: ["a"] }))
      yield* ask({ keyterm: [] })
      assert.deepStrictEqual(sent.at(-1), { keyterms: [] })
    }))

  it.effect("a refusal that takes the ground from under what waited refuses that here, by its rule", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      const first = yield* ask({ eotThreshold: 0.9 })
      // fine under 0.9, not under 0.7
      const second = yield* ask({ eagerEotThreshold: 0.8 })
      configurator.onFailure(failure("X"))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([outcome(first), outcome(second)], ["SettingsRefused", "InvalidSettings"])
      assert.strictEqual(sent.length, 1)
      assert.match(told[1] ?? "", /^rejected eagerEotThreshold: eagerEotThreshold: must not be above eotThreshold/)
      assert.isUndefined(configurator.wanted().eagerEotThreshold)
    }))

  it.effect("an eager threshold that was refused is none again", () =>
    Effect.gen(function*() {
      const { ask, configurator } = yield* make()
      configurator.start()
      yield* ask({ eagerEotThreshold: 0.4, eotTimeoutMs: 1000 })
      configurator.onFailure(failure())
      assert.deepStrictEqual(configurator.wanted(), initial)
    }))

  it.effect("nothing is sent before the start, nor after the end, which answers all who wait", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      const first = yield* ask({ eotThreshold: 0.8 })
      assert.deepStrictEqual(sent, [])
      configurator.start()
      assert.strictEqual(sent.length, 1)
      const second = yield* ask({ keyterm: ["a"] })
      configurator.stop(FluxError.make(new FluxError.ConnectionLost({ detail: "over" }), "closing"))
      yield* TestClock.adjust(0)
      const third = yield* ask({ keyterm: ["b"] })
      assert.deepStrictEqual([first, second, third].map(outcome), ["ConnectionLost", "ConnectionLost", "ConnectionLost"])
      assert.strictEqual(sent.length, 1)
    }))

  const Step = Schema.Union([
    Schema.Struct({
      eot: Schema.optionalKey(Schema.Literals([0.5, 0.6, 0.7, 0.8])),
      timeout: Schema.optionalKey(Schema.Literals([1000, 3000, 5000])),
      keyterm: Schema.optionalKey(Schema.Literals(["a", "b"]))
    }),
    Schema.Struct({ wait: Schema.Literals([0, 100, 900, 5000]) })
  ])
  /** How Flux treats a Configure: it answers after a while, refuses, or its answer is lost. */
  const Treatment = Schema.Struct({ how: Schema.Literals(["takes", "takes", "refuses", "loses", "ignores"]), after: Schema.Literals([0, 50, 1000, 4900]) })

  it.effect.prop("against a Flux that answers late, refuses or loses: one is out at a time, all who wait are answered, and both agree in the end", {
    steps: Schema.Array(Step),
    treatments: Schema.Array(Treatment).check(Schema.isMinLength(1))
  }, ({ steps, treatments }) =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      let active: configuration.Configuration = {
        eotThreshold: initial.eotThreshold,
        eotTimeoutMs: initial.eotTimeoutMs,
        keyterms: [],
        languageHints: [],
        numerals: false,
        eagerEotThreshold: undefined
      }
      let [seen, out, lastAnswered] = [0, 0, true]
      configurator.start()
      /** Flux takes what has been sent. */
      const serve = Effect.gen(function*() {
        while (seen < sent.length) {
          const change = sent[seen]
          const { after, how } = treatments[seen % treatments.length] ?? { after: 0, how: "takes" }
          seen += 1
          assert.strictEqual(out, 0, "two Configures are out")
          out += 1
          lastAnswered = how === "takes"
          if (how === "takes" || how === "loses") {
            active = Result.getOrThrow(configuration.apply(active, {
              eotThreshold: change?.thresholds?.eot_threshold,
              eotTimeoutMs: change?.thresholds?.eot_timeout_ms,
              keyterms: change?.keyterms
            }, hosted, "flux-general-multi"))
          }
          const echo = configuration.echo(active, hosted, "flux-general-multi")
          const answer = Effect.sync(() => {
            out -= 1
            if (how === "refuses") configurator.onFailure(failure("X"))
            if (how === "takes") configurator.onSuccess(success(echo.thresholds, { ...echo }))
          })
          // what is lost frees its slot by the client's own bound
          const delay = how === "loses" || how === "ignores" ? 4999 : after
          yield* Effect.forkChild(Effect.delay(answer, delay), { startImmediately: true })
        }
      })
      const asking: Array<Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>>> = []
      for (const step of steps) {
        if ("wait" in step) yield* TestClock.adjust(step.wait)
        else {
          asking.push(yield* ask({
            ...(step.eot === undefined ? {} : { eotThreshold: step.eot }),
            ...(step.timeout === undefined ? {} : { eotTimeoutMs: step.timeout }),
            ...(step.keyterm === undefined ? {} : { keyterm: [step.keyterm] })
          }))
        }
        yield* serve
      }
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("5001 millis")
        yield* serve
      }
      assert.deepStrictEqual(asking.map(outcome).filter((each) => each === "waits"), [])
      if (lastAnswered) {
        const { eotThreshold, eotTimeoutMs, keyterm } = configurator.wanted()
        assert.deepStrictEqual([active.eotThreshold, active.eotTimeoutMs, active.keyterms], [eotThreshold, eotTimeoutMs, keyterm])
      }
    }), { arbitrary: { runs: 400, seed: "flux" } })
})
