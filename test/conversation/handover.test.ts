/** What goes on while one session of a conversation follows another: who is told what, what is freed, what is counted. */
import { assert, describe, it } from "@effect/vitest"
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
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { atFrames, heard, lines, listened, onFrame, opened, opens, queries, rate, seeded, sessions, simulated, speaking, turnsOf } from "../support/conversation.ts"
import * as recorder from "../support/recorder.ts"
import { entries, reasonOf } from "../support/session.ts"
import { connected, turnInfo } from "../support/wire.ts"

const lost = new FluxError.ConnectionLost({ detail: "gone" })
const call = (seconds: number, options: Transcriber.CallOptions = {}) => speaking(seconds).pipe(Transcriber.transcribe({ id: "call", ...options }))
/** One turn, a word every half second. */
const turnOf = (at: number, letters: string) =>
  Script.make({ clock: "stamps", turns: [{ at, words: Array.from(letters, (word, i) => ({ word, start: at + i / 2, end: at + i / 2 + 0.4 })) }] })
const rotated: Exit.Exit<"configured" | "rotated", FluxError.FluxError> = Exit.succeed("rotated")
const aged = { settings: { maxSessionAge: "20 seconds" } } as const
/** What reached some session, but for its audio, and when, in ms. */
const stepsOf = (session: number) =>
  Effect.map(entries, (all) =>
    all.flatMap((entry) => entry.session === session && entry.what !== "audio" ? [[entry.what === "text" ? "CloseStream" : entry.what, entry.at] as const] : []))

describe("the bulkheads", () => {
  /** Each kind of opening has one permit. */
  const narrow = (options: FakeTransport.Options) =>
    Transcriber.layerWith({ opens: 1, recoveries: 1, rotations: 1 }).pipe(
      Layer.provideMerge(FakeTransport.layer(options)),
      Layer.provideMerge(FluxSettings.layer())
    )

  it.effect("hold a permit while a session is opened, and not while it lives, nor between two tries", () =>
    seeded(Effect.gen(function*() {
      const one = yield* opened({ id: "one" })
      yield* TestClock.adjust(100)
      const two = yield* opened({ id: "two", retry: Schedule.spaced("1 minute") })
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* opens, 2)
      const three = yield* opened({ id: "three" })
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* Effect.all([one.conversation.status, two.conversation.status, three.conversation.status]), ["ready", "opening", "ready"])
      yield* one.finish
      yield* three.finish
    })).pipe(Effect.provide(narrow({ faults: [{ fault: "throttle-429", session: 1 }] }))))

  it.effect("let what waits for one be asked: it is opening, and its audio waits with it", () =>
    seeded(Effect.gen(function*() {
      const first = yield* opened({ id: "first", settings: { openTimeout: "1 minute" } })
      yield* TestClock.adjust(100)
      const second = yield* opened({ id: "second" })
      yield* second.speak(2)
      const update = yield* second.change({ keyterm: ["x"] })
      assert.strictEqual(yield* opens, 1)
      assert.strictEqual(yield* second.conversation.status, "opening")
      assert.deepStrictEqual(yield* second.conversation.buffered, { outboxBytes: 2 * rate * 2, events: 0, behindSeconds: 2 })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* second.conversation.status, "ready")
      assert.strictEqual(yield* first.conversation.status, "ready")
      assert.deepStrictEqual((yield* heard)[1], [[0, 2]])
      // with what is wanted when its turn comes
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      assert.deepStrictEqual((yield* queries).map((query) => query.get("keyterm")), [null, "x"])
    })).pipe(Effect.provide(narrow({ faults: [{ fault: "late-headers", delay: 8000, session: 0 }] }))))

  for (const [what, fault] of [["a recovery", true], ["a rotation", false]] as const) {
    it.effect(`let ${what} go on while another call, and the other kind, hang in opening`, () =>
      seeded(Effect.gen(function*() {
        // session 0 and 1 live, 2 is opened for ever, as is 3 in the place of 0; 4 is what is to come through
        const one = yield* opened({ id: "one", settings: { openTimeout: "1 minute" } })
        yield* TestClock.adjust(100)
        const two = yield* opened({ id: "two", settings: { openTimeout: "1 minute" } })
        yield* TestClock.adjust(100)
        yield* opened({ id: "three", settings: { openTimeout: "1 minute" } })
        yield* TestClock.adjust(100)
        if (fault) yield* one.change({ keyterm: ["x"] })
        else yield* one.speak(0.8)
        yield* TestClock.adjust(200)
        assert.strictEqual(yield* opens, 4)
        if (fault) {
          yield* two.speak(0.8)
          yield* TestClock.adjust(200)
          assert.isTrue(lines(two.events).includes("Resumed 1"))
        } else {
          const update = yield* two.change({ keyterm: ["y"] })
          yield* TestClock.adjust(200)
          assert.deepStrictEqual(yield* Fiber.join(update), rotated)
        }
      })).pipe(Effect.provide(narrow({
        script: turnOf(60, "a"),
        faults: [
          { fault: "reset", at: 0.4, session: fault ? 1 : 0 },
          { fault: "no-headers", session: 2 },
          { fault: "no-headers", session: 3 }
        ]
      }))))
  }
})

