import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnInfo } from "../../../src/FluxMessage.ts"
import * as Script from "../../../src/simulator/Script.ts"
import { baseQuery, changes, closeStream, forceEndTurn, multiQuery, open, plainHosted, told, turnInfos } from "../../support/flux.ts"
import { draw } from "../../support/sound.ts"

/** Everything said on a drawing, with what the newest bundle tells, and after CloseStream. */
const hear = (turns: ScriptTurns, pattern: string, ask = "", query = baseQuery): Array<TurnInfo> => {
  const model = open(`${query}${ask}`, { script: Script.make({ turns }), profile: plainHosted })
  return turnInfos([...model.audio(draw(pattern)), ...model.text(closeStream).messages])
}
type ScriptTurns = Exclude<Script.ScriptInput["turns"], undefined>
const silence = (seconds: number): string => ".".repeat(Math.round(seconds / 0.08))
/** When the frame ends in which a time lies, ms. */
const frameOf = (millis: number): number => (Math.floor(millis / 80) + 1) * 80
/** The first end of a frame that is not before a time, ms. */
const notBefore = (millis: number): number => Math.ceil(millis / 80) * 80

describe("a timed turn", () => {
  it("is said at its times, whatever the audio holds", () => {
    const words = [
      { word: "Hello,", start: 0.5, end: 0.9, confidence: 0.75 },
      { word: "how", start: 1.1, end: 1.3 },
      { word: "are", start: 1.3, end: 1.37 },
      { word: "you?", start: 1.37, end: 1.6 }
    ]
    const infos = hear([{ words }], ".".repeat(37))
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", frameOf(500), "Hello,"],
      ["EndOfTurn", notBefore(1600 + 700), "Hello, how are you?"]
    ])
    const end = infos.find(({ event }) => event === "EndOfTurn")
    assert.deepStrictEqual(end?.words.map(({ end, start, word }) => ({ word, start, end })), words.map(({ end, start, word }) => ({ word, start, end })))
    assert.strictEqual(end?.words[0]?.confidence, 0.75)
    // confidence is the silence since the last word
    assert.strictEqual(end?.end_of_turn_confidence, (2320 - 1600) / 1000)
    assert.deepStrictEqual([end?.audio_window_start, end?.audio_window_end], [0, 2.32])
    // a word under way ends now, and none is heard before it begins
    const update = infos.find(({ audio_window_end }) => audio_window_end === 1.2)
    assert.deepStrictEqual(update?.words.map(({ end, start, word }) => [word, start, end]), [["Hello,", 0.5, 0.9], ["how", 1.1, 1.2]])
    // the same over noise, and over speech
    const [inTurn, after] = [notBefore(2300) / 80, ".".repeat(37 - notBefore(2300) / 80)]
    assert.deepStrictEqual(hear([{ words }], "v.".repeat(20).slice(0, inTurn) + after), infos)
    assert.deepStrictEqual(hear([{ words }], "v".repeat(inTurn) + after), infos)
  })

  it("keeps detected speech from opening a turn before it, and leaves it what comes after", () => {
    const infos = hear([{ at: 1, words: "One" }, "Two", { at: 4, words: "Three" }], `${"v".repeat(28)}${".".repeat(10)}vv${silence(3)}`)
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", frameOf(1000), "One"],
      // the second turn follows the speech that is still there when the first has ended
      ["EndOfTurn", notBefore(1320 + 700), "One"],
      ["StartOfTurn", notBefore(1320 + 700) + 80, "Two"],
      ["EndOfTurn", 28 * 80 + 720, "Two"],
      // speech at 39 and 40 opens nothing: the next turn is a timed one
      ["StartOfTurn", frameOf(4000), "Three"],
      ["EndOfTurn", notBefore(4320 + 700), "Three"]
    ])
  })

  it("goes on in the turn before where the silence was too short to end that", () => {
    const infos = hear([{ at: 0, words: "One" }, { at: 0.8, words: "Two" }], silence(3), "&eager_eot_threshold=0.3")
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "One"],
      ["EagerEndOfTurn", notBefore(320 + 300), "One"],
      ["TurnResumed", frameOf(800), "One Two"],
      ["EagerEndOfTurn", notBefore(1120 + 300), "One Two"],
      ["EndOfTurn", notBefore(1120 + 700), "One Two"]
    ])
    // a word that was cut short stays so, and the curve is that of the turn that is said, from where it begins
    const curve = [{ at: 0, value: 0 }, { at: 1, value: 1 }]
    const joined = hear(["One", { at: 0.5, words: "Two", endOfTurnConfidence: curve }], `v${silence(2.4)}`)
    assert.deepStrictEqual(changes(joined).at(-1), ["EndOfTurn", notBefore(500 + 700), "One Two"])
    const times = joined.find(({ event }) => event === "EndOfTurn")?.words.map(({ end, start }) => [start, end])
    assert.deepStrictEqual(times, [[0, 0.08], [0.5, 0.82]])
    // behind a turn that follows speech its line is whole first
    const mixed = hear(["One and a", { at: 0.7, words: "Two" }], `v${silence(2.4)}`)
    assert.deepStrictEqual(changes(mixed), [
      ["StartOfTurn", 80, "One"],
      ["EndOfTurn", notBefore(1020 + 700), "One and a Two"]
    ])
    const words = mixed.find(({ event }) => event === "EndOfTurn")?.words.map(({ end, start }) => [start, end])
    assert.deepStrictEqual(words, [[0, 0.08], [0.08, 0.08], [0.08, 0.08], [0.7, 1.02]])
  })

  it("is two turns where a silence within it ends the first", () => {
    const turn = { at: 0, words: ["One", { pause: 1 }, "Two", "three"] }
    assert.deepStrictEqual(changes(hear([turn, "Four"], `${silence(3.2)}v${silence(0.8)}`)), [
      ["StartOfTurn", 80, "One"],
      ["EndOfTurn", notBefore(320 + 700), "One"],
      ["StartOfTurn", frameOf(1320), "Two"],
      ["EndOfTurn", notBefore(1960 + 700), "Two three"],
      ["StartOfTurn", 3200 + 80, "Four"],
      ["EndOfTurn", 3280 + 720, "Four"]
    ])
  })

  it("passes over turns that follow speech and have found none", () => {
    const infos = hear(["Never", "heard", { at: 0.4, words: "Now" }, "Then"], `${silence(1.6)}v${silence(1)}`)
    assert.deepStrictEqual(changes(infos).map(([event, , text]) => [event, text]), [
      ["StartOfTurn", "Now"],
      ["EndOfTurn", "Now"],
      ["StartOfTurn", "Then"],
      ["EndOfTurn", "Then"]
    ])
  })

  it("hears words that begin in one frame together", () => {
    const words = [0.1, 0.11, 0.12, 0.17].map((start, at) => ({ word: `w${at}`, start, end: start + 0.01 }))
    assert.deepStrictEqual(told(hear([{ words }], "...")), [
      ["StartOfTurn", 160, "w0 w1 w2"],
      ["Update", 240, "w0 w1 w2 w3"]
    ])
  })

  it("begins at the start of a frame, also where seconds in binary are a little less", () => {
    assert.isBelow(16.08 * 1000, 16_080)
    const [start] = changes(hear([{ at: 16.08, words: "a" }], silence(16.16)))
    assert.deepStrictEqual(start, ["StartOfTurn", 16_160, "a"])
  })

  it("says what was left of a word it was cut in no more", () => {
    const model = open(baseQuery, { script: Script.make({ turns: [{ at: 0, words: [{ word: "Looong", end: 2 }, "two"] }] }), profile: plainHosted })
    const said = [...model.audio(draw(silence(0.8))), ...model.text(forceEndTurn).messages, ...model.audio(draw(silence(2.4)))]
    assert.deepStrictEqual(changes(turnInfos(said)), [
      ["StartOfTurn", 80, "Looong"],
      ["EndOfTurn", 800, "Looong"],
      ["StartOfTurn", frameOf(2000), "two"],
      ["EndOfTurn", notBefore(2320 + 700), "two"]
    ])
  })

  it("tells its languages where the model tells any", () => {
    const turns = [{ at: 0, words: "Guten Tag", languages: ["de", "en"] }, { at: 3, words: "Hello" }]
    const ends = (query: string) =>
      hear(turns, silence(5), "", query).flatMap(({ event, languages }) => event === "EndOfTurn" ? [languages] : [])
    assert.deepStrictEqual(ends(multiQuery), [["de", "en"], ["en"]])
    assert.deepStrictEqual(ends(`${multiQuery}&language_hint=fr`), [["de", "en"], ["fr"]])
    assert.deepStrictEqual(ends(baseQuery), [undefined, undefined])
    const idle = hear(turns, silence(3), "", multiQuery).filter(({ transcript }) => transcript === "")
    assert.isNotEmpty(idle)
    for (const { languages } of idle) assert.deepStrictEqual(languages, [])
  })
})

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
/** Times in steps of 10 ms, thresholds in hundredths. */
const Words = Schema.Array(Schema.Struct({ gap: Count(0, 150), length: Count(1, 60) })).check(Schema.isBetweenLength(1, 12))
const Thresholds = Schema.Struct({ eot: Count(50, 90), eager: Schema.NullOr(Count(30, 90)), timeout: Schema.Literals([500, 640, 650, 5000]) })

