/** Sessions that are tried for, each within its bounds: what the default allows, and what a `retry` of the caller's own does. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { lines, listened, opened, seeded, speaking } from "../support/conversation.ts"
import { reasonOf } from "../support/session.ts"
import { connected, turnInfo } from "../support/wire.ts"

const gone = new FluxError.ConnectionLost({ detail: "gone" })
const refusing = (reason: FluxError.Reason): FakeTransport.Peer => ({ accept: Effect.fail(FluxError.make(reason, "open")) })
const well: FakeTransport.Peer = {
  opened: (server) => server.say(connected),
  received: ({ dataType }, server) => dataType === "UTF8" ? server.end : Effect.void
}
/** Breaks so many ms after it was Connected. */
const brokenAfter = (millis: number): FakeTransport.Peer => ({
  ...well,
  opened: (server) => Effect.andThen(server.say(connected), Effect.delay(server.fail(gone), millis))
})
/** The other side, by the number of the session and the seconds on the Clock; and when each was opened, in ms. */
const world = (peer: (session: number, now: number) => FakeTransport.Peer, opens: Array<number> = [], options: Transcriber.Options = {}) =>
  Layer.unwrap(Effect.map(Clock.Clock, (clock) =>
    Transcriber.layerWith(options).pipe(
      Layer.provideMerge(FakeTransport.layerPeer((_, session) => {
        const now = clock.currentTimeMillisUnsafe()
        opens.push(now)
        return peer(session, now / 1000)
      })),
      Layer.provideMerge(FluxSettings.layer())
    )))

describe("one attempt in the place of a session that broke", () => {
  const breaks = 3000
  const healed = 20
  const silences = {
    "says nothing": { accept: Effect.never },
    "takes the stream and never says Connected": {}
  } as const
  for (const [what, silence] of Object.entries(silences)) {
    for (const openTimeout of [2, 5, 8]) {
      it.effect(`has 5 s, or openTimeout where that is less: ${openTimeout} s, at an endpoint that ${what}`, () => {
        const opens: Array<number> = []
        return Effect.gen(function*() {
          const { events, exit } = yield* listened(speaking(30).pipe(Transcriber.transcribe({ id: "call", settings: { openTimeout: `${openTimeout} seconds` } })), 100)
          assert.strictEqual(exit._tag, "Success")
          const bound = Math.min(5, openTimeout) * 1000
          const tried = opens.filter((at) => at > breaks)
          // each but the last one, and then a wait of 100 ms, 200, 400... at most
          for (const [at, began] of tried.slice(0, -1).entries()) {
            const took = (tried[at + 1] ?? 0) - began
            assert.isAtLeast(took, bound)
            assert.isAtMost(took, bound + Math.min(5000, 100 * 2 ** (at + 1)))
          }
          assert.isAtLeast(tried.length, 3)
          assert.isTrue(lines(events).some((line) => line.startsWith("Resumed")))
        }).pipe(Effect.provide(world((session, now) => session === 0 ? brokenAfter(breaks) : now < healed ? silence : well, opens)))
      })
    }
  }

  it.effect("has the bounds of the settings alone where the caller has set when to try", () => {
    const opens: Array<number> = []
    return Effect.gen(function*() {
      const retry = Schedule.spaced("1 second")
      const { exit } = yield* listened(speaking(40).pipe(Transcriber.transcribe({ id: "call", retry, settings: { openTimeout: "8 seconds" } })), 100)
      assert.strictEqual(exit._tag, "Success")
      const tried = opens.filter((at) => at > breaks)
      assert.deepStrictEqual(tried, [1, 2, 3].map((time) => breaks + 1000 + (time - 1) * 9000))
    }).pipe(Effect.provide(world((session, now) => session === 0 ? brokenAfter(breaks) : now < healed ? { accept: Effect.never } : well, opens)))
  })
})