describe("no more sessions at once", () => {
  for (const kind of ["recoveries", "rotations"] as const) {
    it.effect(`are opened than there may be ${kind}`, () =>
      seeded(Effect.gen(function*() {
        const calls = [yield* opened({ id: "one" }), yield* opened({ id: "two" }), yield* opened({ id: "three" })]
        yield* TestClock.adjust(100)
        // at the same moment, and each takes 3 s
        if (kind === "rotations") for (const { change } of calls) yield* change({ keyterm: ["x"] })
        else for (const { conversation } of calls) yield* conversation.send(Stamp.audio(0, 0.4 * rate))
        yield* TestClock.adjust("10 seconds")
        const at = (yield* entries).flatMap((entry) => (entry.what === "open" && entry.session >= 3 ? [entry.at] : []))
        assert.strictEqual(at.length, 3)
        assert.isAtLeast((at[2] ?? 0) - (at[0] ?? 0), 3000)
        assert.isAtMost((at[1] ?? 0) - (at[0] ?? 0), 100)
      })).pipe(Effect.provide(Transcriber.layerWith({ [kind]: 2 }).pipe(
        Layer.provideMerge(FakeTransport.layer({
          script: turnOf(60, "a"),
          faults: [
            ...[0, 1, 2].map((session) => ({ fault: "reset" as const, at: 0.3, session })),
            ...[3, 4, 5].map((session) => ({ fault: "late-headers" as const, delay: 3000, session }))
          ]
        })),
        Layer.provideMerge(FluxSettings.layer())
      ))))
  }
})

describe("what is counted", () => {
  it.effect("is each session in the place of another one, by why it was needed", () => {
    const seen = recorder.make()
    return seeded(Effect.gen(function*() {
      // breaks at 2.2 s, is changed for its settings at 4 s, and is too old at about 24 s
      const { change, finish, speak } = yield* opened(aged)
      yield* speak(4)
      yield* change({ keyterm: ["x"] })
      yield* speak(24)
      yield* finish
      const metrics = yield* seen.metrics
      assert.deepStrictEqual(
        ["failure", "settings", "age"].map((cause) => [cause, metrics[`flux.reconnects|${cause}`]]),
        ["failure", "settings", "age"].map((cause) => [cause, { count: 1, incremental: true }])
      )
      assert.strictEqual(yield* opens, 4)
    })).pipe(Effect.provide(Layer.merge(
      simulated({ script: turnOf(60, "a"), faults: [{ fault: "reset", at: 2.2, session: 0 }] }),
      seen.layer
    )))
  })
})

