/** What the properties have found, each as the script that showed it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import { isSilence } from "./ear.ts"
import { check } from "./check.ts"
import type { Script, Server, User } from "./script.ts"

/** A user who does this and goes, and a server that says nothing and ends well. */
const scriptOf = (user: Partial<User>, server: Partial<Server>): Script => ({
  user: {
    rate: 16_000,
    policy: "suspend",
    limit: 8,
    keepAlive: 10_000,
    finish: "close",
    acts: [],
    leaves: { how: "finish", after: -1 },
    consumer: "fast",
    ...user
  },
  server: {
    profile: "flux-english-20260311",
    opening: "well",
    says: [[]],
    speaks: [],
    trouble: "none",
    troubleAt: 1,
    answers: ["yes"],
    closes: { says: [], after: 0, then: "end" },
    hangs: "no",
    ...server
  }
})
const turns = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => ("transcript" in event ? [`${event.type} ${event.turn}: ${event.transcript}`] : []))

describe("regressions", () => {
  it.effect("what is said late of a turn that has ended keeps nothing open", () =>
    Effect.gen(function*() {
      const { events, witness } = yield* check(scriptOf(
        { acts: [{ act: "send", bytes: 2560, how: "waits" }, { act: "pause", millis: 7000 }] },
        { says: [["start"]], speaks: [{ after: 100, says: ["end", "again"] }] }
      ))
      assert.deepStrictEqual(turns(events), ["StartOfTurn 0: w0", "EndOfTurn 0: w0"])
      assert.strictEqual(witness.sent.filter(({ bytes, type }) => type === undefined && bytes.length > 2 && isSilence(bytes)).length, 0)
    }))

  it.effect("a turn of nothing but silence has no width, and is told once all the same", () =>
    Effect.gen(function*() {
      // it opens before any audio has come, and ends with the first frame of silence
      const { events } = yield* check(scriptOf(
        { acts: [{ act: "pause", millis: 7000 }] },
        { opening: "turn-first", says: [["end", "again"]] }
      ))
      assert.deepStrictEqual(turns(events), ["StartOfTurn 0: w0", "Update 0: w0 w1", "EndOfTurn 0: w0 w1"])
    }))

  it.effect("a session that has failed takes no more audio, although its connection is not free yet", () =>
    Effect.gen(function*() {
      const { ending, events, sound } = yield* check(scriptOf(
        {
          policy: "drop-oldest",
          acts: [
            { act: "stream", frames: 2 },
            { act: "pause", millis: 500 },
            { act: "send", bytes: 30_001, how: "waits" },
            { act: "send", bytes: 30_001, how: "unsafe" }
          ]
        },
        { trouble: "end", hangs: "released" }
      ))
      assert.strictEqual(ending?._tag, "Failure")
      assert.deepStrictEqual(events.filter(({ type }) => type === "AudioDropped"), [])
      assert.deepStrictEqual(sound.chunks.filter(({ fate, from }) => fate === "due" && from > 2560), [])
    }))

  it.effect("a turn that Flux begins anew after it was ended on this side is told whole", () =>
    Effect.gen(function*() {
      // silence reaches its cap 10 s after the first frame, and the turn is begun again
      const { events } = yield* check(scriptOf(
        {
          acts: [
            { act: "send", bytes: 2560, how: "waits" },
            { act: "pause", millis: 12_000 },
            { act: "send", bytes: 2560, how: "waits" },
            { act: "send", bytes: 2560, how: "waits" },
            { act: "pause", millis: 80 }
          ]
        },
        { says: [["start"], ...Array.from({ length: 125 }, () => ["back" as const]), ["start"], ["more"]] }
      ))
      const told = turns(events).filter((turn) => !turn.startsWith("Update 0"))
      assert.deepStrictEqual([...new Set(told)], ["StartOfTurn 0: w0", "EndOfTurn 0: w0", "StartOfTurn 1: w0", "Update 1: w0 w1", "EndOfTurn 1: w0 w1"])
    }))

  it.effect("Configures that wait for the writer go in their order: the last that was wanted is the last that is sent", () =>
    Effect.gen(function*() {
      // a refusal comes while the first one waits behind a frame under way, and is taken for its answer
      const { witness } = yield* check(scriptOf(
        {
          rate: 8000,
          acts: [
            { act: "send", bytes: 30_001, how: "behind" },
            { act: "update", eot: 0.8, timeout: 1000, keyterm: "", eager: 0 },
            { act: "send", bytes: 640, how: "behind" },
            { act: "update", eot: 0.7, timeout: 3000, keyterm: "", eager: 0 }
          ]
        },
        { profile: "hosted-2026-09", says: [["failure"], []], trouble: "slow", answers: ["never"] }
      ))
      const sent = witness.sent.flatMap(({ bytes, type }) => (type === "Configure" ? [JSON.parse(new TextDecoder().decode(bytes)).thresholds.eot_timeout_ms] : []))
      assert.deepStrictEqual(sent, [1000, 3000])
    }))

  it.effect("a Configure that waits for a frame under way is given up 5 s after it was sent, and the next one goes then", () =>
    Effect.gen(function*() {
      const { witness } = yield* check(scriptOf(
        {
          policy: "drop-oldest",
          acts: [
            { act: "stream", frames: 2 },
            { act: "update", eot: 0.7, timeout: 1000, keyterm: "", eager: 0 },
            { act: "stream", frames: 5 },
            { act: "update", eot: 0.5, timeout: 3000, keyterm: "two", eager: 0.4 },
            { act: "pause", millis: 7000 }
          ]
        },
        { profile: "hosted-2026-09", trouble: "slow", answers: ["never"] }
      ))
      // asked for at 160 ms, while a frame of 90 ms was under way since 90
      assert.deepStrictEqual(witness.sent.flatMap(({ at, type }) => (type === "Configure" ? [at] : [])), [180, 5180])
    }))

  it.effect("a turn that is ended by a sender who had to wait is ended behind the frame that made room", () =>
    Effect.gen(function*() {
      // the sender goes on in the moment in which its last frame is taken, which is under way for 4 s
      const { endTurns, witness } = yield* check(scriptOf(
        {
          rate: 8000,
          limit: 1,
          acts: [{ act: "send", bytes: 2561, how: "waits" }, { act: "endTurn" }, { act: "pause", millis: 7000 }],
          leaves: { how: "close", after: -1 }
        },
        { says: [[], ["idle"]], trouble: "slower" }
      ))
      assert.strictEqual(endTurns[0]?.from, 4000)
      // it needs no silence, only what keeps the session alive
      assert.deepStrictEqual(witness.sent.filter(({ type }) => type === undefined).map(({ at, bytes }) => [at, isSilence(bytes)]).slice(0, 3), [[0, false], [4000, false], [14_000, true]])
    }))

  it.effect("a lone sample may be like one that was dropped", () =>
    Effect.gen(function*() {
      // the first that was dropped, and the last one, which came, say the same of where they are from
      const { sound, witness } = yield* check(scriptOf({
        rate: 44_100,
        policy: "drop-oldest",
        limit: 1,
        acts: [
          { act: "send", bytes: 2, how: "waits" },
          { act: "stream", frames: 5 },
          { act: "endTurn" },
          { act: "send", bytes: 2, how: "waits" },
          { act: "stream", frames: 20 }
        ]
      }, {}))
      assert.isAbove(witness.sent.filter(({ bytes }) => bytes.length === 2 && !isSilence(bytes)).length, 1)
      assert.strictEqual(sound.bytes(), 2 * (2 + 25 * 3528))
    }))

  it.effect("a part of a frame that waited for the end of a turn waits 80 ms more", () =>
    Effect.gen(function*() {
      const { endTurns, witness } = yield* check(scriptOf(
        {
          acts: [
            { act: "send", bytes: 2560, how: "waits" },
            { act: "pause", millis: 80 },
            { act: "endTurn" },
            { act: "send", bytes: 640, how: "unsafe" },
            { act: "pause", millis: 40 },
            { act: "pause", millis: 1 },
            { act: "pause", millis: 7000 },
            { act: "pause", millis: 500 }
          ]
        },
        { says: [["start"], []] }
      ))
      assert.deepStrictEqual(endTurns, [{ from: 80, to: 7120 }])
      assert.deepStrictEqual(witness.sent.filter(({ bytes }) => bytes.length === 640).map(({ at }) => at), [7200])
    }))

  it.effect("a moment that is as near to a gap as noise may be told on either side of it", () =>
    Effect.gen(function*() {
      // a sample, and 29 more that keep the session alive, before audio goes on 0.8 s later
      const { events } = yield* check(scriptOf(
        {
          keepAlive: 400,
          acts: [
            { act: "send", bytes: 2, how: "unsafe" },
            { act: "aside", frames: 10 },
            { act: "pause", millis: 12_000 },
            { act: "stream", frames: 20 }
          ]
        },
        { says: [["more"]] }
      ))
      assert.isAbove(turns(events).length, 0)
    }))

  it.effect("silence in real time is no burst, although its times are no whole milliseconds", () =>
    Effect.gen(function*() {
      const { witness } = yield* check(scriptOf(
        {
          rate: 44_100,
          keepAlive: 400,
          acts: [
            { act: "pause", millis: 7000 },
            { act: "send", bytes: 30_001, how: "waits" },
            { act: "pause", millis: 25_000 },
            { act: "send", bytes: 30_001, how: "unsafe" }
          ]
        },
        { opening: "slow-headers", says: [["more"], []] }
      ))
      assert.isAbove(witness.sent.filter(({ bytes }) => bytes.length > 2 && isSilence(bytes)).length, 100)
    }))

  it.effect("a sample that is offered after seconds of mute is from where it is", () =>
    Effect.gen(function*() {
      const { witness } = yield* check(scriptOf({
        rate: 44_100,
        acts: [
          { act: "mute", on: true },
          { act: "stream", frames: 20 },
          { act: "stream", frames: 20 },
          { act: "mute", on: false },
          { act: "send", bytes: 2, how: "waits" }
        ]
      }, {}))
      assert.strictEqual(witness.ear.pieces[0]?.position, 40 * 3528)
    }))

  it.effect("a write of silence that fails late in a pause leaves the next frame of it waiting until the session fails", () =>
    Effect.gen(function*() {
      // from 500 ms on a frame each 80 ms, of which the twelfth fails: nothing is written any more, and it is ready until 1880 ms
      const { ending, witness } = yield* check(scriptOf(
        { acts: [{ act: "pause", millis: 1500 }] },
        { opening: "turn-first", trouble: "fails", troubleAt: 12 }
      ))
      assert.deepStrictEqual([witness.sent.length, witness.writeFailedAt], [12, 1380])
      assert.strictEqual(ending?._tag, "Failure")
    }))
})
