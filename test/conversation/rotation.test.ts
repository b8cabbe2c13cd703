/** Sessions that give way to others: for their age, and for settings that a running one cannot have. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import type { FluxError } from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { heard, lines, listened, opened, opens, queries, seeded, simulated, speaking, turnsOf } from "../support/conversation.ts"
import { reasonOf } from "../support/session.ts"

const call = (seconds: number, options: Transcriber.CallOptions = {}) => speaking(seconds).pipe(Transcriber.transcribe({ id: "call", ...options }))
/** Turns of some seconds each, a word every half second, with pauses of two seconds between them. */
const talk = (seconds: number, lengths: ReadonlyArray<number>) => {
  const turns: Array<{ readonly at: number; readonly words: ReadonlyArray<{ readonly word: string; readonly start: number; readonly end: number }> }> = []
  for (let at = 1; at < seconds - 3;) {
    const length = Math.min(lengths[turns.length % lengths.length] ?? 1, seconds - 3 - at)
    const number = turns.length
    const begin = at
    turns.push({
      at,
      words: Array.from({ length: Math.max(1, Math.floor(length * 2)) }, (_, i) => ({ word: `t${number}w${i}`, start: begin + i / 2, end: begin + i / 2 + 0.4 }))
    })
    at += length + 2
  }
  return { script: Script.make({ clock: "stamps", turns }), said: turns.map(({ words }) => words.map(({ word }) => word).join(" ")) }
}
const aged = { settings: { maxSessionAge: "20 seconds" } } as const