describe("an update that takes another session", () => {
  const refused = new FluxError.ConnectFailed({ target: "host", cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }) })
  const causes = {
    refuses: refused,
    "says 403": new FluxError.Unauthorized({ status: 403, detail: "no" }),
    "has no certificate to trust": new FluxError.ConnectFailed({ target: "host", cause: Object.assign(new Error("no"), { code: "CERT_HAS_EXPIRED" }) }),
    throttles: new FluxError.Throttled({ detail: "slow down" })
  }
  for (const [what, reason] of Object.entries(causes)) {
    it.effect(`outlives an endpoint that ${what} for 8 s, as the call does`, () =>
      seeded(Effect.gen(function*() {
        const { change, conversation, speak } = yield* opened()
        yield* speak(2)
        const update = yield* change({ tag: ["x"] })
        yield* speak(20)
        assert.deepStrictEqual<unknown>(yield* Fiber.join(update), Exit.succeed("rotated"))
        assert.deepInclude(yield* conversation.settings, { tag: ["x"] })
      })).pipe(Effect.provide(world((session, now) => session === 0 || now >= 10 ? well : refusing(reason)))))
  }

  for (const [what, reason, tries] of [
    ["a 400", new FluxError.InvalidRequest({ status: 400, detail: "no" }), 1],
    ["a 424", new FluxError.Rejected({ detail: "no" }), 3]
  ] as const) {
    it.effect(`is given up after ${what}, tried ${tries} times`, () => {
      const opens: Array<number> = []
      return seeded(Effect.gen(function*() {
        const { change, conversation, events, speak } = yield* opened()
        yield* speak(2)
        const update = yield* change({ tag: ["x"] })
        yield* speak(10)
        const failed: unknown = reasonOf(yield* Fiber.join(update))
        if (tries === 1) assert.deepInclude(failed, { _tag: "InvalidRequest", status: 400, detail: "no" })
        else assert.deepInclude(failed, { _tag: "RetriesExhausted", attempts: tries, last: reason, bound: "rejections" })
        assert.strictEqual(opens.length, 1 + tries)
        assert.strictEqual(yield* conversation.status, "ready")
        assert.isTrue(lines(events).includes("SettingsRejected: tag"))
      })).pipe(Effect.provide(world((session) => session === 0 ? well : refusing(reason), opens)))
    })
  }

  it.effect("is given up when 20 sessions have broken that waited for the end of a turn", () => {
    const opens: Array<number> = []
    /** A turn without end. */
    const inTurn: FakeTransport.Peer = {
      ...well,
      opened: (server) => Effect.andThen(server.say(connected), server.say(turnInfo({ event: "StartOfTurn", transcript: "so" })))
    }
    return seeded(Effect.gen(function*() {
      const { change, conversation, events, speak } = yield* opened({ settings: { stallTimeout: "1 hour" } })
      yield* speak(1)
      const update = yield* change({ tag: ["x"] })
      yield* speak(300)
      assert.deepInclude(reasonOf(yield* Fiber.join(update)), { _tag: "RetriesExhausted", attempts: 20, last: gone, bound: "sessions" })
      // the first one lives, and is one of the 20
      assert.strictEqual(opens.length, 20)
      assert.strictEqual(yield* conversation.status, "ready")
      assert.isTrue(lines(events).includes("SettingsRejected: tag"))
    })).pipe(Effect.provide(world((session) => session === 0 ? inTurn : brokenAfter(100), opens)))
  })
})

