/** The settings that a conversation wants, whichever session it has. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as FluxError from "../../src/FluxError.ts"
import type { Settings } from "../../src/FluxSettings.ts"
import type { Live } from "../../src/internal/relay.ts"
import type { Applied } from "../../src/internal/sessionShape.ts"
import { changedKeys } from "../../src/internal/settingsChange.ts"
import * as wantedSettings from "../../src/internal/wantedSettings.ts"
import { liveSession } from "../support/liveSession.ts"
import { fork, reasonOf, settingsOf } from "../support/session.ts"

const base = settingsOf({ keyterm: ["base"], mipOptOut: false })
const to = (patch: Partial<Settings>) => (settings: Settings) => Result.succeed({ ...settings, ...patch })
const refused = FluxError.make(new FluxError.SettingsRefused({ settings: ["keyterm"], code: "X" }), "streaming")
const gone = FluxError.make(new FluxError.ConnectionLost({ detail: "gone" }), "streaming")
const rejected = FluxError.make(new FluxError.Rejected({ detail: "no" }), "open")
const [configured, rotated]: ReadonlyArray<Exit.Exit<Applied, FluxError.FluxError>> = [Exit.succeed("configured"), Exit.succeed("rotated")]

/** Sessions that can change keyterms while they run, when they are let to, and nothing else. */
const make = () => {
  const told: Array<string> = []
  const state: { live: Live | undefined; ending: boolean } = { live: undefined, ending: false }
  const wanted = wantedSettings.make({ initial: base, current: () => state.live, isEnding: () => state.ending })
  const session = (had: Settings, answer: Effect.Effect<void, FluxError.FluxError> = Effect.void) => {
    let settings = had
    const live = liveSession(0, {
      settings: () => settings,
      obstacles: (next) => ({ session: changedKeys(settings, next).filter((key) => key !== "keyterm"), configure: [] }),
      change: (next) =>
        Effect.andThen(answer, Effect.sync(() => {
          const made = next(settings)
          if (Result.isSuccess(made)) settings = made.success
        })),
      tell: (signal) => void told.push(signal.type === "SettingsRejected" ? `rejected ${signal.settings.join(" ")}: ${signal.description}` : signal.type)
    })
    return live
  }
  const begin = (had = base, answer?: Effect.Effect<void, FluxError.FluxError>): Live => {
    state.live = session(had, answer)
    return state.live
  }
  const change = (patch: Partial<Settings>) => fork(Effect.exit(wanted.change(to(patch))))
  const isAsked = Effect.gen(function*() {
    const asked = yield* fork(wanted.asked)
    yield* Effect.yieldNow
    const is = asked.pollUnsafe() !== undefined
    yield* Fiber.interrupt(asked)
    return is
  })
  return { begin, change, isAsked, session, state, told, wanted }
}