describe("what was sent", () => {
  it.effect("is told session by session: in all it is what they heard, and never less than nothing", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(12), 60)
      assert.strictEqual(exit._tag, "Success")
      const usages = events.flatMap((event) => (event.type === "EndOfTurn" || event.type === "Disconnected" ? [event.usage] : []))
      const sum = (of: (usage: typeof usages[number]) => number): number => usages.reduce((all, usage) => all + of(usage), 0)
      // two turns, three sessions
      assert.strictEqual(usages.length, 5)
      assert.isTrue(usages.every(({ audioSeconds, injectedSeconds }) => audioSeconds >= 0 && injectedSeconds >= 0))
      const stretches = (yield* heard).flat()
      assert.closeTo(sum(({ audioSeconds }) => audioSeconds), stretches.reduce((all, [from = 0, to = 0]) => all + to - from, 0), 1e-5)
      assert.strictEqual(sum(({ injectedSeconds }) => injectedSeconds), 0)
    }).pipe(Effect.provide(simulated({
      script: Script.make({
        clock: "stamps",
        turns: [1, 6].map((at) => ({ at, words: [{ word: "a", start: at, end: at + 0.4 }, { word: "b", start: at + 0.5, end: at + 0.9 }] }))
      }),
      faults: [{ fault: "reset", at: 4, session: 0 }, { fault: "reset", at: 5, session: 1 }]
    }))))

  it.effect("to a session that was retired in mid-turn is no silence, also where the call ends with silence", () =>
    seeded(Effect.gen(function*() {
      const { speak } = yield* opened({ ...aged, finish: "silence" })
      yield* speak(28)
      const all = yield* entries
      const connectedAt = all.find(({ session, what }) => session === 1 && what === "audio")?.at ?? 0
      assert.strictEqual(connectedAt, 20_000 * 1.16)
      assert.deepStrictEqual(all.flatMap(({ at, session, what }) => (session === 0 && at > connectedAt ? [what] : [])), [])
      assert.deepStrictEqual((yield* stepsOf(0)).map(([what]) => what), ["open", "CloseStream", "end", "disconnect"])
    })).pipe(Effect.provide(simulated({ script: turnOf(15, "abcdefghijklmnopqrstuvwxyz") }))))
})

describe("a session that has taken over", () => {
  it.effect("is not moved on by what the one before it goes on to say", () =>
    seeded(Effect.gen(function*() {
      const { change, events, speak } = yield* opened()
      yield* speak(2)
      yield* change({ mipOptOut: true })
      // it breaks before 4 s, and what is heard again then is caught up with before 8 s
      yield* speak(8)
      assert.isTrue(lines(events).includes("Resumed 2"))
      const sizes = (yield* entries).flatMap(({ detail, session, what }) => (session === 2 && what === "audio" ? [Number(detail)] : []))
      // nothing was told by the one that hears the audio: all of it is heard again
      assert.strictEqual(sizes.reduce((all, size) => all + size, 0), 10 * rate * 2)
    })).pipe(Effect.provide(sessions(
      () => ({
        opened: (server) => server.say(connected),
        // it has heard all of 2 s, and ends as it is told to
        received: ({ dataType }, server) =>
          dataType === "UTF8" ? Effect.andThen(server.say(turnInfo({ event: "Update", end: 2 })), server.end) : Effect.void
      }),
      () => atFrames({ 45: lost }),
      () => onFrame(() => Effect.void)
    ))))

  it.effect("tells what has to be dropped, also while the one before it is still closing", () =>
    seeded(Effect.gen(function*() {
      const { change, events, finish, speak } = yield* opened({
        settings: { outboxPolicy: "drop-oldest", outboxLimit: 64_000, drainTimeout: "3 seconds", sendTimeout: "20 seconds", stallTimeout: "1 minute" }
      })
      yield* speak(2)
      yield* change({ mipOptOut: true })
      yield* speak(10)
      yield* finish
      const told = events.flatMap((event) => (event.type === "AudioDropped" ? [[event.audioStart, event.audioEnd] as const] : []))
      const all = [...(yield* heard).flat().map(([from = 0, to = 0]) => [from, to] as const), ...told].toSorted(([a], [b]) => a - b)
      let reached = 0
      for (const [from, to] of all) {
        assert.isAtMost(from, reached + 1e-6, "heard, or told as dropped")
        reached = Math.max(reached, to)
      }
      assert.strictEqual(reached, 12)
      assert.isAbove(told.length, 0)
    })).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [{ fault: "mute", at: 1, session: 0 }, { fault: "stop-reading", at: 0.5, session: 1 }]
    }))))

  it.effect("and breaks while the one before it has not ended: that is known at once", () =>
    seeded(Effect.gen(function*() {
      const { change, events, speak } = yield* opened()
      yield* speak(2)
      yield* change({ mipOptOut: true })
      yield* speak(4)
      assert.deepStrictEqual(lines(events).filter((line) => !line.startsWith("Disconnected")), [
        "Connected 0",
        "Connected 1",
        "SettingsApplied: mipOptOut",
        // the first one, of which Flux told nothing, counts
        "Reconnecting 2: ConnectionLost",
        "Connected 2",
        "Resumed 2"
      ])
      const [broken, resumed] = events.filter(({ type }) => type === "Reconnecting" || type === "Resumed")
      const eleventh = (yield* entries).filter(({ session, what }) => session === 1 && what === "audio")[10]
      assert.strictEqual(broken?.receivedAt, eleventh?.at)
      assert.isAtMost((resumed?.receivedAt ?? 0) - (broken?.receivedAt ?? 0), 100)
    })).pipe(Effect.provide(sessions(
      // never ends, whatever it is told
      () => ({ opened: (server) => server.say(connected) }),
      () => atFrames({ 10: lost }),
      () => onFrame(() => Effect.void)
    ))))
})

