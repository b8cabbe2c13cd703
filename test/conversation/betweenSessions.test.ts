/** Where one session follows another: what is asked, offered or told in between, each in the smallest call that shows it. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import { atFrames, frame, lines, onFrame, opened, opens, peers, queries, rate, seeded, turnsOf } from "../support/conversation.ts"
import * as recorders from "../support/recorder.ts"
import { entries } from "../support/session.ts"
import { connected, requestId, turnInfo } from "../support/wire.ts"

const lost = new FluxError.ConnectionLost({ detail: "gone" })
const throttled = FluxError.make(new FluxError.Throttled({ detail: "slow down" }), "open")

/** Tells of each frame of 80 ms, outside turns. */
const idle = (): FakeTransport.Peer => onFrame((frame, server) => server.say(turnInfo({ event: "Update", end: (frame + 1) * 0.08 })))
/** Opens a turn with its first frame, and does not end it. */
const talking = (): FakeTransport.Peer =>
  onFrame((frame, server) => server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : "Update", transcript: "one two", end: (frame + 1) * 0.08 })))
const refused = (after: number): FakeTransport.Peer => ({ accept: Effect.delay(Effect.fail(throttled), after) })

const start = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(Effect.exit(effect), { startImmediately: true })
const dropsOf = (events: ReadonlyArray<FluxEvent>) =>
  events.flatMap((event) => (event.type === "AudioDropped" ? [[event.audioStart, event.audioEnd]] : []))

describe("endTurn", () => {
  it.effect("asked before the first session, of which the first try fails, completes", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened()
      yield* speak(0.8)
      const ending = yield* start(conversation.endTurn)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* conversation.status, "ready")
      assert.isDefined(ending.pollUnsafe())
    })).pipe(Effect.provide(peers([() => refused(1000), idle]))))

  it.effect("asked between two sessions waits for one that has heard the audio before it", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened({ retry: Schedule.spaced("2 seconds") })
      yield* speak(1)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      // nobody has heard these
      yield* speak(0.8)
      const ending = yield* start(conversation.endTurn)
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("15 seconds")
      assert.isDefined(ending.pollUnsafe())
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) =>
        Effect.andThen(server.say(turnInfo({ event: "Update", end: (frame + 1) * 0.08 })), frame === 12 ? Effect.delay(server.fail(lost), 10) : Effect.void)),
      idle
    ]))))
})