describe("age", () => {
  for (const [what, lengths] of [
    ["short turns", [1, 3, 0.5, 5, 2]],
    ["turns that are longer than the age", [30, 2, 45, 1]],
    ["one turn without end", [600]]
  ] as const) {
    it.effect(`of 20 s, over ten minutes of ${what}: the same words in the same turns as without`, () => {
      const { said, script } = talk(600, lengths)
      return Effect.gen(function*() {
        const { events, exit } = yield* listened(call(600, aged), 700)
        assert.strictEqual(exit._tag, "Success")
        assert.deepStrictEqual(turnsOf(events), said)
        const count = yield* opens
        // one session follows another after 18 s to 23.2 s
        assert.isAtLeast(count, Math.floor(600 / 23.3))
        assert.isAtMost(count, Math.ceil(600 / 18) + 1)
        assert.isFalse(lines(events).some((line) => /Dropped|Reconnecting|lost|closed/.test(line)))
        // each hears one stretch, and from before the end of the one before it
        const stretches = yield* heard
        for (const [at, ranges] of stretches.entries()) {
          assert.strictEqual(ranges.length, 1)
          if (at > 0) assert.isAtMost(ranges[0]?.[0] ?? 0, stretches[at - 1]?.[0]?.[1] ?? 0)
        }
      }).pipe(Effect.provide(simulated({ script })))
    }, 60_000)
  }

  it.effect("is waited out to the end of a turn, and what comes after it is heard by the next session alone", () =>
    Effect.gen(function*() {
      const { events } = yield* listened(call(30, aged), 60)
      const [first, second] = yield* heard
      const ends = events.flatMap((event) => (event.type === "EndOfTurn" ? [event] : []))
      // the turn from 17 s to 21 s is open when the age is reached
      const end = ends.find(({ audioEnd }) => audioEnd > 20)
      assert.isDefined(end)
      assert.closeTo(second?.[0]?.[0] ?? 0, end?.audioEnd ?? 0, 0.001)
      assert.isAtLeast(first?.[0]?.[1] ?? 0, end?.audioEnd ?? 0)
    }).pipe(Effect.provide(simulated({ script: Script.make({ clock: "stamps", turns: [{ at: 17, words: "a b c d e f g h i j" }, { at: 25, words: "k" }] }) }))))

  it.effect("between an EagerEndOfTurn and its end: both are told once", () => {
    // confident enough for an eager end at 18 s, for the end at 26 s only
    const script = Script.make({
      clock: "stamps",
      turns: [{ at: 17, words: "one two", endOfTurnConfidence: [{ at: 0.9, value: 0.1 }, { at: 1, value: 0.5 }, { at: 8.9, value: 0.5 }, { at: 9, value: 0.9 }] }]
    })
    return Effect.gen(function*() {
      const { events } = yield* listened(call(30, { settings: { ...aged.settings, eagerEotThreshold: 0.4, eotTimeoutMs: 10_000 } }), 60)
      assert.deepStrictEqual(lines(events).filter((line) => /Turn|Connected/.test(line)), [
        "Connected 0",
        "StartOfTurn 0: one",
        "EagerEndOfTurn 0: one two",
        "Connected 1",
        "EndOfTurn 0 confirmed: one two"
      ])
      // it was carried over at 23.2 s: between the two
      const [first] = yield* heard
      assert.closeTo(first?.[0]?.[1] ?? 0, 23.2, 0.2)
    }).pipe(Effect.provide(simulated({ script })))
  })

  it.effect("where no other session is to be had: it is tried until the limit, then the call goes on as after a break", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(100, aged), 200)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(lines(events).filter((line) => /nnect|Resumed/.test(line)).slice(0, 2), ["Connected 0", "Reconnecting 1: ConnectionLost"])
      const broken = events.find(({ type }) => type === "Reconnecting")?.receivedAt ?? 0
      assert.closeTo(broken, 20_000 * 1.16, 1)
      assert.deepStrictEqual(turnsOf(events), talk(100, [3, 1]).said)
    }).pipe(Effect.provide(simulated({
      script: talk(100, [3, 1]).script,
      faults: [{ fault: "late-headers", delay: 10_000, session: 1 }]
    }))))

  it.effect("of the session that was to follow, which breaks while it waits: another one is opened", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(40, { settings: { maxSessionAge: "20 seconds" } }), 100)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events), ["a b c d e f g h i j k l m n o p"])
      assert.isFalse(lines(events).some((line) => /Reconnecting/.test(line)))
      assert.strictEqual(yield* opens, 3)
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 15, words: Array.from("abcdefghijklmnop", (word, i) => ({ word, start: 15 + i / 2, end: 15.4 + i / 2 })) }] }),
      faults: [{ fault: "lifetime", seconds: 1, session: 1 }]
    }))))

  it.effect("of a session that breaks while the next one is there: that one goes on at once", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(40, { settings: { maxSessionAge: "20 seconds" } }), 100)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events), ["a b c d e f g h i j k l m n o p"])
      assert.strictEqual(yield* opens, 2)
      const [broken, resumed] = events.filter(({ type }) => type === "Reconnecting" || type === "Resumed")
      assert.strictEqual(broken?.receivedAt, resumed?.receivedAt)
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 15, words: Array.from("abcdefghijklmnop", (word, i) => ({ word, start: 15 + i / 2, end: 15.4 + i / 2 })) }] }),
      faults: [{ fault: "reset", at: 22.8, session: 0 }]
    }))))
})

/** The turns that were said, of which the last one may have been cut off. */
const heardSoFar = (events: ReadonlyArray<FluxEvent>): void => {
  const turns = turnsOf(events)
  const [last = ""] = turns.slice(-1)
  assert.deepStrictEqual(turns.slice(0, -1), said.slice(0, turns.length - 1))
  assert.isTrue(said[turns.length - 1]?.startsWith(last), last)
}
const rotated: Exit.Exit<"configured" | "rotated", FluxError> = Exit.succeed("rotated")
const configured: typeof rotated = Exit.succeed("configured")
const { said, script } = talk(60, [3, 1, 4])