describe("a break", () => {
  it.effect("of the session in hand, and of the one that waits, at the same moment is one", () => {
    let standby: FakeTransport.Server | undefined
    return seeded(Effect.gen(function*() {
      const { change, events, speak } = yield* opened()
      yield* speak(2)
      yield* change({ mipOptOut: true })
      yield* speak(4)
      assert.deepStrictEqual(lines(events).filter((line) => !/Disconnected|Settings/.test(line)), [
        "Connected 0",
        "StartOfTurn 0: a",
        "Connected 1",
        "Reconnecting 2: ConnectionLost",
        "Connected 2",
        "Resumed 2"
      ])
    })).pipe(Effect.provide(sessions(
      () => onFrame((frame, server) =>
        frame === 20 ? server.say(turnInfo({ event: "StartOfTurn", transcript: "a", end: 0.9 }))
          : frame === 40 && standby !== undefined ? Effect.andThen(standby.fail(lost), server.fail(lost)) : Effect.void),
      () => ({
        opened: (server) => {
          standby = server
          return server.say(connected)
        }
      }),
      () => onFrame(() => Effect.void)
    )))
  })

  it.effect("at the end of a call is made good once, whatever was before the end", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(4), 60)
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(turnsOf(events), ["a b c"])
      assert.deepStrictEqual(lines(events).filter((line) => /Reconnecting|Resumed/.test(line)), [
        "Reconnecting 2: ConnectionLost",
        "Resumed 1",
        "Reconnecting 1: ConnectionLost",
        "Resumed 2"
      ])
    }).pipe(Effect.provide(simulated({
      script: turnOf(2, "abc"),
      closeMode: "end-of-turn",
      faults: [{ fault: "reset", at: 1.5, session: 0 }, { fault: "drop-socket", at: "close", session: 1 }]
    }))))

  it.effect("that nothing cures ends the call, and nothing was dropped where all had been sent", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(4), 60)
      assert.deepInclude(reasonOf(exit), { _tag: "FluxFatal" })
      assert.deepStrictEqual(lines(events), ["Connected 0", "StartOfTurn 0: a", "EndOfTurn 0 lost: a", "Disconnected 0"])
      assert.strictEqual(yield* opens, 1)
    }).pipe(Effect.provide(sessions(() => onFrame((frame, server) =>
      frame === 20 ? Effect.andThen(server.say(turnInfo({ event: "StartOfTurn", transcript: "a", end: 0.9 })), server.fail(new FluxError.FluxFatal({ code: "UNPARSABLE_CLIENT_MESSAGE", description: "no" })))
        : Effect.void)))))

  it.effect("that is not made good while a session is opened for ever loses the turn: that session's end is not its end", () =>
    Effect.gen(function*() {
      const { endedAt, events, exit } = yield* listened(call(3.2, { settings: { openTimeout: "1 minute" } }), 60)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("EndOfTurn")), ["EndOfTurn 0 lost: a b c"])
      // drainTimeout from the end of the audio on
      assert.closeTo(endedAt, 3200 + 15_000, 100)
    }).pipe(Effect.provide(simulated({ script: turnOf(1, "abcd"), faults: [{ fault: "reset", at: 2.5, session: 0 }, ...Array.from({ length: 9 }, (_, i) => ({ fault: "no-headers" as const, session: i + 1 }))] }))))

  it.effect("late in a turn of minutes is bridged with 8 MiB of audio at the most, whatever was asked for", () =>
    Effect.gen(function*() {
      yield* listened(call(290, { settings: { replayWindow: "10 minutes", outboxLimit: 10_000_000 } }), 600)
      const [, second = []] = yield* heard
      // 32,000 bytes a second; it goes on in the pause behind it
      assert.closeTo(second[0]?.[0] ?? 0, 280 - 8 * 1024 * 1024 / 32_000, 0.6)
    }).pipe(Effect.provide(simulated({
      script: Script.make({ clock: "stamps", turns: [{ at: 1, words: Array.from({ length: 600 }, (_, i) => ({ word: `w${i}`, start: 1 + i / 2, end: 1.4 + i / 2 })) }] }),
      faults: [{ fault: "reset", at: 280, session: 0 }]
    }))))
})

