/** How often, for how long and how fast a session is tried for. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import * as budgets from "../../src/internal/budget.ts"
import { defaultRetry, type Retry } from "../../src/internal/retry.ts"
import * as sessionLimits from "../../src/internal/sessionLimit.ts"
import { errorOf, reasonOf } from "../support/session.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

const gone = new FluxError.ConnectionLost({ detail: "gone" })
const lost = FluxError.make(gone, "streaming")
const refusal = new FluxError.Rejected({ detail: "no" })
const rejected = FluxError.make(refusal, "open")
const notFound = FluxError.make(new FluxError.ConnectFailed({ target: "host", cause: Object.assign(new Error("no"), { code: "ENOTFOUND" }) }), "open")
const denied = FluxError.make(new FluxError.Unauthorized({ status: 403, detail: "no" }), "open")
const told = (end: number, transcript: string) => turnInfoOf({ audio_window_end: end, transcript })
/** On TestClock. */
const make = (options: { readonly retry?: Retry; readonly wasConnected?: boolean; readonly suspects?: boolean; readonly isReached?: () => boolean } = {}) =>
  Effect.map(Clock.Clock, (clock) =>
    budgets.make({
      clock,
      retry: options.retry,
      wasConnected: () => options.wasConnected ?? true,
      suspectsSettings: () => options.suspects ?? true,
      sessions: { isReached: options.isReached ?? (() => false) }
    }))
/** What the dice show, each time. */
const dice = (share: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Random.Random, { nextDoubleUnsafe: () => share, nextIntUnsafe: () => 0 })
/** One session that fails: how long to wait for the next one. */
const failing = (budget: budgets.Budget, error: FluxError.FluxError = lost) =>
  Effect.suspend(() => {
    budget.attempt()
    return Effect.exit(budget.next(error))
  })
/** The waits, each of which is waited for; NaN where there is none. */
const waits = Effect.fnUntraced(function*(budget: budgets.Budget, count: number, error: FluxError.FluxError = lost) {
  const all: Array<number> = []
  budget.time.run()
  for (let i = 0; i < count; i++) {
    const exit = yield* failing(budget, error)
    if (Exit.isSuccess(exit)) yield* TestClock.adjust(exit.value)
    all.push(Exit.isSuccess(exit) ? exit.value : Number.NaN)
  }
  return all
})
/** Waits until it gives up. */
const exhausting = Effect.fnUntraced(function*(budget: budgets.Budget, error: FluxError.FluxError = lost) {
  const began = yield* Clock.currentTimeMillis
  budget.time.run()
  for (;;) {
    const exit = yield* failing(budget, error)
    if (Exit.isFailure(exit)) return { after: (yield* Clock.currentTimeMillis) - began, reason: reasonOf(exit), error: errorOf(exit) }
    yield* TestClock.adjust(exit.value)
  }
})
/** Gives what was spent back. */
const progressAt = (budget: budgets.Budget, end: number): void => budget.take(told(end, "word"))

describe("waits", () => {
  it.effect("are drawn from what doubles from 100 ms to 5 s", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* waits(yield* make(), 9), [50, 100, 200, 400, 800, 1600, 2500, 2500, 2500])
    }).pipe(dice(0.5)))

  for (const { expected, share } of [{ share: 0, expected: [0, 0, 0, 0] }, { share: 0.99, expected: [99, 198, 396, 792] }]) {
    it.effect(`are anything from nothing to that long: ${share}`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* waits(yield* make(), 4), expected)
      }).pipe(dice(share)))
  }

  it.effect("are those of the schedule that others can use", () =>
    Effect.gen(function*() {
      const budget = yield* make({ retry: defaultRetry, wasConnected: false })
      assert.deepStrictEqual(yield* waits(budget, 6), [50, 100, 200, 400, 800, 1600])
      // which ends 30 s after the first failure, and says so with no more than the number
      yield* TestClock.adjust(30_000)
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 7, last: gone })
    }).pipe(dice(0.5)))
})