describe("a change", () => {
  it.effect("that the session in hand can have is in force with it", () =>
    Effect.gen(function*() {
      const { begin, change, isAsked, wanted } = make()
      const live = begin()
      assert.deepStrictEqual(yield* Fiber.join(yield* change({ keyterm: ["x"] })), configured)
      assert.deepStrictEqual([wanted.get().keyterm, live.session.settings().keyterm], [["x"], ["x"]])
      // it may be the age at which another one is due
      assert.isTrue(yield* isAsked)
      // and is what is gone back to
      yield* change({ mipOptOut: true })
      wanted.giveUp(gone)
      assert.deepInclude(wanted.get(), { keyterm: ["x"], mipOptOut: false })
    }))

  it.effect("that it refuses is taken back", () =>
    Effect.gen(function*() {
      const { begin, change, isAsked, wanted } = make()
      begin(base, Effect.fail(refused))
      assert.deepStrictEqual(yield* Fiber.join(yield* change({ keyterm: ["x"] })), Exit.fail(refused))
      assert.deepStrictEqual(wanted.get(), base)
      assert.isFalse(yield* isAsked)
    }))

  it.effect("that breaks with it waits for the next one, which has it", () =>
    Effect.gen(function*() {
      const { begin, change, isAsked, wanted } = make()
      const answer = Deferred.makeUnsafe<void, FluxError.FluxError>()
      const live = begin(base, Deferred.await(answer))
      const update = yield* change({ keyterm: ["x"] })
      Deferred.doneUnsafe(live.over, Exit.fail(gone))
      Deferred.doneUnsafe(answer, Exit.fail(gone))
      yield* Effect.yieldNow
      assert.isUndefined(update.pollUnsafe())
      assert.deepStrictEqual(wanted.get().keyterm, ["x"])
      assert.isTrue(yield* isAsked)
      begin(wanted.get())
      assert.isFalse(yield* wanted.reconcile)
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
    }))

  it.effect("that waits for a session which is retired waits for the next one, too", () =>
    Effect.gen(function*() {
      const { begin, change, wanted } = make()
      const answer = Deferred.makeUnsafe<void, FluxError.FluxError>()
      const live = begin(base, Deferred.await(answer))
      const update = yield* change({ keyterm: ["x"] })
      Object.assign(live.session, { isRetired: () => true })
      Deferred.doneUnsafe(answer, Exit.fail(gone))
      yield* Effect.yieldNow
      assert.isUndefined(update.pollUnsafe())
      begin(wanted.get())
      assert.isFalse(yield* wanted.reconcile)
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
    }))

  it.effect("that came with the last session is in force, also where that was over at once; one that did not come is not", () =>
    Effect.gen(function*() {
      for (const came of [true, false]) {
        const { begin, change, state, wanted } = make()
        begin()
        const update = yield* change({ mipOptOut: true })
        assert.isUndefined(update.pollUnsafe())
        // one that is opened, and never Connected, has not taken them
        state.live = begin(wanted.get())
        if (came) wanted.inForce(wanted.get())
        wanted.stop(gone)
        assert.deepStrictEqual(yield* Fiber.join(update), came ? rotated : Exit.fail(gone))
      }
    }))

  it.effect("that is answered when another session is in hand is not what that one has", () =>
    Effect.gen(function*() {
      const { begin, change, wanted } = make()
      const answer = Deferred.makeUnsafe<void, FluxError.FluxError>()
      begin(base, Deferred.await(answer))
      const update = yield* change({ keyterm: ["x"] })
      begin(base)
      Deferred.doneUnsafe(answer, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(update), configured)
      wanted.giveUp(gone)
      assert.deepStrictEqual(wanted.get(), base)
    }))

  it.effect("waits behind those that wait for another session", () =>
    Effect.gen(function*() {
      const { begin, change, wanted } = make()
      begin()
      const first = yield* change({ mipOptOut: true })
      // nothing is left that the session in hand could not have
      const second = yield* change({ mipOptOut: false, keyterm: ["x"] })
      yield* Effect.yieldNow
      assert.deepStrictEqual([first.pollUnsafe(), second.pollUnsafe()], [undefined, undefined])
      assert.isFalse(yield* wanted.reconcile)
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [configured, configured])
    }))

  it.effect("of the audio itself is none that could be had, and changes nothing", () =>
    Effect.gen(function*() {
      const { begin, change, wanted } = make()
      begin()
      for (const patch of [{ sampleRate: 8000 }, { encoding: "mulaw" }] as const) {
        assert.deepInclude(reasonOf(yield* Fiber.join(yield* change({ ...patch, keyterm: ["x"] }))), { _tag: "UnsupportedByEndpoint" })
      }
      assert.deepStrictEqual(wanted.get(), base)
    }))

  it.effect("that cannot be made says why, and after the end there is none", () =>
    Effect.gen(function*() {
      const { begin, change, state, wanted } = make()
      begin()
      assert.deepStrictEqual(yield* Effect.exit(wanted.change(() => Result.fail(refused))), Exit.fail(refused))
      state.ending = true
      assert.deepInclude(reasonOf(yield* Fiber.join(yield* change({ keyterm: ["x"] }))), { _tag: "CallOver" })
      wanted.stop(gone)
      wanted.stop(refused)
      assert.deepStrictEqual(yield* Fiber.join(yield* change({ keyterm: ["x"] })), Exit.fail(gone))
      assert.deepStrictEqual(wanted.get(), base)
    }))

  it.effect("that waits when the conversation ends fails with its end, also where it had been under way", () =>
    Effect.gen(function*() {
      const { change, wanted } = make()
      const waiting = yield* change({ mipOptOut: true })
      wanted.stop(gone)
      assert.deepStrictEqual(yield* Fiber.join(waiting), Exit.fail(gone))
      const another = make()
      const answer = Deferred.makeUnsafe<void, FluxError.FluxError>()
      const live = another.begin(base, Deferred.await(answer))
      const underWay = yield* another.change({ keyterm: ["x"] })
      another.wanted.stop(gone)
      Deferred.doneUnsafe(live.over, Exit.fail(refused))
      Deferred.doneUnsafe(answer, Exit.fail(refused))
      assert.deepStrictEqual(yield* Fiber.join(underWay), Exit.fail(gone))
    }))
})