describe("a status", () => {
  it.effect("is that of the session that there is, once there is one again", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened()
      yield* speak(3)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      yield* speak(3)
      assert.strictEqual(yield* conversation.status, "ready")
    })).pipe(Effect.provide(simulated({ faults: [{ fault: "reset", at: 2, session: 0 }, { fault: "late-headers", delay: 2000, session: 1 }] }))))
})

describe("endTurn", () => {
  it.effect("that another session has to do completes with the turn, not with that session", () =>
    seeded(Effect.gen(function*() {
      const { conversation, events, speak } = yield* opened()
      yield* speak(2)
      const ending = yield* Effect.forkChild(conversation.endTurn, { startImmediately: true })
      const ended = (): boolean => events.some(({ type }) => type === "EndOfTurn")
      for (let waited = 0; !ended() && waited < 20_000; waited += 10) {
        assert.isUndefined(ending.pollUnsafe(), `after ${waited} ms`)
        yield* TestClock.adjust(10)
      }
      assert.isTrue(lines(events).includes("Resumed 1"))
      yield* TestClock.adjust(100)
      yield* Fiber.join(ending)
    })).pipe(Effect.provide(simulated({ script: turnOf(1, "ab"), faults: [{ fault: "reset", at: 2.3, session: 0 }] }))))

  for (const profile of ["flux-english-20260311", "hosted-2026-09"] as const) {
    it.effect(`ends the turn behind the audio that had been offered, also where more came before there was another session: ${profile}`, () =>
      seeded(Effect.gen(function*() {
        const { conversation, events, finish, speak } = yield* opened()
        yield* speak(2)
        const ending = yield* Effect.forkChild(conversation.endTurn, { startImmediately: true })
        // what is said from now on belongs to the next turn
        yield* speak(6)
        yield* Fiber.join(ending)
        yield* finish
        assert.isTrue(lines(events).includes("Resumed 2"))
        assert.deepStrictEqual(turnsOf(events), ["a b", "c d e"])
      })).pipe(Effect.provide(simulated({
        profile,
        script: Script.make({
          clock: "stamps",
          turns: [
            { at: 1, words: [{ word: "a", start: 1, end: 1.4 }, { word: "b", start: 1.5, end: 1.9 }] },
            // within the next frame of 80 ms
            { at: 2, words: [{ word: "c", start: 2, end: 2.06 }, { word: "d", start: 2.2, end: 2.6 }, { word: "e", start: 2.7, end: 3.1 }] }
          ]
        }),
        faults: [
          { fault: "reset", at: 1.95, session: 0 },
          { fault: "error-500", delay: 1000, session: 1 },
          { fault: "late-connected", delay: 1000, session: 2 }
        ]
      }))))
  }
})