describe("an update", () => {
  const success = (keyterms: ReadonlyArray<string>, eot = 0.7) =>
    JSON.stringify({ type: "ConfigureSuccess", request_id: requestId, sequence_id: 1, thresholds: { eot_threshold: eot, eot_timeout_ms: 5000 }, keyterms, language_hints: [] })
  const refusal = JSON.stringify({ type: "ConfigureFailure", request_id: requestId, sequence_id: 1 })
  /** A turn is open; Configure is answered a while later. */
  const answering = (answer: string | ((asked: string) => string), after: number) => (): FakeTransport.Peer => {
    let frame = 0
    return {
      opened: (server) => server.say(connected),
      received: ({ bytes, dataType }, server) => {
        if (dataType === "BINARY") return server.say(turnInfo({ event: frame++ === 0 ? "StartOfTurn" : "Update", transcript: "one", end: frame * 0.08 }))
        const text = new TextDecoder().decode(bytes)
        const said = typeof answer === "string" ? answer : answer(text)
        return text.includes("Configure") ? Effect.asVoid(Effect.forkDetach(Effect.delay(server.say(said), after))) : server.end
      }
    }
  }
  it.effect("that needs another session is not taken back by the refusal of one before it", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened({ settings: { maxSessionAge: "20 seconds" } })
      yield* speak(0.8)
      const first = yield* start(conversation.update({ keyterm: ["x"] }))
      yield* TestClock.adjust(10)
      const second = yield* start(conversation.update({ tag: ["t"] }))
      yield* speak(30)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)))
      assert.deepStrictEqual((yield* conversation.settings).tag, ["t"])
      assert.deepStrictEqual((yield* queries).at(-1)?.getAll("tag"), ["t"])
    })).pipe(Effect.provide(peers([answering(refusal, 500), answering(success([]), 0)], "hosted-2026-09"))))

  it.effect("that Flux takes is not taken back where another one could not be had", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened()
      yield* speak(0.8)
      const first = yield* start(conversation.update({ keyterm: ["x"] }))
      yield* TestClock.adjust(10)
      const second = yield* start(conversation.update({ tag: ["t"] }))
      yield* speak(3)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(second)))
      assert.deepStrictEqual<unknown>(yield* Fiber.join(first), Exit.succeed("configured"))
      assert.deepStrictEqual((yield* conversation.settings).keyterm, ["x"])
      assert.deepInclude(events.find(({ type }) => type === "SettingsRejected"), { settings: ["tag"] })
    })).pipe(Effect.provide(peers([
      answering(success(["x"]), 2000),
      () => ({ accept: Effect.fail(FluxError.make(new FluxError.InvalidRequest({ status: 400, detail: "no" }), "open")) })
    ], "hosted-2026-09"))))

  it.effect("that comes while those of a reconnect are being brought into force is in force when it completes", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened({ retry: Schedule.spaced("1 second") })
      yield* speak(0.8)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      // with the next session
      const first = yield* start(conversation.update({ tag: ["a"] }))
      yield* TestClock.adjust("1500 millis")
      // while it is opened
      const second = yield* start(conversation.update({ keyterm: ["b"] }))
      yield* TestClock.adjust("1 second")
      // while Flux has been asked for that
      const third = yield* start(conversation.update({ eotThreshold: 0.8 }))
      yield* speak(8)
      for (const update of [first, second, third]) assert.isTrue(Exit.isSuccess(yield* Fiber.join(update)))
      assert.deepInclude(yield* conversation.settings, { tag: ["a"], keyterm: ["b"], eotThreshold: 0.8 })
    })).pipe(Effect.provide(peers([
      () => atFrames({ 5: lost }),
      () => ({ ...answering((asked) => success(["b"], asked.includes("eot_threshold") ? 0.8 : 0.7), 1000)(), accept: Effect.sleep(1000) })
    ], "hosted-2026-09"))))

  it.effect("that comes with a reconnect is told as SettingsApplied", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened({ retry: Schedule.spaced("1 second") })
      yield* speak(0.8)
      const update = yield* start(conversation.update({ keyterm: ["x"] }))
      yield* speak(4)
      assert.deepStrictEqual<unknown>(yield* Fiber.join(update), Exit.succeed("rotated"))
      assert.deepInclude(events.find(({ type }) => type === "SettingsApplied"), { settings: ["keyterm"] })
    })).pipe(Effect.provide(peers([() => atFrames({ 5: lost }), idle]))))

  it.effect("of the age is in force for the session in hand", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened()
      yield* speak(2)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(yield* start(conversation.update({ maxSessionAge: "20 seconds" })))))
      yield* speak(25)
      assert.strictEqual(yield* opens, 2)
    })).pipe(Effect.provide(peers([idle]))))

  it.effect("is not tried without a pause where the next session breaks while it waits", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened()
      yield* speak(0.8)
      yield* start(conversation.update({ tag: ["t"] }))
      yield* speak(10)
      assert.isAtMost(yield* opens, 12)
    })).pipe(Effect.provide(peers([talking, () => ({ opened: (server) => Effect.andThen(server.say(connected), Effect.delay(server.fail(lost), 50)) })]))))
})