describe("reconciling", () => {
  it.effect("has nothing to do before there is a session, nor where it has all", () =>
    Effect.gen(function*() {
      const { begin, change, isAsked, wanted } = make()
      const early = yield* change({ keyterm: ["x"] })
      assert.isTrue(yield* isAsked)
      assert.isFalse(yield* wanted.reconcile)
      assert.isFalse(yield* isAsked)
      assert.isUndefined(early.pollUnsafe())
      begin(wanted.get())
      assert.isFalse(yield* wanted.reconcile)
      assert.deepStrictEqual(yield* Fiber.join(early), rotated)
    }))

  it.effect("asks for another session where this one cannot have what is wanted", () =>
    Effect.gen(function*() {
      const { begin, change, session, wanted } = make()
      const live = begin()
      const update = yield* change({ mipOptOut: true, keyterm: ["x"] })
      assert.isTrue(yield* wanted.reconcile)
      assert.isUndefined(update.pollUnsafe())
      assert.deepStrictEqual(live.session.settings(), base)
      assert.isFalse(wanted.fits(live))
      assert.isTrue(wanted.fits(session(wanted.get())))
      // Configure can do the rest
      assert.isTrue(wanted.fits(session({ ...wanted.get(), keyterm: [] })))
      assert.isFalse(wanted.fits(liveSession(0, { obstacles: () => ({ session: [], configure: ["keyterm"] }) })))
      assert.isFalse(wanted.fits(liveSession(0, { obstacles: () => ({ session: ["tag"], configure: [] }) })))
    }))

  it.effect("changes what this one can, and what it refuses is taken back", () =>
    Effect.gen(function*() {
      for (const [answer, exit, keyterm] of [[Effect.void, configured, ["x"]], [Effect.fail(refused), Exit.fail(refused), ["base"]]] as const) {
        const { begin, change, told, wanted } = make()
        const update = yield* change({ keyterm: ["x"] })
        begin(base, answer)
        assert.isFalse(yield* wanted.reconcile)
        assert.deepStrictEqual(yield* Fiber.join(update), exit)
        assert.deepStrictEqual(wanted.get().keyterm, keyterm)
        // the session says what it did not get
        assert.deepStrictEqual(told, [])
        yield* change({ mipOptOut: true })
        wanted.giveUp(gone)
        assert.deepStrictEqual(wanted.get().keyterm, keyterm)
        assert.deepStrictEqual(told, [`rejected mipOptOut: ${gone.reason.message}`])
      }
    }))

  it.effect("leaves all to the next session where this one breaks meanwhile, or is not the one any more", () =>
    Effect.gen(function*() {
      for (const isReplaced of [true, false]) {
        const { begin, change, wanted } = make()
        const update = yield* change({ keyterm: ["x"] })
        const answer = Deferred.makeUnsafe<void, FluxError.FluxError>()
        const live = begin(base, Deferred.await(answer))
        const reconciling = yield* fork(wanted.reconcile)
        if (isReplaced) begin(base)
        else Deferred.doneUnsafe(live.over, Exit.fail(gone))
        Deferred.doneUnsafe(answer, Exit.fail(gone))
        assert.isFalse(yield* Fiber.join(reconciling))
        assert.isUndefined(update.pollUnsafe())
        assert.deepStrictEqual(wanted.get().keyterm, ["x"])
        begin(wanted.get())
        yield* wanted.reconcile
        assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      }
    }))
})

