/** Which messages a session has frame by frame, told from arithmetic on a drawing alone. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { FluxModel } from "../../../src/simulator/FluxModel.ts"
import { profiles } from "../../../src/simulator/Profile.ts"
import * as Script from "../../../src/simulator/Script.ts"
import { baseQuery, changes, closeStream, open, plainHosted, told, turnInfos } from "../../support/flux.ts"
import { draw } from "../../support/sound.ts"

/** Frames of voice and of silence, drawn. */
const Rhythm = Schema.Array(Schema.Struct({
  silence: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
  voice: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
})).check(Schema.isMaxLength(8))

/**
 * Every message of a drawing as event and frame. In thousandths: 80 of confidence a silent frame, in the first turn of
 * a session as `first` says; over 500 each frame has an Update, else each third, unless there was a change.
 */
const expected = (pattern: string, eot: number, first: number): Array<readonly [string, number]> => {
  const out: Array<readonly [string, number]> = []
  let [isOpen, turns, silent, taken] = [false, 0, 0, false]
  for (const [at, mark] of [...pattern].entries()) {
    const sure = (): number => (isOpen ? silent * (turns === 0 ? first : 80) : 0)
    const wasOpen = isOpen
    silent = mark === "v" ? 0 : silent + 1
    isOpen ||= mark === "v"
    const change = isOpen !== wasOpen ? "StartOfTurn" : isOpen && sure() >= eot ? "EndOfTurn" : undefined
    if (change === "EndOfTurn") [isOpen, turns] = [false, turns + 1]
    taken ||= change !== undefined
    const slotEnds = at % 3 === 2
    if (change !== undefined) out.push([change, at + 1])
    else if (sure() > 500 || (slotEnds && !taken)) out.push(["Update", at + 1])
    if (slotEnds) taken = false
  }
  return out
}

describe("the messages of a session", () => {
  const kinds = [["plain", plainHosted, 80], ["hosted-2026-09", profiles["hosted-2026-09"], 64]] as const
  it.each(kinds)("%s: an Update each 240 ms, and each 80 ms over 0.5, unless there is a change", (_, profile, first) => {
    const of = (pattern: string, threshold: number) =>
      told(turnInfos(open(`${baseQuery}&eot_threshold=${threshold}`, { profile }).audio(draw(pattern)))).map(([event, at]): readonly [string, number] => [event, at / 80])
    // silence over 0.5 that speech takes back, within and at the ends of slots
    for (const back of [6, 7, 8, 9, 10]) {
      const pattern = `..vv${".".repeat(back)}vvv${".".repeat(20)}v${".".repeat(14)}`
      for (const threshold of [0.5, 0.51, 0.7, 0.9]) {
        assert.deepStrictEqual(of(pattern, threshold), expected(pattern, threshold * 1000, first), `${back} ${threshold}`)
      }
    }
  })
  for (const [name, profile, first] of kinds) {
    it.prop(`${name}: on any audio`, { rhythm: Rhythm, eot: Schema.Int.check(Schema.isBetween({ minimum: 50, maximum: 99 })) }, ({ eot, rhythm }) => {
      const pattern = rhythm.map(({ silence, voice }) => ".".repeat(silence) + "v".repeat(voice)).join("") + "..."
      const infos = turnInfos(open(`${baseQuery}&eot_threshold=${eot / 100}`, { profile }).audio(draw(pattern)))
      assert.deepStrictEqual(told(infos).map(([event, at]): readonly [string, number] => [event, at / 80]), expected(pattern, eot * 10, first))
      for (const { end_of_turn_confidence, transcript } of infos.filter(({ words }) => words.length === 0)) {
        assert.deepStrictEqual([transcript, end_of_turn_confidence], ["", 0])
      }
    }, { arbitrary: { runs: 100, seed: "updates" } })
  }
})

describe("the first turn of a session", () => {
  const hosted = { profile: "hosted-2026-09" } as const
  const confidences = (model: FluxModel, frames: number): ReadonlyArray<number> =>
    turnInfos(model.audio(draw(`v${".".repeat(frames)}`))).map(({ end_of_turn_confidence }) => end_of_turn_confidence)

  it("is less sure of the same silence, and ends later at every threshold but still by confidence", () => {
    const model = open(`${baseQuery}&eot_threshold=0.9`, hosted)
    // 0.72 s: of 1.25 s, and of 1 s
    assert.include(confidences(model, 20), 0.576)
    const later = confidences(model, 20)
    assert.include(later, 0.72)
    assert.notInclude(later, 0.576)
    // frames of silence: the first 64 or 80 thousandths that reach it
    for (const [threshold, first, next] of [[0.5, 8, 7], [0.7, 11, 9], [0.8, 13, 10], [0.9, 15, 12], [0.99, 16, 13]] as const) {
      const line = `v${".".repeat(20)}`
      const heard = changes(turnInfos(open(`${baseQuery}&eot_threshold=${threshold}`, hosted).audio(draw(line + line))))
      assert.deepStrictEqual(heard.map(([event, at]) => [event, at / 80]), [
        ["StartOfTurn", 1],
        ["EndOfTurn", 1 + first],
        ["StartOfTurn", 22],
        ["EndOfTurn", 22 + next]
      ], `${threshold}`)
    }
  })

  it("has the confidence of its script where that gives any", () => {
    const script = Script.make({ turns: [{ at: 0, words: "a", endOfTurnConfidence: [{ at: 0, value: 0.55 }, { at: 0.6, value: 0.6875 }] }] })
    const said = (profile: "hosted-2026-09" | typeof plainHosted) =>
      turnInfos(open(baseQuery, { profile, script }).audio(draw("............"))).map(({ end_of_turn_confidence }) => end_of_turn_confidence)
    assert.deepStrictEqual(said("hosted-2026-09"), said(plainHosted))
  })

  it("is nothing special where the bundle was not seen to have it so, and each session is new to it", () => {
    assert.include(confidences(open(baseQuery), 9), 0.72)
    assert.include(confidences(open(baseQuery, { ...hosted }), 9), 0.576)
    assert.include(confidences(open(baseQuery, { ...hosted }), 9), 0.576)
  })

  it("may be had of any bundle", () => {
    const profile = { ...profiles["flux-english-20260311"], endOfTurnMemory: true }
    assert.include(confidences(open(baseQuery, { profile }), 9), 0.576)
  })
})

it("CloseStream ends no turn, whatever came before it: Updates of what is left are the last (protocol 11.4)", () => {
  for (const silent of [0, 5, 8]) {
    const model = open(baseQuery)
    model.audio(draw(`vvvv${".".repeat(silent)}`))
    model.audio(new Uint8Array(1000))
    const said = turnInfos(model.text(closeStream).messages)
    assert.isNotEmpty(said)
    assert.deepStrictEqual([...new Set(said.map(({ event }) => event))], ["Update"])
    assert.strictEqual(said.at(-1)?.transcript, "speech-1")
  }
})