describe("time", () => {
  it.effect("is 30 s without a session; the last try begins a second before they are over", () =>
    Effect.gen(function*() {
      const { after, error, reason } = yield* exhausting(yield* make())
      assert.strictEqual(after, 29_000)
      // 50 + ... + 1600 is 3150; then 2500 each, ten of which end at 28150; the eleventh is cut short
      assert.deepInclude(reason, { _tag: "RetriesExhausted", attempts: 6 + 10 + 1 + 1, last: gone, bound: "time", seconds: 29 })
      assert.strictEqual(error?.stage, "streaming")
      assert.match(error?.message ?? "", /^Gave up after 18 attempts in 29 s\. /)
    }).pipe(dice(0.5)))

  it.effect("goes by while it runs, over as many gaps as there are", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      budget.time.run()
      yield* TestClock.adjust(10_000)
      budget.time.run()
      yield* TestClock.adjust(5000)
      budget.time.pause()
      budget.time.pause()
      // a session that lives, or a permit that is waited for, costs nothing
      yield* TestClock.adjust(60_000)
      const expiring = yield* Effect.forkChild(Effect.exit(budget.expiry), { startImmediately: true })
      yield* TestClock.adjust(60_000)
      budget.time.run()
      yield* TestClock.adjust(8000)
      budget.time.pause()
      yield* TestClock.adjust(60_000)
      budget.time.run()
      yield* TestClock.adjust(6999)
      assert.isUndefined(expiring.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isDefined(expiring.pollUnsafe())
    }))

  it.effect("that is up says what the last session failed with, and how many there were", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      const expired = Effect.gen(function*() {
        const expiring = yield* Effect.forkChild(Effect.exit(budget.expiry), { startImmediately: true })
        budget.time.run()
        yield* TestClock.adjust(30_000)
        return yield* Fiber.join(expiring)
      })
      assert.deepInclude(reasonOf(yield* expired), { _tag: "ConnectTimeout", stage: "open", seconds: 30 })
      yield* failing(budget)
      assert.strictEqual(errorOf(yield* expired), lost)
      yield* failing(budget, rejected)
      assert.deepInclude(reasonOf(yield* expired), { _tag: "RetriesExhausted", attempts: 2, last: refusal, bound: "time" })
    }))

  it.effect("is the caller's own where there is a schedule: it is told the failures, and how long they took", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const retry = Schedule.spaced(7000).pipe(
        Schedule.setInputType<FluxError.FluxError>(),
        Schedule.while(({ elapsed, input }) => {
          seen.push(`${input.reason._tag} ${elapsed}`)
          return elapsed < 100_000
        })
      )
      const budget = yield* make({ retry, isReached: () => true })
      budget.time.run()
      const expiring = yield* Effect.forkChild(budget.expiry, { startImmediately: true })
      for (let i = 0; i < 10; i++) {
        const exit = yield* failing(budget, i === 0 ? rejected : lost)
        assert.deepStrictEqual(exit, Exit.succeed(7000))
        yield* TestClock.adjust(10_000)
      }
      assert.isUndefined(expiring.pollUnsafe())
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 11 })
      assert.deepStrictEqual(seen.slice(0, 2), ["Rejected 0", "ConnectionLost 10000"])
      yield* Fiber.interrupt(expiring)
    }))
})

