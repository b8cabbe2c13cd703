/** Replies over the whole client, against the simulated endpoint: what an early draft is worth, to the millisecond. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EagerReply from "../../src/EagerReply.ts"
import type { SettingsPatch } from "../../src/FluxSettings.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { seeded, simulated, speaking } from "../support/conversation.ts"
import { fork } from "../support/session.ts"

const thinks = 1500

/** Confidence that is enough for an eager end `from` seconds into the turn, and for an end `gap` seconds later. */
const curve = (from: number, gap: number): ReadonlyArray<Script.ConfidencePoint> => [
  { at: 0, value: 0 },
  { at: from - 0.01, value: 0 },
  { at: from, value: 0.5 },
  { at: from + gap - 0.01, value: 0.5 },
  { at: from + gap, value: 0.9 }
]

/** Plays a script to an agent that thinks for 1.5 s; when its first words are heard, and what it thought and said. */
const talk = Effect.fnUntraced(function*(settings: SettingsPatch, seconds: number) {
  const begun = yield* Clock.currentTimeMillis
  const thought: Array<string> = []
  const said: Array<string> = []
  const saidAt: Array<number> = []
  const replies = speaking(seconds).pipe(
    Transcriber.transcribe({ settings }),
    EagerReply.reply({
      draft: ({ transcript }) =>
        Effect.sync(() => void thought.push(transcript)).pipe(Effect.andThen(Effect.sleep(thinks)), Effect.as(`re ${transcript}`)),
      speak: Effect.fnUntraced(function*(text: string) {
        saidAt.push((yield* Clock.currentTimeMillis) - begun)
        said.push(text)
        yield* Effect.sleep(500)
      })
    })
  )
  const playing = yield* fork(Stream.runCollect(replies))
  yield* TestClock.adjust(seconds * 1000 + 10_000)
  return { told: yield* Fiber.join(playing), thought, said, saidAt }
})
const play = (script: Script.Script, settings: SettingsPatch) =>
  seeded(talk(settings, 12)).pipe(Effect.provide(simulated({ script })))

const eager = { eagerEotThreshold: 0.4 }

describe("early replies", () => {
  for (const gap of [0.08, 0.4, 0.8, 1.44]) {
    it.effect(`the first word comes earlier by a gap of ${gap} s, exactly`, () =>
      Effect.gen(function*() {
        const script = Script.make({ turns: [{ at: 1, words: "where is my order", endOfTurnConfidence: curve(1.6, gap) }] })
        const early = yield* play(script, eager)
        const late = yield* play(script, {})
        assert.deepStrictEqual([early.said, late.said], [["re where is my order"], ["re where is my order"]])
        const [[at = 0], [lateAt = 0]] = [early.saidAt, late.saidAt]
        assert.approximately(lateAt - at, gap * 1000, 1e-6)
        assert.deepStrictEqual(early.told.flatMap((event) => event.type === "Spoken" ? [event.gained] : []), [lateAt - at])
      }))
  }

  it.effect("by the time it takes to think, where the gap is longer than that", () =>
    Effect.gen(function*() {
      const script = Script.make({ turns: [{ at: 1, words: "where is my order", endOfTurnConfidence: curve(1.6, 2.4) }] })
      const [[at = 0], [lateAt = 0]] = [(yield* play(script, eager)).saidAt, (yield* play(script, {})).saidAt]
      assert.strictEqual(lateAt - at, thinks)
    }))

  it.effect("a draft that was dropped never speaks, and the turn's reply has all of its words", () =>
    Effect.gen(function*() {
      const script = Script.make({
        turns: [
          {
            at: 1,
            words: ["where", "is", { pause: 0.8 }, "my", "order"],
            endOfTurnConfidence: [{ at: 0.8, value: 0 }, { at: 1, value: 0.5 }, { at: 1.5, value: 0.5 }, { at: 1.6, value: 0 }, ...curve(2.8, 0.4).slice(1)]
          }
        ]
      })
      const { said, thought, told } = yield* play(script, eager)
      assert.deepStrictEqual(thought, ["where is", "where is my order"])
      assert.deepStrictEqual(said, ["re where is my order"])
      assert.deepStrictEqual(told.map((event) => `${event.type}${event.type === "Discarded" ? ` ${event.reason}` : ""}`), [
        "Discarded resumed",
        "Drafted",
        "Spoken"
      ])
    }))

  it.effect("nothing is drafted for words below `minConfidence`", () =>
    Effect.gen(function*() {
      const words = [{ word: "what", confidence: 0.3 }]
      const script = Script.make({
        turns: [
          { at: 1, words, endOfTurnConfidence: curve(0.8, 0.4) },
          { at: 4, words: [{ word: "yes", confidence: 0.9 }], endOfTurnConfidence: curve(0.8, 0.4) }
        ]
      })
      const { said, thought } = yield* play(script, { ...eager, minConfidence: 0.5 })
      assert.deepStrictEqual([thought, said], [["yes"], ["re yes"]])
    }))

  it.effect("the caller interrupts, and is answered", () =>
    Effect.gen(function*() {
      const script = Script.make({
        turns: [
          { at: 1, words: "where is my order", endOfTurnConfidence: curve(1.6, 0.4) },
          // the reply is spoken from 1 + 1.6 + 1.5 s on, for half a second
          { at: 4.3, words: "never mind", endOfTurnConfidence: curve(1.6, 0.4) }
        ]
      })
      const { said, told } = yield* play(script, eager)
      assert.deepStrictEqual(said, ["re where is my order", "re never mind"])
      assert.deepStrictEqual(told.map(({ turn, type }) => `${type} ${turn}`), ["Drafted 0", "Interrupted 0", "Drafted 1", "Spoken 1"])
    }))
})