describe("a permit that is waited for", () => {
  const mute: FakeTransport.Peer = { accept: Effect.never }
  const four = Effect.gen(function*() {
    const transcriber = yield* Transcriber.Transcriber
    return yield* Effect.forEach(["a", "b", "c", "d"], (id) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const call = yield* Scope.provide(transcriber.open({ id }), scope)
        const ended = yield* Effect.forkChild(Effect.exit(Stream.runDrain(call.events)), { startImmediately: true })
        return { call, ended, close: Scope.close(scope, Exit.void) }
      }))
  })

  it.effect("goes to the next one where whoever waits is interrupted, and where whoever has it is", () => {
    const opens: Array<number> = []
    return Effect.gen(function*() {
      const [first, second, , fourth] = yield* four
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(opens, [0])
      yield* second?.close ?? Effect.void
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(opens, [0])
      yield* first?.close ?? Effect.void
      yield* TestClock.adjust("1 second")
      // the third one has it now, for its 15 s; then it waits behind the fourth
      assert.deepStrictEqual(opens, [0, 2000])
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(opens, [0, 2000, 17_000])
      yield* fourth?.close ?? Effect.void
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(opens.length, 4)
    }).pipe(Effect.provide(world(() => mute, opens, { opens: 1 })))
  })

  it.effect("takes nothing of the time of a call, also where its audio has ended: each is tried for its 30 s", () => {
    const opens: Array<number> = []
    return Effect.gen(function*() {
      const all = yield* four
      const finishing = yield* Effect.forkChild(Effect.exit(all[3]?.call.finish ?? Effect.void), { startImmediately: true })
      yield* TestClock.adjust("44 seconds")
      // three others have had 15 s each before it, or have it
      assert.deepStrictEqual(opens, [0, 15_000, 30_000])
      assert.isUndefined(finishing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(opens.length, 4)
      yield* TestClock.adjust("90 seconds")
      // open and Connected together, once the audio has ended
      assert.deepInclude(reasonOf(yield* Fiber.join(finishing)), { _tag: "RetriesExhausted", attempts: 2, bound: "time", seconds: 25 })
      for (const { ended } of all.slice(0, 3)) {
        assert.deepInclude(reasonOf(yield* Fiber.join(ended)), { _tag: "RetriesExhausted", attempts: 2, bound: "time", seconds: 30 })
      }
      for (const { close } of all) yield* close
    }).pipe(Effect.provide(world(() => mute, opens, { opens: 1 })))
  })
})

describe("the time without a session", () => {
  const unavailable = new FluxError.ServiceUnavailable({ status: 503, detail: "no" })
  /** Says nothing of the audio, so that there is no progress: what it lives is all that counts for it. */
  const living = (lived: number) => {
    const opens: Array<number> = []
    const out = 6000
    let backAt = 0
    return {
      opens,
      world: world((_, now) => {
        if (now * 1000 < backAt) return refusing(unavailable)
        backAt = now * 1000 + lived + out
        return brokenAfter(lived)
      }, opens)
    }
  }
  it.effect("begins anew with a session that has lived for as long: a call that says nothing outlives more than one outage", () => {
    const { opens, world } = living(40_000)
    return Effect.gen(function*() {
      const { exit } = yield* listened(speaking(460).pipe(Transcriber.transcribe({ id: "call" })), 600)
      assert.strictEqual(exit._tag, "Success", String(exit))
      // of 46 s each, ten of them: twice the time in all
      assert.isAbove(opens.length, 30)
    }).pipe(Effect.provide(world))
  })

  it.effect("goes on with one that has not", () => {
    const { world } = living(20_000)
    return Effect.gen(function*() {
      const { endedAt, exit } = yield* listened(speaking(460).pipe(Transcriber.transcribe({ id: "call" })), 600)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", bound: "time" })
      // five outages of 6 s or, with a wait, up to 5 s more
      assert.isAtLeast(endedAt, 3 * 26_000)
      assert.isAtMost(endedAt, 6 * 26_000)
    }).pipe(Effect.provide(world))
  })
})

describe("a change of what only this client does", () => {
  it.effect("is not what a 424 is about: it comes into force with the session after the outage", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, speak } = yield* opened()
      yield* speak(2.4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const update = yield* change({ minConfidence: 0.3 })
      yield* speak(30)
      assert.deepStrictEqual<unknown>(yield* Fiber.join(update), Exit.succeed("rotated"))
      assert.deepInclude(yield* conversation.settings, { minConfidence: 0.3 })
      assert.isFalse(lines(events).some((line) => line.startsWith("SettingsRejected")))
    })).pipe(Effect.provide(world((session, now) =>
      session === 0 ? brokenAfter(2000) : now < 15 ? refusing(new FluxError.Rejected({ detail: "no" })) : well))))
})
