/** Where another session begins, when the audio before it has gaps, or Flux has told of more than there is; and how it goes on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type { Fault } from "../../src/simulator/Fault.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { atFrames, lines, listened, onFrame, opened, rate, seeded, sessions, simulated, speaking } from "../support/conversation.ts"
import { entries } from "../support/session.ts"
import { connected, turnInfo } from "../support/wire.ts"

const lost = new FluxError.ConnectionLost({ detail: "gone" })
const turn = (event: string, transcript: string, end: number): string => turnInfo({ event, transcript, end })
const turnOf = (at: number, letters: string) =>
  Script.make({ clock: "stamps", turns: [{ at, words: Array.from(letters, (word, i) => ({ word, start: at + i / 2, end: at + i / 2 + 0.4 })) }] })
const dropped = (events: ReadonlyArray<FluxEvent>) =>
  events.flatMap((event) => (event.type === "AudioDropped" ? [[event.audioStart, event.audioEnd]] : []))
/** Sizes of the audio that reached a session, and when. */
const audioOf = (session: number) =>
  Effect.map(entries, (all) => all.flatMap((entry) => (entry.session === session && entry.what === "audio" ? [{ at: entry.at, bytes: Number(entry.detail) }] : [])))
const bytes = (audio: ReadonlyArray<{ readonly bytes: number }>): number => audio.reduce((all, one) => all + one.bytes, 0)

describe("the next session", () => {
  for (const [event, words, end] of [["Update", "", 10], ["EndOfTurn", "a", 10], ["StartOfTurn", "a", 1e6]] as const) {
    it.effect(`hears all that was not sent, where Flux has told of more than that: ${event}, ${end} s`, () =>
      Effect.gen(function*() {
        const { events } = yield* listened(speaking(20).pipe(Transcriber.transcribe({ id: "call", settings: { stallTimeout: "1 minute" } })), 60)
        assert.deepStrictEqual(dropped(events), [])
        const [first, second] = [yield* audioOf(0), yield* audioOf(1)]
        assert.isTrue(second.every((one) => one.bytes > 0))
        assert.isAtLeast(bytes(first) + bytes(second), 20 * rate * 2)
      }).pipe(Effect.provide(sessions(
        () => atFrames({ 20: turn(event, words, end), 27: lost }),
        () => onFrame(() => Effect.void)
      ))))
  }

  it.effect("hears the part of a frame that waits when the turn ends", () =>
    seeded(Effect.gen(function*() {
      const { change, conversation, events, finish } = yield* opened()
      // in chunks of 20 ms; the turn ends at 1.6 s, which is told 40 ms later
      for (let at = 0; at < 4 * rate; at += 320) {
        yield* conversation.send(Stamp.audio(at, 320))
        if (at === 1.3 * rate) yield* change({ keyterm: ["x"] })
        yield* TestClock.adjust(20)
      }
      yield* finish
      assert.include(lines(events), "SettingsApplied: keyterm")
      assert.deepStrictEqual(dropped(events), [])
      assert.strictEqual(bytes(yield* audioOf(1)), (4 - 1.6) * rate * 2)
    })).pipe(Effect.provide(sessions(
      () => ({
        opened: (server) =>
          Effect.gen(function*() {
            yield* server.say(connected)
            yield* Effect.sleep(1230)
            yield* server.say(turn("StartOfTurn", "a", 1.2))
            yield* Effect.sleep(400)
            yield* server.say(turn("EndOfTurn", "a", 1.6))
          }),
        received: ({ dataType }, server) => (dataType === "UTF8" ? server.end : Effect.void)
      }),
      () => onFrame(() => Effect.void)
    ))))

  it.effect("is not overrun where it takes over: what is kept goes at twice real time", () =>
    seeded(Effect.gen(function*() {
      const { speak } = yield* opened({ settings: { maxSessionAge: "5 seconds" } })
      yield* speak(14)
      const times = (yield* audioOf(1)).map(({ at }) => at)
      const [first = 0] = times
      // in mid-turn, at the end of its age
      assert.strictEqual(first, 5000 * 1.16)
      assert.closeTo((times[100] ?? 0) - first, 100 * 40, 45)
    })).pipe(Effect.provide(simulated({ script: turnOf(1, "abcdefghijklmnopqrstuvwxyz") }))))
})