describe("AudioDropped", () => {
  it.effect("does not tell of muted audio", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened()
      yield* conversation.setMuted(true)
      yield* speak(4)
      yield* conversation.setMuted(false)
      yield* speak(4)
      assert.isTrue(lines(events).includes("Resumed 1"))
      assert.deepStrictEqual(dropsOf(events), [])
    })).pipe(Effect.provide(peers([() => atFrames({ 3: lost }), idle]))))

  it.effect("tells once of audio that was dropped before the first session, which then breaks", () =>
    seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened({ settings: { outboxPolicy: "drop-oldest", outboxLimit: 2 * rate } })
      yield* speak(8)
      assert.isTrue(lines(events).includes("Resumed 1"))
      assert.strictEqual(dropsOf(events).length, 1)
    })).pipe(Effect.provide(peers([
      () => ({ ...atFrames({ 3: lost }), accept: Effect.sleep(4000) }),
      idle
    ]))))

  it.effect("tells each second once where a call is lost, and none that was muted", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened({ retry: Schedule.spaced("2 seconds").pipe(Schedule.upTo({ times: 3 })), settings: { outboxPolicy: "drop-oldest", outboxLimit: 2 * rate } })
      yield* speak(4)
      yield* conversation.setMuted(true)
      yield* speak(1)
      yield* conversation.setMuted(false)
      yield* Effect.exit(speak(20))
      assert.strictEqual(yield* conversation.status, "ended")
      const drops = dropsOf(events).toSorted(([a = 0], [b = 0]) => a - b)
      for (const [at, [from = 0]] of drops.entries()) assert.isAtLeast(from, drops[at - 1]?.[1] ?? 0)
      assert.isFalse(drops.some(([from = 0, to = 0]) => from < 4.9 && to > 4.1), JSON.stringify(drops))
      assert.isAtLeast(drops.length, 2)
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) => frame === 10 ? server.fail(lost) : server.say(turnInfo({ event: "Update", end: (frame + 1) * 0.08 }))),
      () => refused(100)
    ]))))

  it.effect("does not tell of audio that a lost turn has the words of", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened({ retry: Schedule.recurs(1) })
      yield* speak(2.4)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* conversation.status, "ended")
      assert.isTrue(lines(events).includes("EndOfTurn 0 lost: one two"))
      // Flux has told of 2 s
      assert.isAtLeast(dropsOf(events)[0]?.[0] ?? 0, 1.9)
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) =>
        frame === 26 ? server.fail(lost)
          : server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : "Update", transcript: "one two", end: (frame + 1) * 0.08 }))),
      () => refused(3000)
    ]))))
})