describe("settings that the endpoint cannot change while running", () => {
  it.effect("come with another session, at the end of the open turn: no word is lost, none told twice", () =>
    seeded(Effect.gen(function*() {
      const { change, events, finish, speak } = yield* opened()
      // in mid-turn
      yield* speak(2.4)
      const update = yield* change({ eotThreshold: 0.8 })
      yield* speak(0.8)
      assert.isUndefined(update.pollUnsafe())
      yield* speak(50)
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      assert.isTrue(Exit.isSuccess(yield* finish))
      heardSoFar(events)
      assert.isAtLeast(turnsOf(events).length, 10)
      assert.deepStrictEqual((yield* queries).map((query) => query.get("eot_threshold")), [null, "0.8"])
      const applied = events.findIndex(({ type }) => type === "SettingsApplied")
      assert.strictEqual(events.slice(0, applied).findLast(({ type }) => type === "EndOfTurn")?.type, "EndOfTurn")
      assert.deepInclude(events[applied], { settings: ["eotThreshold"] })
    })).pipe(Effect.provide(simulated({ script }))))

  for (const [what, patch] of Object.entries({
    mipOptOut: { mipOptOut: true },
    tag: { tag: ["b"] },
    "eagerEotThreshold to none": { eagerEotThreshold: null }
  } satisfies Record<string, FluxSettings.SettingsPatch>)) {
    it.effect(`no endpoint can: ${what}, at once where no turn is open, and together with what Configure could`, () =>
      seeded(Effect.gen(function*() {
        const { change, finish, speak } = yield* opened({ settings: { eagerEotThreshold: 0.5 } })
        yield* speak(0.4)
        const update = yield* change({ ...patch, keyterm: ["x"] })
        assert.deepStrictEqual(yield* Fiber.join(update), rotated)
        yield* speak(1)
        yield* finish
        assert.deepStrictEqual((yield* queries).map((query) => query.get("keyterm")), [null, "x"])
      })).pipe(Effect.provide(simulated({ script, profile: "hosted-2026-09" }))))
  }

  it.effect("that are of the audio itself are refused, and nothing is opened", () =>
    seeded(Effect.gen(function*() {
      const { change, finish } = yield* opened()
      const exit = yield* Fiber.join(yield* change({ sampleRate: 8000 }))
      assert.strictEqual(Object(reasonOf(exit))._tag, "UnsupportedByEndpoint")
      yield* finish
      assert.strictEqual(yield* opens, 1)
    })).pipe(Effect.provide(simulated({ script }))))

  it.effect("that the next session is refused for: all is as before, the caller and the application are told", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, finish, speak } = yield* opened()
      yield* speak(0.4)
      const update = yield* change({ keyterm: ["x"] })
      yield* speak(40)
      const exit = yield* Fiber.join(update)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted" })
      assert.deepInclude(yield* conversation.settings, { keyterm: [] })
      assert.isTrue(Exit.isSuccess(yield* finish))
      heardSoFar(events)
      assert.isAtLeast(turnsOf(events).length, 8)
      assert.deepInclude(events.find(({ type }) => type === "SettingsRejected"), { settings: ["keyterm"] })
      assert.isFalse(lines(events).some((line) => /Reconnecting|Applied|Disconnected 1/.test(line)))
    })).pipe(Effect.provide(simulated({ script, faults: [1, 2, 3, 4, 5].map((session) => ({ fault: "reject-424" as const, session })) }))))

  it.effect("that come while another rotation is under way: the latest of them are in force, with one session more at the most", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, finish, speak } = yield* opened()
      yield* speak(0.4)
      const first = yield* change({ keyterm: ["a"] })
      yield* TestClock.adjust(100)
      const second = yield* change({ keyterm: ["b"], eotThreshold: 0.8 })
      const third = yield* change({ tag: ["c"] })
      yield* speak(20)
      for (const update of [first, second, third]) assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      assert.deepInclude(yield* conversation.settings, { keyterm: ["b"], eotThreshold: 0.8, tag: ["c"] })
      assert.isTrue(Exit.isSuccess(yield* finish))
      const asked = yield* queries
      assert.isAtMost(asked.length, 3)
      assert.deepStrictEqual(asked.at(-1)?.getAll("keyterm"), ["b"])
      assert.deepStrictEqual(asked.at(-1)?.get("tag"), "c")
      heardSoFar(events)
    })).pipe(Effect.provide(simulated({ script, faults: [{ fault: "late-connected", delay: 500, session: 1 }] }))))

  it.effect("that come during a reconnect go with the next session", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, finish, speak } = yield* opened()
      yield* speak(2.4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const update = yield* change({ keyterm: ["x"] })
      yield* speak(20)
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      assert.isTrue(Exit.isSuccess(yield* finish))
      assert.deepStrictEqual((yield* queries).at(-1)?.getAll("keyterm"), ["x"])
      assert.deepInclude(events.find(({ type }) => type === "SettingsApplied"), { settings: ["keyterm"] })
      heardSoFar(events)
      assert.isAtLeast(turnsOf(events).length, 3)
    })).pipe(Effect.provide(simulated({ script, faults: [{ fault: "reset", at: 2, session: 0 }, { fault: "late-headers", delay: 2000, session: 1 }] }))))

  it.effect("that come during a reconnect and are refused are given up: the call goes on with those it had", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, finish, speak } = yield* opened()
      yield* speak(2.4)
      const update = yield* change({ keyterm: ["x"] })
      yield* speak(20)
      assert.strictEqual(Object(reasonOf(yield* Fiber.join(update)))._tag, "Rejected")
      assert.deepInclude(yield* conversation.settings, { keyterm: [] })
      assert.isTrue(Exit.isSuccess(yield* finish))
      assert.deepStrictEqual((yield* queries).map((query) => query.get("keyterm")), [null, null, "x", "x", "x", null])
      assert.deepInclude(events.find(({ type }) => type === "SettingsRejected"), { settings: ["keyterm"] })
      heardSoFar(events)
    })).pipe(Effect.provide(simulated({
      script,
      faults: [{ fault: "reset", at: 2, session: 0 }, { fault: "error-500", delay: 1000, session: 1 }, ...[2, 3, 4].map((session) => ({ fault: "reject-424" as const, session }))]
    }))))

  it.effect("of the service reach every call that has not set them itself", () =>
    seeded(Effect.gen(function*() {
      const one = yield* opened({ id: "one" })
      const two = yield* opened({ id: "two", settings: { keyterm: ["own"] } })
      yield* Effect.flatMap(FluxSettings.FluxSettings, (settings) => settings.update({ keyterm: ["all"], mipOptOut: true }))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* one.conversation.settings, { keyterm: ["all"], mipOptOut: true })
      assert.deepInclude(yield* two.conversation.settings, { keyterm: ["own"], mipOptOut: true })
      assert.deepStrictEqual((yield* queries).slice(2).map((query) => [query.get("keyterm"), query.get("mip_opt_out")]).toSorted(), [["all", "true"], ["own", "true"]])
      yield* one.finish
      yield* two.finish
    })).pipe(Effect.provide(simulated({ script }))))

  it.effect("that Configure can change do not cost a session, and are refused as a whole by Flux", () =>
    seeded(Effect.gen(function*() {
      const { change, events, finish, speak } = yield* opened()
      yield* speak(0.4)
      assert.deepStrictEqual(yield* Fiber.join(yield* change({ eotThreshold: 0.8 })), configured)
      assert.strictEqual(yield* opens, 1)
      yield* finish
      assert.isTrue(lines(events).includes("SettingsApplied: eotThreshold"))
    })).pipe(Effect.provide(simulated({ script, profile: "hosted-2026-09" }))))

  it.effect("asked for when the call is over are told so", () =>
    seeded(Effect.gen(function*() {
      const { change, finish } = yield* opened()
      yield* finish
      assert.strictEqual(Object(reasonOf(yield* Fiber.join(yield* change({ keyterm: ["x"] }))))._tag, "CallOver")
    })).pipe(Effect.provide(simulated({ script }))))
})