describe("audio that endTurn held up", () => {
  it.effect("goes at twice real time", () =>
    seeded(Effect.gen(function*() {
      const { conversation, speak } = yield* opened()
      yield* speak(2)
      yield* Effect.forkChild(conversation.endTurn, { startImmediately: true })
      yield* speak(10)
      // 2 s were sent, and silence of as many frames as it takes until 5 s after the last word, at 6.9 s
      const times = (yield* audioOf(0)).map(({ at }) => at)
      const late = times.filter((at) => at > 7000)
      assert.isAbove(late.length, 100)
      late.slice(0, 60).forEach((at, i) => assert.closeTo(at - (late[0] ?? 0), i * 40, 41))
    })).pipe(Effect.provide(simulated({
      script: Script.make({
        clock: "stamps",
        turns: [{ at: 1, words: [{ word: "a", start: 1, end: 1.4 }, { word: "b", start: 1.5, end: 1.9 }], endOfTurnConfidence: [{ at: 0, value: 0.1 }] }]
      })
    }))))
})

describe("audio that was muted", () => {
  const cases: ReadonlyArray<readonly [string, number, ReadonlyArray<Fault>]> = [
    ["a break, from the start", 0, [{ fault: "lifetime", seconds: 15, session: 0 }]],
    ["a break, since the turn before", 1.6, [{ fault: "lifetime", seconds: 20, session: 0 }]],
    ["a rotation, since the turn before", 1.6, []]
  ]
  for (const [what, spoken, faults] of cases) {
    it.effect(`is not told as dropped after ${what}`, () =>
      seeded(Effect.gen(function*() {
        const { change, conversation, events, finish, speak } = yield* opened()
        yield* speak(spoken)
        yield* conversation.setMuted(true)
        yield* speak(30)
        if (faults.length === 0) yield* change({ mipOptOut: true })
        yield* speak(3)
        yield* finish
        assert.isTrue(lines(events).includes("Connected 1"))
        assert.deepStrictEqual(dropped(events), [])
      })).pipe(Effect.provide(simulated({ script: turnOf(1, "ab"), faults }))))
  }
})

describe("audio that had to be dropped", () => {
  it.effect("before there was a session is told once, also where that one breaks", () =>
    seeded(Effect.gen(function*() {
      const { events, speak } = yield* opened({ settings: { outboxPolicy: "drop-oldest", outboxLimit: 64_000 } })
      yield* speak(10)
      assert.isTrue(lines(events).includes("Resumed 1"))
      const ranges = dropped(events)
      assert.deepStrictEqual(ranges[0], [0, 6])
      for (const [from = 0] of ranges.slice(1)) assert.isAtLeast(from, 6)
    })).pipe(Effect.provide(simulated({
      script: turnOf(60, "a"),
      faults: [{ fault: "late-headers", delay: 8000, session: 0 }, { fault: "reset", at: 0.1, session: 0 }]
    }))))
})

describe("settings that come into force after a break", () => {
  for (const [what, faults] of [
    ["a session that is opened with them", [{ fault: "reset", at: 2, session: 0 }, { fault: "error-500", delay: 1000, session: 1 }]],
    ["the one that waited with them", [{ fault: "reset", at: 4, session: 0 }]]
  ] as const) {
    it.effect(`are told, with ${what}`, () =>
      seeded(Effect.gen(function*() {
        const { change, events, speak } = yield* opened()
        yield* speak(2.4)
        yield* change({ keyterm: ["x"] })
        yield* speak(4)
        assert.strictEqual(lines(events).filter((line) => line === "SettingsApplied: keyterm").length, 1)
      })).pipe(Effect.provide(simulated({ script: turnOf(1, "abcdefghijkl"), faults: [...faults] }))))
  }
})
