import { assert, describe, it } from "@effect/vitest"
import type { TurnInfo } from "../../../src/FluxMessage.ts"
import * as Script from "../../../src/simulator/Script.ts"
import { baseQuery, changes, open, plainHosted, turnInfos } from "../../support/flux.ts"
import { draw } from "../../support/sound.ts"

type Curve = ReadonlyArray<Script.ConfidencePoint>

/** Everything said of a turn with a curve, with what the newest bundle tells. */
const hear = (turn: object, endOfTurnConfidence: Curve, pattern: string, ask: string): Array<TurnInfo> => {
  const script = Script.make({ turns: [{ ...turn, endOfTurnConfidence }] })
  return turnInfos(open(`${baseQuery}${ask}`, { script, profile: plainHosted }).audio(draw(pattern)))
}
const frames = (count: number): string => ".".repeat(count)

describe("a curve of confidence", () => {
  it("makes eager ends, takes them back and ends the turn at the frames where it crosses the thresholds", () => {
    const curve = [{ at: 0, value: 0 }, { at: 1, value: 0.5 }, { at: 1.5, value: 0.2 }, { at: 3.5, value: 1 }]
    const infos = hear({ at: 0.4, words: "Well" }, curve, frames(50), "&eager_eot_threshold=0.4&eot_threshold=0.7")
    // the word begins with the frame that ends at 480 ms; seconds since its start:
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 480, "Well"],
      // 0.4 on the way up: 0.8 s
      ["EagerEndOfTurn", 1200, "Well"],
      // below 0.4 on the way down: after 1 + 0.1 / 0.6 s, 1567 ms of audio
      ["TurnResumed", 1600, "Well"],
      // 0.4 again: 1.5 + 0.2 / 0.4 s
      ["EagerEndOfTurn", 2400, "Well"],
      // 0.7: 1.5 + 0.5 / 0.4 s, 3150 ms of audio
      ["EndOfTurn", 3200, "Well"]
    ])
    const at = (end: number) => infos.find(({ audio_window_end }) => audio_window_end === end)?.end_of_turn_confidence
    assert.deepStrictEqual([at(0.48), at(0.96), at(1.44), at(2.4), at(3.2)], [0.04, 0.28, 0.476, 0.4, 0.72])
    assert.strictEqual(infos.find(({ event }) => event === "EndOfTurn")?.trigger, "model")
  })

  it("is constant before its first point and after its last", () => {
    const infos = hear({ at: 0, words: "a b c d e f g h" }, [{ at: 0.4, value: 0.3 }, { at: 0.8, value: 0.5 }], frames(20), "")
    const confidences = infos.map(({ audio_window_end, end_of_turn_confidence }) => [audio_window_end, end_of_turn_confidence])
    assert.deepStrictEqual(confidences, [[0.08, 0.3], [0.48, 0.34], [0.72, 0.46], [0.96, 0.5], [1.2, 0.5], [1.44, 0.5]])
  })

  it("leaves the timeout as it is", () => {
    const [, end] = hear({ at: 0, words: "a" }, [{ at: 0, value: 0.1 }], frames(20), "&eot_timeout_ms=1000").filter(({ event }) => event !== "Update")
    // 320 ms of a word, 1 s of silence
    assert.deepStrictEqual([end?.event, end?.audio_window_end, end?.trigger, end?.end_of_turn_confidence], ["EndOfTurn", 1.36, "timeout", 0.1])
  })

  it("ends no turn where confidence is not to", () => {
    const infos = hear({ at: 0, words: "a" }, [{ at: 0, value: 1 }], frames(20), "&eot_threshold=1.0&eot_timeout_ms=1000")
    assert.deepStrictEqual(changes(infos), [["StartOfTurn", 80, "a"], ["EndOfTurn", 1360, "a"]])
    assert.strictEqual(infos.find(({ event }) => event === "EndOfTurn")?.trigger, "timeout")
  })

  it("takes an eager end back for a new word, and ends the turn a frame later at the earliest", () => {
    const curve = [{ at: 0, value: 0 }, { at: 0.4, value: 0.4 }, { at: 0.79, value: 0.4 }, { at: 0.8, value: 1 }]
    const infos = hear({ at: 0, words: ["a", { pause: 0.4 }, "b"] }, curve, frames(20), "&eager_eot_threshold=0.4")
    // the second word begins at 720 ms, the curve jumps at 800
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "a"],
      ["EagerEndOfTurn", 400, "a"],
      ["TurnResumed", 800, "a b"],
      ["EndOfTurn", 880, "a b"]
    ])
  })

  it("goes for a turn that follows speech, too, from its first frame on", () => {
    const curve = [{ at: 0, value: 0 }, { at: 1, value: 1 }]
    const infos = hear({ words: "One two three four five six" }, curve, "...vvvvvvvvvvvvv", "&eot_threshold=0.7&eager_eot_threshold=0.5")
    // from 240 ms: 0.5 after 7 frames, 0.7 after 9; an eager end has the whole line, and speech alone does not take it back
    assert.deepStrictEqual(changes(infos).slice(0, 3), [
      ["StartOfTurn", 320, "One"],
      ["EagerEndOfTurn", 240 + 560, "One two three four five six"],
      ["EndOfTurn", 240 + 720, "One two three four five six"]
    ])
  })

  it("begins anew with the turn", () => {
    // the first turn ends by its curve within the words, which go on in a second
    const curve = [{ at: 0, value: 0 }, { at: 0.7, value: 0.7 }]
    const infos = hear({ at: 0, words: "a b c d e" }, curve, frames(30), "&eot_threshold=0.7")
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "a"],
      ["EndOfTurn", 720, "a b c"],
      ["StartOfTurn", 1040, "d"],
      ["EndOfTurn", 1680, "d e"]
    ])
  })
})