describe("timed turns", () => {
  it.prop("open, resume and end turns where their silences say", { words: Words, thresholds: Thresholds, speech: Schema.Boolean }, ({ speech, thresholds: { eager, eot, timeout }, words }) => {
    let now = 0
    const times = words.map(({ gap, length }) => {
      const start = now + gap * 10
      now = start + length * 10
      return { start, end: now }
    })
    const input = times.map(({ end, start }, at) => ({ word: `w${at}`, start: start / 1000, end: end / 1000 }))
    const asked = `&eot_threshold=${eot / 100}&eot_timeout_ms=${timeout}${eager === null ? "" : `&eager_eot_threshold=${Math.min(eager, eot) / 100}`}`
    const infos = hear([{ words: input }], (speech ? "v" : ".").repeat(Math.ceil(now / 80)) + ".".repeat(13), asked)

    const expected: Array<readonly [string, number, string]> = []
    let text = ""
    let eagerly = false
    times.forEach(({ end, start }, at) => {
      const opens = text === ""
      text += `${opens ? "" : " "}w${at}`
      if (opens) {
        // words that begin in the same frame are heard together
        const together = times.slice(at).filter(({ start: other }) => frameOf(other) === frameOf(start)).length
        expected.push(["StartOfTurn", frameOf(start), Array.from({ length: together }, (_, index) => `w${at + index}`).join(" ")])
      } else if (eagerly) {
        const together = times.slice(at + 1).filter(({ start: other }) => frameOf(other) === frameOf(start))
        expected.push(["TurnResumed", frameOf(start), [text, ...together.map((_, index) => `w${at + 1 + index}`)].join(" ")])
        eagerly = false
      }
      const next = times[at + 1]
      const nextFrame = next === undefined ? Infinity : frameOf(next.start)
      const ends = notBefore(end + Math.min(eot * 10, timeout))
      const eagerEnds = eager === null ? Infinity : notBefore(end + Math.min(eager, eot) * 10)
      if (eagerEnds < ends && eagerEnds < nextFrame) {
        expected.push(["EagerEndOfTurn", eagerEnds, text])
        eagerly = true
      }
      if (ends < nextFrame) {
        expected.push(["EndOfTurn", ends, text])
        text = ""
        eagerly = false
      }
    })
    assert.deepStrictEqual(changes(infos), expected)
    // every word comes with the times of the script
    const heard = infos.filter(({ event }) => event === "EndOfTurn").flatMap(({ words }) => words)
    assert.deepStrictEqual(heard.map(({ end, start, word }) => ({ word, start, end })), input)
  }, { arbitrary: { runs: 200, seed: "timed turns" } })
})