describe("a failure", () => {
  const failed = (code: string, proxy?: FluxError.ConnectFailed["proxy"]) =>
    FluxError.make(new FluxError.ConnectFailed({ target: "host", proxy, cause: Object.assign(new Error("no"), { code }) }), "open")
  const refused = (status: number) => failed("", { host: "proxy", problem: "refused", status })
  const gives = (first: "nothing" | "5 s" | "30 s", afterwards: "nothing" | "30 s", error: FluxError.FluxError, name: string = error.reason._tag) =>
    ({ first, afterwards, error, name })
  const table = [
    gives("nothing", "30 s", denied),
    gives("nothing", "30 s", FluxError.make(new FluxError.InvalidRequest({ status: 400, detail: "no" }), "open")),
    gives("nothing", "30 s", FluxError.make(new FluxError.CredentialsUnavailable({ cause: new Error("none") }), "open")),
    ...["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", "ERROR_IN_CRL_LAST_UPDATE_FIELD", "HOSTNAME_MISMATCH", "CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID"]
      .map((code) => gives("nothing", "30 s", failed(code), code)),
    gives("nothing", "30 s", refused(407), "a proxy that wants a login"),
    gives("30 s", "30 s", refused(503), "a proxy that is overloaded"),
    ...["ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER"].map((code) => gives("5 s", "30 s", failed(code), code)),
    gives("5 s", "30 s", failed("ECONNREFUSED", { host: "proxy", problem: "unreachable" }), "a proxy that is not there"),
    ...["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EPIPE"].map((code) => gives("30 s", "30 s", failed(code), code)),
    gives("30 s", "30 s", FluxError.make(new FluxError.ServiceUnavailable({ status: 503, detail: "no" }), "open")),
    gives("30 s", "30 s", FluxError.make(new FluxError.Throttled({ detail: "no" }), "streaming")),
    gives("30 s", "30 s", lost),
    gives("nothing", "nothing", FluxError.make(new FluxError.InvalidSettings({ issues: [] }), "settings")),
    gives("nothing", "nothing", FluxError.make(new FluxError.UnsupportedByEndpoint({ feature: "x" }), "settings")),
    gives("nothing", "nothing", FluxError.make(new FluxError.FluxFatal({ code: "UNPARSABLE_CLIENT_MESSAGE", description: "no" }), "streaming"), "an unknown message"),
    gives("nothing", "nothing", FluxError.make(new FluxError.BufferOverflow({ buffer: "events", limit: 1 }), "streaming"))
  ]
  const millisOf = { nothing: 0, "5 s": 5000, "30 s": 30_000 } as const
  for (const wasConnected of [false, true]) {
    for (const { afterwards, error, first, name } of table) {
      const expected = wasConnected ? afterwards : first
      it.effect(`${wasConnected ? "after" : "before"} the first Connected is given ${expected}: ${name}`, () =>
        Effect.gen(function*() {
          const budget = yield* make({ wasConnected, suspects: !wasConnected })
          const given = yield* exhausting(budget, error)
          // less the second in which a last try would have begun
          assert.strictEqual(given.after, Math.max(0, millisOf[expected] - 1000))
          assert.strictEqual(budget.mayHeal(error), expected !== "nothing")
          if (expected === "nothing") assert.strictEqual(given.error, error)
          else assert.deepInclude(given.reason, { _tag: "RetriesExhausted", bound: "time" })
        }).pipe(dice(0.5)))
    }
  }

  it.effect("is given nothing where it is a 400 that may be about new settings, whatever there was before them", () =>
    Effect.gen(function*() {
      const budget = yield* make({ wasConnected: true, suspects: true })
      const bad = FluxError.make(new FluxError.InvalidRequest({ status: 400, detail: "no" }), "open")
      assert.isFalse(budget.mayHeal(bad))
      assert.strictEqual(errorOf(yield* failing(budget, bad)), bad)
      for (const other of [denied, notFound, lost]) assert.isTrue(budget.mayHeal(other))
    }))

  it.effect("to reach the server is given 30 s once something has answered", () =>
    Effect.gen(function*() {
      const budget = yield* make({ wasConnected: false })
      yield* waits(budget, 1, FluxError.make(new FluxError.ServiceUnavailable({ status: 503, detail: "no" }), "open"))
      const { after } = yield* exhausting(budget, notFound)
      assert.strictEqual(after, 29_000 - 50)
    }).pipe(dice(0.5)))

  it.effect("that nobody tried again, and one of somebody else's budget, are not wrapped", () =>
    Effect.gen(function*() {
      assert.strictEqual(errorOf(yield* failing(yield* make({ retry: Schedule.recurs(0) }))), lost)
      const budget = yield* make({ retry: Schedule.recurs(1) })
      yield* failing(budget)
      const exhausted = FluxError.make(new FluxError.RetriesExhausted({ attempts: 5, last: gone }), "open")
      assert.strictEqual(errorOf(yield* failing(budget, exhausted)), exhausted)
    }))

  it.effect("with a schedule of the caller's own is what it always was", () =>
    Effect.gen(function*() {
      const budget = yield* make({ retry: Schedule.recurs(9), wasConnected: true })
      assert.strictEqual(errorOf(yield* failing(budget, denied)), denied)
      assert.isFalse(budget.mayHeal(denied))
      for (let i = 0; i < 9; i++) assert.isTrue(Exit.isSuccess(yield* failing(budget, rejected)))
      assert.deepInclude(reasonOf(yield* failing(budget, rejected)), { _tag: "RetriesExhausted", attempts: 11 })
    }))
})