describe("settings", () => {
  it.effect("that came into force with the session after a break are what is gone back to", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, speak } = yield* opened()
      yield* speak(2.4)
      assert.strictEqual(yield* conversation.status, "reconnecting")
      const first = yield* change({ keyterm: ["x"] })
      yield* speak(4)
      assert.deepStrictEqual(yield* Fiber.join(first), rotated)
      const second = yield* change({ tag: ["y"] })
      yield* speak(4)
      assert.deepInclude(reasonOf(yield* Fiber.join(second)), { _tag: "RetriesExhausted" })
      assert.deepInclude(yield* conversation.settings, { keyterm: ["x"], tag: [] })
      assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("SettingsRejected")), ["SettingsRejected: tag"])
    })).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [
        { fault: "reset", at: 2, session: 0 },
        { fault: "error-500", delay: 1000, session: 1 },
        ...[3, 4, 5].map((session) => ({ fault: "reject-424" as const, session }))
      ]
    }))))

  it.effect("that came into force with the first session are, too, also where they came while it was opened", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, speak } = yield* opened({ retry: Schedule.spaced("1 second") })
      yield* TestClock.adjust(100)
      const first = yield* change({ keyterm: ["x"] })
      yield* speak(2)
      assert.deepStrictEqual(yield* Fiber.join(first), rotated)
      const second = yield* change({ tag: ["y"] })
      yield* speak(4)
      assert.deepInclude(reasonOf(yield* Fiber.join(second)), { _tag: "RetriesExhausted" })
      assert.deepInclude(yield* conversation.settings, { keyterm: ["x"], tag: [] })
    })).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [{ fault: "throttle-429", session: 0 }, ...[2, 3, 4].map((session) => ({ fault: "reject-424" as const, session }))]
    }))))

  it.effect("that came into force with a session in the place of another are, too", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, speak } = yield* opened()
      yield* speak(1)
      assert.deepStrictEqual(yield* Fiber.join(yield* change({ keyterm: ["x"] })), rotated)
      const second = yield* change({ tag: ["y"] })
      yield* speak(4)
      assert.deepInclude(reasonOf(yield* Fiber.join(second)), { _tag: "RetriesExhausted" })
      assert.deepInclude(yield* conversation.settings, { keyterm: ["x"], tag: [] })
      assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("Settings")), ["SettingsApplied: keyterm", "SettingsRejected: tag"])
    })).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [2, 3, 4].map((session) => ({ fault: "reject-424" as const, session }))
    }))))

  it.effect("of the client alone are in force for the conversation, not only for the session", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, speak } = yield* opened()
      yield* speak(1)
      yield* change({ replayWindow: "2 seconds", outboxLimit: 64_000, outboxPolicy: "fail" })
      yield* speak(5)
      const [second = []] = (yield* heard).slice(1)
      // it breaks at 5 s, untold for 4 s of them
      assert.closeTo(second[0]?.[0] ?? 0, 3, 0.2)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(reasonOf(yield* Effect.exit(conversation.send(new Uint8Array(64_002)))), { _tag: "BufferOverflow", limit: 64_000 })
    })).pipe(Effect.provide(simulated({ script: turnOf(60, "a"), faults: [{ fault: "mute", at: 1, session: 0 }, { fault: "reset", at: 5, session: 0 }] }))))

  it.effect("that were not changed are not to blame, as the endpoint took them: one that refuses is asked for 30 s", () =>
    Effect.gen(function*() {
      const { endedAt, exit } = yield* listened(call(60), 60)
      assert.deepInclude(reasonOf(exit), { _tag: "RetriesExhausted", bound: "time" })
      assert.isAbove(yield* opens, 10)
      assert.approximately(endedAt, 2000 + 29_000, 1000)
    }).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [{ fault: "reset", at: 2, session: 0 }, ...Array.from({ length: 40 }, (_, i) => ({ fault: "reject-424" as const, session: i + 1 }))]
    }))))

  it.effect("that are waited for when the call ends are told so", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, speak } = yield* opened({ settings: { openTimeout: "1 minute" } })
      yield* speak(1)
      const update = yield* change({ keyterm: ["x"] })
      yield* speak(1)
      assert.isUndefined(update.pollUnsafe())
      yield* Effect.forkChild(Effect.exit(conversation.finish), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* conversation.status, "ended")
      assert.isDefined(update.pollUnsafe())
      assert.deepInclude(reasonOf(yield* Fiber.join(update)), { _tag: "CallOver" })
    })).pipe(Effect.provide(simulated({ script: turnOf(60, "a"), faults: [{ fault: "no-headers", session: 1 }] }))))
})