describe("what cannot be had", () => {
  it.effect("is given up as a whole, back to what the session in hand has; all who wait are told, and the application once", () =>
    Effect.gen(function*() {
      const { begin, change, told, wanted } = make()
      begin()
      const updates = [yield* change({ mipOptOut: true }), yield* change({ keyterm: ["x"] })]
      wanted.giveUp(rejected)
      for (const update of updates) assert.deepStrictEqual(yield* Fiber.join(update), Exit.fail(rejected))
      assert.deepStrictEqual(wanted.get(), base)
      assert.strictEqual(told.length, 1)
      assert.match(told[0] ?? "", /^rejected (?=.*keyterm)(?=.*mipOptOut)/)
      wanted.giveUp(rejected)
      assert.strictEqual(told.length, 1)
    }))

  it.effect("is never what only this client does: no endpoint is asked for it", () =>
    Effect.gen(function*() {
      const { begin, change, told, wanted } = make()
      begin()
      const update = yield* change({ minConfidence: 0.5, openTimeout: Duration.seconds(3) })
      for (let time = 0; time < 5; time++) assert.isFalse(wanted.blame(rejected))
      assert.strictEqual(wanted.get().minConfidence, 0.5)
      assert.isUndefined(update.pollUnsafe())
      // with something else beside it, it is given up along with that
      const other = yield* change({ mipOptOut: true })
      assert.deepStrictEqual([1, 2, 3].map(() => wanted.blame(rejected)), [false, false, true])
      assert.deepStrictEqual(wanted.get(), base)
      for (const failed of [update, other]) assert.deepStrictEqual(yield* Fiber.join(failed), Exit.fail(rejected))
      assert.strictEqual(told.length, 1)
    }))

  for (const [what, error, blamedAt] of [
    ["a refusal of the container", rejected, 3],
    ["a bad request", FluxError.make(new FluxError.InvalidRequest({ status: 400, detail: "no" }), "open"), 1],
    ["settings that the transport does not take", FluxError.make(new FluxError.InvalidSettings({ issues: [] }), "settings"), 1],
    ["silence where Flux should say Connected", FluxError.make(new FluxError.ConnectTimeout({ stage: "connected", seconds: 10 }), "connected"), 3],
    ["a stream that breaks there", FluxError.make(new FluxError.ConnectionLost({ detail: "gone" }), "connected"), 3],
    ["no answer at all", FluxError.make(new FluxError.ConnectTimeout({ stage: "open", seconds: 15 }), "open"), 0],
    ["throttling", FluxError.make(new FluxError.Throttled({ detail: "slow down" }), "open"), 0],
    ["a stream that breaks later", gone, 0]
  ] as const) {
    it.effect(`is ${blamedAt > 0 ? "" : "not "}known by ${what}, and by nothing where nothing was changed`, () =>
      Effect.gen(function*() {
        const { begin, change, told, wanted } = make()
        begin()
        assert.isFalse(wanted.blame(error))
        const update = yield* change({ mipOptOut: true })
        const isBlamed = blamedAt > 0
        // what may be an outage is asked for three times
        for (let time = 1; time < (isBlamed ? blamedAt : 9); time++) assert.isFalse(wanted.blame(error), `time ${time}`)
        assert.strictEqual(wanted.blame(error), isBlamed)
        assert.strictEqual(wanted.get().mipOptOut, !isBlamed)
        assert.strictEqual(told.length, isBlamed ? 1 : 0)
        if (isBlamed) assert.deepStrictEqual(yield* Fiber.join(update), Exit.fail(error))
        else assert.isUndefined(update.pollUnsafe())
        if (isBlamed) assert.isFalse(wanted.blame(error))
      }))
  }
})