describe("a turn", () => {
  it.effect("that came after silence is heard again from 2 s before it was noticed, and nothing is dropped", () =>
    seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened()
      yield* speak(12)
      assert.deepStrictEqual(dropsOf(events), [])
      const end = events.find((event) => event.type === "EndOfTurn")
      assert.closeTo(end?.audioStart ?? 0, 61 * 0.08 - 2, 0.09)
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) =>
        frame === 70 ? server.fail(lost)
          : server.say(turnInfo({ event: frame === 60 ? "StartOfTurn" : "Update", transcript: frame >= 60 ? "one" : "", start: frame >= 60 ? 4.7 : 0, end: (frame + 1) * 0.08 }))),
      () => onFrame((frame, server) =>
        server.say(turnInfo({ event: frame === 25 ? "StartOfTurn" : frame === 70 ? "EndOfTurn" : "Update", transcript: frame >= 25 && frame <= 70 ? "one" : "", end: (frame + 1) * 0.08 })))
    ]))))

  it.effect("that Flux never ended, and that is over with the next one, is not told twice after a break", () =>
    seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened()
      yield* speak(10)
      assert.deepStrictEqual(turnsOf(events), ["one", "two"])
    })).pipe(Effect.provide(peers([
      () => atFrames({
        12: turnInfo({ event: "StartOfTurn", transcript: "one", end: 1.04 }),
        70: turnInfo({ event: "StartOfTurn", turn: 1, transcript: "two", start: 4, end: 5.68 }),
        75: lost
      }),
      () => {
        // a frame of the call is told by its stamps, wherever this session begins
        let first: number | undefined
        let turn = -1
        const told = [[12, "StartOfTurn", "one"], [40, "EndOfTurn", "one"], [70, "StartOfTurn", "two"], [90, "EndOfTurn", "two"]] as const
        return {
          opened: (server) => server.say(connected),
          received: ({ bytes, dataType }, server) => {
            if (dataType === "UTF8") return server.end
            const reader = Stamp.reader()
            reader.push(bytes)
            const at = reader.ranges()[0]
            if (at === undefined) return Effect.void
            first ??= at.from
            return Effect.forEach(told.filter(([frame]) => Math.floor((at.to - 1) / 1280) === frame), ([, event, transcript]) => {
              if (event === "StartOfTurn") turn += 1
              return turn < 0 ? Effect.void : server.say(turnInfo({ event, turn, transcript, start: 0.08, end: (at.to - (first ?? 0)) / rate }))
            }, { discard: true })
          }
        }
      }
    ]))))

  it.effect("without words of its own does not get its transcript twice after a break", () =>
    seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened()
      yield* speak(5)
      assert.deepStrictEqual(turnsOf(events), ["one two"])
    })).pipe(Effect.provide(peers([
      () => atFrames({
        12: turnInfo({ event: "StartOfTurn", transcript: "one", end: 1.04, extra: { words: [] } }),
        20: lost
      }),
      () => atFrames({
        12: turnInfo({ event: "StartOfTurn", transcript: "one", end: 1.04, extra: { words: [] } }),
        40: turnInfo({ event: "EndOfTurn", transcript: "one two", end: 3.28, extra: { words: [] } })
      })
    ]))))

  it.effect("that is open when the Scope closes between two sessions ends", () =>
    seeded(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { conversation, events, speak } = yield* Scope.provide(opened({ retry: Schedule.spaced("10 seconds") }), scope)
      yield* speak(4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(lines(events).filter((line) => /OfTurn/.test(line)), ["StartOfTurn 0: one two", "EndOfTurn 0 closed: one two"])
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) =>
        frame === 26 ? server.fail(lost)
          : server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : "Update", transcript: "one two", end: (frame + 1) * 0.08 }))),
      () => refused(1000)
    ]))))

  it.effect("that begins in a session that had waited for long begins where it does", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened({ settings: { maxSessionAge: "10 minutes", keepAliveInterval: "1 second" } })
      yield* speak(0.8)
      yield* start(conversation.update({ tag: ["t"] }))
      yield* speak(30)
      const begun = events.flatMap((event) => (event.type === "StartOfTurn" && event.turn === 1 ? [event.audioStart] : []))
      assert.strictEqual(begun.length, 1)
      assert.isAtLeast(begun[0] ?? 0, 20)
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) =>
        server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : frame === 300 ? "EndOfTurn" : "Update", transcript: frame > 300 ? "" : "one", end: (frame + 1) * 0.08 }))),
      () => atFrames({ 60: turnInfo({ event: "StartOfTurn", transcript: "two", start: 0, end: 61 * 0.08 }) })
    ]))))
})

describe("a session that is retired", () => {
  it.effect("says nothing of the turn that another one goes on with, when it ends it late", () => {
    const recorder = recorders.make()
    return seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened({ settings: { maxSessionAge: "20 seconds" } })
      yield* speak(26)
      assert.isTrue(lines(events).includes("Disconnected 0"))
      const turn = recorder.spans().find(({ name }) => name === "flux.turn")
      assert.strictEqual(turn?.attributes["flux.ending"], undefined)
      assert.strictEqual(turn?.attributes["flux.turn.latency"], undefined)
    })).pipe(Effect.provide(peers([
      () => {
        let frame = 0
        return {
          opened: (server) => server.say(connected),
          received: ({ dataType }, server) =>
            dataType === "UTF8"
              ? Effect.andThen(server.say(turnInfo({ event: "EndOfTurn", transcript: "one", end: frame * 0.08 })), server.end)
              : server.say(turnInfo({ event: frame++ === 0 ? "StartOfTurn" : "Update", transcript: "one", end: frame * 0.08 }))
        }
      },
      talking
    ]).pipe(Layer.provideMerge(recorder.layer))))
  })
})

