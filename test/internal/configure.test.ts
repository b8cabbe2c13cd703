import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import type * as FluxMessage from "../../src/FluxMessage.ts"
import * as configure from "../../src/internal/configure.ts"
import { check, defaults } from "../../src/internal/settings.ts"
import * as configuration from "../../src/simulator/model/configuration.ts"
import * as Profile from "../../src/simulator/Profile.ts"
import { watched } from "../support/watched.ts"

const hosted = Profile.profiles["hosted-2026-09"]
const initial = configure.activeOf({ ...defaults, model: "flux-general-multi" })

/** One configurator, what it sent, and what it told. */
const make = Effect.fnUntraced(function*(onSend: (change: FluxMessage.Configure) => void = () => {}, timeout = () => 5000, handOver = (told: () => void): void => told()) {
  const sent: Array<FluxMessage.Configure> = []
  const told: Array<string> = []
  const { part: configurator } = yield* watched((now, dueIn) => configure.make({
    initial,
    check: (active) => check({ ...defaults, model: "flux-general-multi", ...active }, hosted.limits),
    now,
    dueIn,
    timeout,
    send: (change, told) => {
      sent.push(change)
      handOver(told)
      onSend(change)
    },
    failure: (reason) => FluxError.make(reason, "streaming"),
    told: {
      applied: (keys) => void told.push(`applied ${keys.join()}`),
      rejected: (keys, { code, description }) => void told.push(`rejected ${keys.join()}${code === undefined ? "" : ` ${code}`}${description === undefined ? "" : `: ${description}`}`),
      unanswered: (keys) => void told.push(`unanswered ${keys.join()}`)
    }
  }), ({ look }) => look)
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
      // the query string has asked for it
      const nothing = yield* ask({ eotThreshold: 0.7 })
      assert.isUndefined(outcome(nothing))
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

  it.effect("a bundle that echoes neither hints nor numerals takes them all the same", () =>
    Effect.gen(function*() {
      const { ask, configurator, told } = yield* make()
      configurator.start()
      const asking = yield* ask({ languageHints: ["en", "de"], numerals: true })
      configurator.onSuccess(success({}))
      yield* TestClock.adjust(0)
      assert.isUndefined(outcome(asking))
      assert.deepStrictEqual(told, ["applied languageHints,numerals"])
      // one that does, and says something else, does not
      const again = yield* ask({ numerals: false })
      configurator.onSuccess(success({}, { numerals: true, language_hints: ["de", "en"] }))
      yield* TestClock.adjust(0)
      assert.strictEqual(outcome(again), "waits")
    }))

  it.effect("a burst is one change: each who asked gets its answer, and only what changed is sent", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      configurator.start()
      const asking = [yield* ask({ eotThreshold: 0.6 })]
      for (const eotThreshold of [0.65, 0.8, 0.75]) asking.push(yield* ask({ eotThreshold }))
      asking.push(yield* ask({ keyterm: ["a"] }))
      assert.strictEqual(sent.length, 1)
      configurator.onSuccess(success({ eot_threshold: 0.6 }))
      assert.deepStrictEqual(sent, [{ thresholds: { eot_threshold: 0.6 } }, { thresholds: { eot_threshold: 0.75 }, keyterms: ["a"] }])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(asking.map(outcome), [undefined, "waits", "waits", "waits", "waits"])
      configurator.onFailure(failure("X"))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(asking.map(outcome), [undefined, "SettingsRefused", "SettingsRefused", "SettingsRefused", "SettingsRefused"])
      assert.deepStrictEqual(configurator.wanted(), { ...initial, eotThreshold: 0.6 })
    }))

  it.effect("what was changed and changed back while it was out is asked for anew after a refusal", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      yield* ask({ eotTimeoutMs: 1000, keyterm: ["a"] })
      const back = yield* ask({ eotTimeoutMs: 5000 })
      const again = yield* ask({ eotTimeoutMs: 1000 })
      configurator.onFailure(failure())
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(told, ["rejected eotTimeoutMs,keyterm"])
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_timeout_ms: 1000 } })
      assert.deepStrictEqual([back, again].map(outcome), ["waits", "waits"])
      assert.deepStrictEqual(configurator.wanted(), { ...initial, eotTimeoutMs: 1000 })
    }))

  it.effect("the late answer to an earlier one does not take back what was changed since", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("5 seconds")
      yield* ask({ eotThreshold: 0.7, keyterm: ["a"] })
      yield* TestClock.adjust("5 seconds")
      // to the first one
      configurator.onSuccess(success({ eot_threshold: 0.8 }))
      assert.deepStrictEqual(told, ["unanswered eotThreshold", "unanswered eotThreshold,keyterm"])
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_threshold: 0.7 }, keyterms: ["a"] })
      assert.strictEqual(sent.length, 3)
      // to the second one, which the third says again
      configurator.onSuccess(success({}, { keyterms: ["a"] }))
      assert.deepStrictEqual(configurator.wanted(), { ...initial, keyterm: ["a"] })
      assert.strictEqual(told.at(-1), "applied eotThreshold,keyterm")
    }))

  it.effect("a late refusal that is taken for that of a later one does not hide that this one was taken", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("5 seconds")
      const later = yield* ask({ eotThreshold: 0.7, eagerEotThreshold: 0.4 })
      // to the first one
      configurator.onFailure(failure())
      yield* TestClock.adjust(0)
      assert.strictEqual(outcome(later), "SettingsRefused")
      assert.deepStrictEqual(configurator.wanted(), initial)
      // to the second one: there is no word that takes eager back, so that is what is wanted
      configurator.onSuccess(success({ eager_eot_threshold: 0.4 }))
      assert.strictEqual(configurator.wanted().eagerEotThreshold, 0.4)
      assert.deepStrictEqual(told, ["unanswered eotThreshold", "rejected eotThreshold,eagerEotThreshold", "applied eagerEotThreshold"])
      assert.strictEqual(sent.length, 2)
    }))

  it.effect("a refusal with nothing behind it refuses nothing else, also where what is in force breaks a rule of ours", () =>
    Effect.gen(function*() {
      const { ask, configurator, told } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.6 })
      // Flux has an eager threshold above the other one, whatever it was that set it
      configurator.onSuccess(success({ eot_threshold: 0.6, eager_eot_threshold: 0.65 }))
      const refused = yield* ask({ keyterm: ["a"] })
      const back = yield* ask({ keyterm: [] })
      configurator.onFailure(failure())
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([refused, back].map(outcome), ["SettingsRefused", undefined])
      assert.deepStrictEqual(told, ["applied eotThreshold,eagerEotThreshold", "rejected keyterm"])
    }))

  it.effect("what was refused when an answer was missing goes along with the next change: it may be in force", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("5 seconds")
      yield* ask({ keyterm: ["a"] })
      // to the first one or to the second
      configurator.onFailure(failure())
      yield* ask({ eotTimeoutMs: 1000 })
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_threshold: 0.7, eot_timeout_ms: 1000 }, keyterms: [] })
      configurator.onSuccess(success({ eot_timeout_ms: 1000 }))
      yield* ask({ eotTimeoutMs: 2000 })
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_timeout_ms: 2000 } })
    }))

  it.effect("after two that were given up and refused late, one that was taken all the same is taken back", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent } = yield* make()
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("5 seconds")
      yield* ask({ keyterm: ["a"] })
      yield* TestClock.adjust("5 seconds")
      configurator.onFailure(failure())
      assert.deepStrictEqual(configurator.wanted(), initial)
      configurator.onSuccess(success({ eot_threshold: 0.8 }, { keyterms: ["a"] }))
      assert.deepStrictEqual(sent.at(-1), { thresholds: { eot_threshold: 0.7 }, keyterms: [] })
    }))

  it.effect("each one has the bound of its time", () =>
    Effect.gen(function*() {
      let timeout = 5000
      const { ask, configurator, told } = yield* make(undefined, () => timeout)
      configurator.start()
      yield* ask({ eotThreshold: 0.8 })
      yield* TestClock.adjust("1 second")
      configurator.onSuccess(success({ eot_threshold: 0.8 }))
      timeout = 1000
      const asking = yield* ask({ keyterm: ["a"] })
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(outcome(asking), "waits")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(outcome(asking), "ConfigureUnanswered")
      timeout = 3000
      yield* ask({ keyterm: ["b"] })
      yield* TestClock.adjust("2999 millis")
      assert.deepStrictEqual(told, ["applied eotThreshold", "unanswered keyterm"])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(told.length, 3)
    }))

  it.effect("the bound begins when Flux is asked: one that waits behind a frame under way is not given up", () =>
    Effect.gen(function*() {
      const waits: Array<() => void> = []
      const { ask, configurator, sent } = yield* make(undefined, undefined, (told: () => void) => void waits.push(told))
      configurator.start()
      const asking = yield* ask({ eotThreshold: 0.8 })
      const next = yield* ask({ keyterm: ["a"] })
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual([outcome(asking), sent.length], ["waits", 1])
      waits[0]?.()
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual([outcome(asking), sent.length], ["waits", 1])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([outcome(asking), outcome(next), sent.length], ["ConfigureUnanswered", "waits", 2])
      // the one that was given up has no say in the bound of the next
      waits[0]?.()
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(outcome(next), "waits")
      waits[1]?.()
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(outcome(next), "ConfigureUnanswered")
    }))

  it.effect("what comes after the end answers nobody a second time", () =>
    Effect.gen(function*() {
      const { ask, configurator, sent, told } = yield* make()
      configurator.start()
      const asking = yield* ask({ eotThreshold: 0.8 })
      yield* ask({ keyterm: ["a"] })
      configurator.stop(FluxError.make(new FluxError.ConnectionLost({ detail: "over" }), "closing"))
      configurator.stop(FluxError.make(new FluxError.Stalled({ seconds: 1 }), "closing"))
      configurator.onSuccess(success({ eot_threshold: 0.8 }))
      configurator.onFailure(failure())
      yield* TestClock.adjust("20 seconds")
      const late = yield* ask({ keyterm: ["b"] })
      assert.deepStrictEqual([asking, late].map(outcome), ["ConnectionLost", "ConnectionLost"])
      assert.deepStrictEqual([sent.length, told.length], [1, 0])
    }))

  // --- against a Flux of the simulator

  const Asked = Schema.Struct({
    eotThreshold: Schema.optionalKey(Schema.Literals([0.5, 0.6, 0.7, 0.8])),
    eagerEotThreshold: Schema.optionalKey(Schema.Literals([0.4, 0.55, 0.65])),
    eotTimeoutMs: Schema.optionalKey(Schema.Literals([1000, 5000])),
    keyterm: Schema.optionalKey(Schema.Array(Schema.Literals(["a", "b"])).check(Schema.isMaxLength(2))),
    languageHints: Schema.optionalKey(Schema.Union([Schema.Tuple([]), Schema.Tuple([Schema.Literal("en"), Schema.Literal("de")])]))
  })
  const Step = Schema.Union([Asked, Asked, Schema.Struct({ wait: Schema.Literals([0, 100, 900, 5000]) })])
  /** What Flux does with a Configure, and after how long it says so; `loses` takes it, `ignores` does not, and neither says anything. */
  const Treatment = Schema.Struct({
    how: Schema.Literals(["takes", "takes", "refuses", "loses", "ignores"]),
    after: Schema.Literals([0, 50, 1000, 4900])
  })
  const LateTreatment = Schema.Struct({ ...Treatment.fields, after: Schema.Literals([0, 1000, 4900, 5100, 8000, 13_000]) })

  /** Plays changes and waits against a Flux whose answers come in the order of the Configures, and watches what it can. */
  const play = Effect.fnUntraced(function*(
    profile: Profile.Profile,
    steps: ReadonlyArray<typeof Step.Type>,
    treatments: ReadonlyArray<{ readonly how: (typeof Treatment.Type)["how"]; readonly after: number }>
  ) {
    const clock = yield* Clock.Clock
    const now = (): number => clock.currentTimeMillisUnsafe()
    let active: configuration.Configuration = {
      eotThreshold: 0.7,
      eagerEotThreshold: undefined,
      eotTimeoutMs: 5000,
      keyterms: [],
      languageHints: [],
      numerals: false
    }
    /** What was in force, and since when. */
    const history: Array<configuration.Configuration> = [active]
    const [sends, answers]: ReadonlyArray<Array<number>> = [[], []]
    const due: Array<{ readonly at: number; readonly say: () => void }> = []
    let lastAnswered = true
    let quiet = 0
    const setUp = yield* make((change) => {
      const { after, how } = treatments[(sends?.length ?? 0) % treatments.length] ?? { after: 0, how: "takes" }
      sends?.push(now())
      assert.isBelow(sends?.length ?? 0, 200, "asks for ever")
      const changed = configuration.apply(active, {
        eotThreshold: change.thresholds?.eot_threshold,
        eagerEotThreshold: change.thresholds?.eager_eot_threshold,
        eotTimeoutMs: change.thresholds?.eot_timeout_ms,
        keyterms: change.keyterms,
        languageHints: change.language_hints,
        numerals: change.numerals
      }, profile, "flux-general-multi")
      // the rules are kept here, so Flux refuses at its own will alone
      assert.isTrue(Result.isSuccess(changed), "breaks a rule")
      if (Result.isSuccess(changed) && (how === "takes" || how === "loses")) active = changed.success
      history.push(active)
      lastAnswered = how === "takes"
      if (how === "loses" || how === "ignores") return
      const { thresholds, ...rest } = configuration.echo(active, profile, "flux-general-multi")
      const { eager_eot_threshold: eager, eot_threshold: eot } = thresholds
      const echo = success({
        ...thresholds,
        ...(eot == null ? {} : { eot_threshold: Math.fround(eot) }),
        ...(eager == null ? {} : { eager_eot_threshold: Math.fround(eager) })
      }, { ...rest, keyterms: rest.keyterms.toReversed() })
      quiet = Math.max(quiet, now() + after)
      due.push({ at: quiet, say: () => how === "takes" ? setUp.configurator.onSuccess(echo) : setUp.configurator.onFailure(failure("X")) })
    })
    const { ask, configurator, told } = setUp
    const answer = Effect.sync(() => {
      for (let next = due[0]; next !== undefined && next.at <= now(); next = due[0]) {
        due.shift()
        answers?.push(now())
        next.say()
      }
    })
    const asked: Array<{ readonly change: Partial<configure.Active>; readonly fiber: Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>>; seen: boolean }> = []
    /** Who is told that it is done is told the truth: it is in force, or what was asked for later in its place. */
    const look = (): void => {
      for (const [at, one] of asked.entries()) {
        const outcomeNow = outcome(one.fiber)
        if (one.seen || outcomeNow === "waits") continue
        one.seen = true
        if (outcomeNow !== undefined) continue
        const later = asked.slice(at).map(({ change }) => change)
        for (const key of configure.keys) {
          if (one.change[key] === undefined) continue
          const inForce = activeIn(active)
          assert.isTrue(later.some((change) => change[key] !== undefined && configure.differing({ ...inForce, ...pickOne(change, key) }, inForce).length === 0), `${key} is told to be in force`)
        }
      }
    }
    /** From one moment at which something can happen to the next one. */
    const pass = Effect.fnUntraced(function*(millis: number) {
      const end = now() + millis
      while (true) {
        yield* answer
        yield* TestClock.adjust(0)
        look()
        if (now() >= end) return
        const moments = [end, due[0]?.at ?? end, (sends?.at(-1) ?? end) + 5000]
        yield* TestClock.adjust(Math.min(...moments.filter((at) => at > now())) - now())
      }
    })
    configurator.start()
    for (const step of steps) {
      if ("wait" in step) yield* pass(step.wait)
      else {
        const next = { ...configurator.wanted(), ...step }
        if (next.eagerEotThreshold !== undefined && next.eagerEotThreshold > next.eotThreshold) continue
        // who asks for what is asked for already has no say in it
        const change = Object.fromEntries(configure.differing(configurator.wanted(), next).map((key) => [key, next[key]]))
        asked.push({ change, fiber: yield* ask(step), seen: false })
        yield* pass(0)
      }
    }
    yield* pass(120_000)
    return { active, asked, answers: answers ?? [], history, inForce: activeIn(active), lastAnswered, sends: sends ?? [], told, wanted: configurator.wanted() }
  })
  const activeIn = ({ eagerEotThreshold, keyterms, ...rest }: configuration.Configuration): configure.Active => ({
    ...rest,
    ...(eagerEotThreshold === undefined ? {} : { eagerEotThreshold }),
    keyterm: keyterms
  })
  const pickOne = (change: Partial<configure.Active>, key: configure.Key): Partial<configure.Active> => ({ [key]: change[key] })

  const bundles = [hosted, Profile.profiles["flux-multi-20260417"]] as const
  for (const profile of bundles) {
    it.effect.prop(`against a ${profile.name} that refuses or loses: one is out at a time, all who wait are told the truth, and both agree in the end`, {
      steps: Schema.Array(Step),
      treatments: Schema.Array(Treatment).check(Schema.isMinLength(1))
    }, ({ steps, treatments }) =>
      Effect.gen(function*() {
        const { answers, asked, inForce, lastAnswered, sends, told, wanted } = yield* play(profile, steps, treatments)
        sends.forEach((at, number) => {
          const before = sends[number - 1]
          if (before === undefined) return
          const answered = answers.some((when) => when >= before && when <= at)
          assert.isTrue(answered || at - before >= 5000, `${number} was sent at ${at}, the one before at ${before}`)
        })
        assert.notInclude(asked.map(({ fiber }) => outcome(fiber)), "waits")
        // every Configure has one outcome, and all others are changes that were dropped for want of ground
        assert.strictEqual(told.filter((line) => !line.includes(": ")).length, sends.length)
        if (lastAnswered) assert.deepStrictEqual(configure.differing(wanted, inForce), [])
      }), { arbitrary: { runs: 300, size: 24, seed: "flux" } })

    it.effect.prop(`against a ${profile.name} that answers late, in order, too: all who wait are answered, and both agree in the end`, {
      steps: Schema.Array(Step),
      treatments: Schema.Array(LateTreatment).check(Schema.isMinLength(1))
    }, ({ steps, treatments }) =>
      Effect.gen(function*() {
        const { answers, asked, inForce, lastAnswered, sends, wanted } = yield* play(profile, steps, treatments)
        sends.forEach((at, number) => {
          const before = sends[number - 1]
          if (before === undefined) return
          assert.isTrue(at - before >= 5000 || answers.some((when) => when >= before && when <= at), "nothing was answered meanwhile")
        })
        assert.notInclude(asked.map(({ fiber }) => outcome(fiber)), "waits")
        if (lastAnswered) assert.deepStrictEqual(configure.differing(wanted, inForce), [])
      }), { arbitrary: { runs: 300, size: 24, seed: "flux" } })
  }
})