describe("a 424", () => {
  it.effect("that may be about the settings is tried three times, whatever came between", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      assert.deepStrictEqual(yield* waits(budget, 1, rejected), [50])
      assert.deepStrictEqual(yield* waits(budget, 1), [100])
      assert.deepStrictEqual(yield* waits(budget, 1, rejected), [200])
      assert.deepInclude(reasonOf(yield* failing(budget, rejected)), { _tag: "RetriesExhausted", attempts: 4, last: refusal, bound: "rejections" })
    }).pipe(dice(0.5)))

  it.effect("that is not about them has the time", () =>
    Effect.gen(function*() {
      const { after, reason } = yield* exhausting(yield* make({ suspects: false }), rejected)
      assert.strictEqual(after, 29_000)
      assert.deepInclude(reason, { _tag: "RetriesExhausted", last: refusal, bound: "time" })
    }).pipe(dice(0.5)))
})

describe("sessions of a call", () => {
  it.effect("are 20 in ten minutes at most, which the error says", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const limit = sessionLimits.make(() => clock.currentTimeMillisUnsafe())
      const budget = yield* make({ isReached: limit.isReached })
      for (let session = 1; session <= 20; session++) {
        limit.note()
        // each one makes progress
        progressAt(budget, session * 2)
        yield* TestClock.adjust(2000)
        if (session < 20) assert.isTrue(Exit.isSuccess(yield* failing(budget)))
      }
      const exit = yield* failing(budget)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", attempts: 20, last: gone, bound: "sessions" })
      assert.match(errorOf(exit)?.message ?? "", /^Gave up after 20 sessions within 10 minutes\. /)
      // the first one was at 0
      yield* TestClock.adjust(600_000 - 40_000 - 1)
      assert.isTrue(limit.isReached())
      yield* TestClock.adjust(1)
      assert.isFalse(limit.isReached())
    }))
})

describe("progress", () => {
  for (const [what, until, transcript, isProgress] of [
    ["words one second in", 1, "word", true],
    ["words before that", 0.99, "word", false],
    ["silence ten seconds in", 10, "", true],
    ["silence before that", 9.99, "", false]
  ] as const) {
    it.effect(`is ${isProgress ? "" : "not "}${what}`, () =>
      Effect.gen(function*() {
        const budget = yield* make()
        yield* waits(budget, 3)
        budget.take(told(until, transcript))
        assert.strictEqual(budget.attempts(), isProgress ? 0 : 3)
        assert.deepStrictEqual(yield* waits(budget, 1), [isProgress ? 50 : 400])
      }).pipe(dice(0.5)))
  }

  it.effect("is what is later by so much than all before: an utterance that is heard again and again is none", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      progressAt(budget, 20)
      for (const end of [18, 20, 20.9]) {
        yield* waits(budget, 1)
        progressAt(budget, end)
      }
      assert.strictEqual(budget.attempts(), 3)
      progressAt(budget, 21)
      assert.strictEqual(budget.attempts(), 0)
      // audio of which no words came is told of every 240 ms, and counts from where words or it last did
      yield* waits(budget, 1)
      budget.take(told(29.9, ""))
      assert.strictEqual(budget.attempts(), 1)
      budget.take(told(30, ""))
      assert.strictEqual(budget.attempts(), 0)
    }))

  it.effect("gives refusals and time back, too, and forgets the last failure", () =>
    Effect.gen(function*() {
      const budget = yield* make()
      yield* waits(budget, 2, rejected)
      yield* TestClock.adjust(20_000)
      progressAt(budget, 5)
      assert.deepStrictEqual(yield* waits(budget, 2, rejected), [50, 100])
      progressAt(budget, 10)
      const expiring = yield* Effect.forkChild(Effect.exit(budget.expiry), { startImmediately: true })
      yield* TestClock.adjust(29_999)
      assert.isUndefined(expiring.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepInclude(reasonOf(yield* Fiber.join(expiring)), { _tag: "ConnectTimeout", seconds: 30 })
    }).pipe(dice(0.5)))

  it.effect("begins the caller's schedule anew", () =>
    Effect.gen(function*() {
      const budget = yield* make({ retry: Schedule.exponential(100).pipe(Schedule.upTo({ times: 3 })) })
      assert.deepStrictEqual(yield* waits(budget, 3), [100, 200, 400])
      progressAt(budget, 1)
      assert.deepStrictEqual(yield* waits(budget, 3), [100, 200, 400])
      assert.deepInclude(reasonOf(yield* failing(budget)), { _tag: "RetriesExhausted", attempts: 4 })
    }))
})