describe("finish", () => {
  it.effect("does not wait for the caller's next try for longer than for the last words", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened({ retry: Schedule.spaced("10 minutes") })
      yield* speak(2.4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const finishing = yield* start(conversation.finish)
      yield* TestClock.adjust("20 seconds")
      assert.isDefined(finishing.pollUnsafe())
      assert.isTrue(lines(events).includes("EndOfTurn 0 lost: one"))
    })).pipe(Effect.provide(peers([
      () => onFrame((frame, server) => frame === 26 ? server.fail(lost) : server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : "Update", transcript: "one", end: (frame + 1) * 0.08 }))),
      idle
    ]))))
})

describe("what waits", () => {
  for (const [what, first] of [["before the first session", refused(1000)], ["in mid-turn", undefined]] as const) {
    it.effect(`is dropped as fast after an hour as at first, ${what}`, () =>
      seeded(Effect.gen(function*() {
        const { conversation, speak } = yield* opened({ retry: Schedule.spaced("2 hours"), settings: { outboxPolicy: "drop-oldest", outboxLimit: 20 * rate } })
        yield* speak(1.6)
        const chunk = new Uint8Array(2 * frame)
        const began = performance.now()
        for (let at = 0; at < 60_000; at++) conversation.offerUnsafe(chunk)
        // some thirty times as long where each looks through all that were dropped before it
        assert.isAtMost(performance.now() - began, 1500)
      })).pipe(Effect.provide(peers([
        () => first ?? onFrame((frame, server) => frame === 15 ? server.fail(lost) : server.say(turnInfo({ event: frame === 0 ? "StartOfTurn" : "Update", transcript: "one", end: (frame + 1) * 0.08 }))),
        () => refused(1000)
      ]))), 60_000)
  }

  it.effect("is told between two sessions", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened({ retry: Schedule.spaced("10 seconds") })
      yield* speak(4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const { behindSeconds, outboxBytes } = yield* conversation.buffered
      assert.isAtLeast(outboxBytes, rate * 2)
      assert.isAtLeast(behindSeconds, 1)
    })).pipe(Effect.provide(peers([() => atFrames({ 10: lost }), () => refused(1000)]))))
})

describe("a session that is lost in the moment in which the next one is up", () => {
  /** Fibers may give way to others between any two steps of theirs. */
  const budgets = [6, 8, 12, 13, 21, 34, 55]

  it.effect("gives way to one, and none is left", () =>
    Effect.gen(function*() {
      const wrong: Array<string> = []
      for (const ops of budgets) {
        for (const later of [0, 2, 5]) {
          const go = Deferred.makeUnsafe<void>()
          let first: FakeTransport.Server | undefined
          const pause = Effect.forEach(Array.from({ length: later }), () => Effect.yieldNow, { discard: true })
          const layer = peers([
            () => onFrame((frame, server) =>
              Effect.suspend(() => {
                first = server
                return server.say(turnInfo({ event: "Update", end: (frame + 1) * 0.08 }))
              })),
            () => ({
              ...idle(),
              opened: (server) =>
                Effect.andThen(Deferred.await(go), Effect.suspend(() =>
                  Effect.andThen(first?.fail(lost) ?? Effect.void, Effect.andThen(pause, server.say(connected)))))
            }),
            idle
          ])
          yield* seeded(Effect.gen(function*() {
            const { conversation, events, speak } = yield* opened().pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, ops))
            yield* speak(0.8)
            yield* start(conversation.update({ tag: ["t"] }))
            yield* speak(0.8)
            Deferred.doneUnsafe(go, Exit.void)
            yield* TestClock.adjust(1)
            yield* speak(2.4)
            const all = yield* entries
            const count = (what: FakeTransport.Entry["what"]): number => all.filter((entry) => entry.what === what).length
            const end = all.at(-1)?.at ?? 0
            const hearing = new Set(all.flatMap(({ at, session, what }) => (what === "audio" && at > end - 500 ? [session] : [])))
            if (hearing.size !== 1) wrong.push(`${ops}, ${later}: sessions ${[...hearing].join(", ")} hear the audio`)
            if (count("open") - count("disconnect") !== 1) wrong.push(`${ops}, ${later}: ${lines(events).join(", ")}`)
          })).pipe(Effect.provide(layer))
        }
      }
      assert.deepStrictEqual(wrong, [])
    }))
})