describe("a session that is not wanted any more", () => {
  it.effect("is freed where it was still being opened when the old one was too old", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(30, { settings: { ...aged.settings, openTimeout: "1 minute" } }), 60)
      assert.strictEqual(exit._tag, "Success")
      assert.strictEqual(lines(events).filter((line) => line.startsWith("Reconnecting")).length, 1)
      const [[, [what, at] = []] = []] = [yield* stepsOf(1)]
      assert.deepStrictEqual([what, at], ["disconnect", 20_000 * 1.16])
    }).pipe(Effect.provide(simulated({ script: turnOf(60, "a"), faults: [{ fault: "no-headers", session: 1 }] }))))

  it.effect("says CloseStream where it was Connected, and is told of no more", () =>
    seeded(Effect.gen(function*() {
      const { change, events, finish, speak } = yield* opened()
      yield* speak(0.4)
      yield* change({ keyterm: ["a"] })
      yield* TestClock.adjust(100)
      // no session that is being opened has these
      yield* change({ tag: ["b"] })
      yield* speak(4)
      yield* finish
      assert.deepStrictEqual((yield* queries).map((query) => [query.get("keyterm"), query.get("tag")]), [[null, null], ["a", null], ["a", "b"]])
      assert.deepStrictEqual((yield* stepsOf(1)).map(([what]) => what), ["open", "CloseStream", "disconnect"])
      assert.isFalse(lines(events).some((line) => /Reconnecting|lost/.test(line)))
    })).pipe(Effect.provide(simulated({ script: turnOf(60, "a"), faults: [{ fault: "late-connected", delay: 500, session: 1 }] }))))

  it.effect("is none that waits, where it breaks: the turn ends on the old one, and another takes over later", () =>
    seeded(Effect.gen(function*() {
      const { change, events, finish, speak } = yield* opened()
      yield* speak(2)
      const update = yield* change({ keyterm: ["x"] })
      yield* speak(8)
      assert.deepStrictEqual(yield* Fiber.join(update), rotated)
      assert.isTrue(Exit.isSuccess(yield* finish))
      assert.deepStrictEqual(lines(events).filter((line) => !/nnected/.test(line)), [
        "StartOfTurn 0: a",
        "EndOfTurn 0 confirmed: a b c d e f g h",
        "SettingsApplied: keyterm"
      ])
      assert.strictEqual(yield* opens, 3)
    })).pipe(Effect.provide(simulated({
      // until 4.9 s; the next session breaks at 3 s, and the one after it is there at 6 s
      script: turnOf(1, "abcdefgh"),
      faults: [{ fault: "lifetime", seconds: 1, session: 1 }, { fault: "late-headers", delay: 3000, session: 2 }]
    }))))

  it.effect("is not opened for the age of one whose audio has ended", () =>
    Effect.gen(function*() {
      const { endedAt } = yield* listened(call(17.6, aged), 60)
      // it drains beyond its age
      assert.isAbove(endedAt, 23_200)
      assert.strictEqual((yield* entries).filter(({ at, what }) => what === "open" && at > 0 && at < 24_000).length, 0)
    }).pipe(Effect.provide(simulated({ script: turnOf(16, "ab"), faults: [{ fault: "mute", at: 17, session: 0 }] }))))
})

describe("the time without a session", () => {
  it.effect("begins with the break, not with the first try", () =>
    Effect.gen(function*() {
      const broken = yield* listened(call(60), 120)
      const reconnecting = broken.events.find(({ type }) => type === "Reconnecting")?.receivedAt ?? 0
      const end = broken.events.findLast(({ type }) => type === "AudioDropped")?.receivedAt ?? 0
      assert.strictEqual(end - reconnecting, 30_000)
    }).pipe(Effect.provide(simulated({ script: turnOf(60, "a"), faults: [{ fault: "reset", at: 2, session: 0 }, ...Array.from({ length: 9 }, (_, i) => ({ fault: "no-headers" as const, session: i + 1 }))] }))))
})

describe("the time for the first session", () => {
  it.effect("is of the same budget", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* listened(call(60, { settings: { openTimeout: "1 minute" } }), 120)
      assert.isTrue(Exit.isFailure(exit))
      const reconnecting = events.find(({ type }) => type === "Reconnecting")?.receivedAt ?? 0
      const end = events.findLast(({ type }) => type === "AudioDropped")?.receivedAt ?? 0
      assert.strictEqual(end - reconnecting, 30_000 - 20_000)
    }).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [{ fault: "late-headers", delay: 20_000, session: 0 }, { fault: "reset", at: 0.5, session: 0 }, ...Array.from({ length: 9 }, (_, i) => ({ fault: "no-headers" as const, session: i + 1 }))]
    }))))
})

describe("a Scope that is closed", () => {
  it.effect("in mid-turn ends the turn, loses none, and tells of no audio", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const conversation = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ id: "call" })).pipe(Scope.provide(scope))
      const events: Array<FluxEvent> = []
      const listening = yield* Effect.forkChild(Stream.runForEach(conversation.events, (event) => Effect.sync(() => void events.push(event))), { startImmediately: true })
      for (let at = 0; at < 2 * rate; at += 1280) {
        yield* conversation.send(Stamp.audio(at, 1280))
        yield* TestClock.adjust(80)
      }
      // waits to be sent
      yield* conversation.send(Stamp.audio(2 * rate, 100))
      yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(listening)
      assert.deepStrictEqual(lines(events), ["Connected 0", "StartOfTurn 0: a", "EndOfTurn 0 closed: a b", "Disconnected 0"])
    }).pipe(Effect.provide(simulated({ script: turnOf(1, "ab") }))))
})