describe("what follows closely", () => {
  it("is all said, where turns begin within one frame", () => {
    const close: ScriptTurns = [
      { words: [{ word: "a", start: 0, end: 0.3 }, { word: "b", start: 0.41, end: 0.45 }] },
      { at: 0.46, words: ["c"] }
    ]
    const closer: ScriptTurns = [
      { words: [{ word: "a", start: 0.41, end: 0.43 }] },
      { words: [{ word: "b", start: 0.44, end: 0.45 }] },
      { at: 0.46, words: ["c"] }
    ]
    for (const turns of [close, closer]) {
      const ends = hear(turns, silence(3)).filter(({ event }) => event === "EndOfTurn")
      assert.deepStrictEqual(ends.map(({ transcript }) => transcript), ["a b c"])
    }
  })

  it("is silence only as long as it is, also in the last, partial frame", () => {
    const model = open(baseQuery, { script: Script.fromText("hi") })
    model.audio(draw("v" + ".".repeat(8)))
    // 640 ms and one sample
    model.audio(new Uint8Array(2))
    const [last, ...more] = turnInfos([...model.text(closeStream).messages])
    assert.strictEqual(more.length, 0)
    assert.strictEqual(last?.event, "Update")
    // to four decimals
    assert.closeTo(last?.end_of_turn_confidence ?? 0, 0.64 + 1 / 16_000, 0.00005)
  })

  it("is nothing, where all of the script was timed and has been said", () => {
    const loud = "v".repeat(40)
    assert.deepStrictEqual(hear([{ at: 0.1, words: "that is all" }], loud + silence(2) + loud).filter(({ event }) => event === "StartOfTurn").length, 1)
    // with a line that follows speech, speech goes on to be heard: two turns of placeholders
    assert.deepStrictEqual(hear(["first", { at: 4, words: "second" }], loud + silence(2) + loud + silence(2) + loud).filter(({ event }) => event === "StartOfTurn").length, 4)
  })
})
