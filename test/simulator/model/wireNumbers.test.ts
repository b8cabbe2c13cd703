/** Numbers and ids as hosted Flux writes them (protocol 11.7). */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as float32 from "../../../src/simulator/model/float32.ts"
import * as uuid7 from "../../../src/simulator/model/uuid7.ts"
import * as Script from "../../../src/simulator/Script.ts"
import { baseQuery, open, read, turnInfos } from "../../support/flux.ts"
import { draw } from "../../support/sound.ts"

describe("a window in 32-bit floats", () => {
  it("has the noise that was seen", () => {
    // protocol 2.2: the second Update of a session
    assert.strictEqual(float32.seconds(480), 0.47999996)
    assert.deepStrictEqual([0, 80, 240, 960, 1_800_000].map(float32.seconds), [0, 0.08, 0.24, 0.96, 1800])
  })

  const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_800_000 }))
  it.prop("is a 32-bit float near the time, in no more digits than it takes", { millis: Millis }, ({ millis }) => {
    const told = float32.seconds(millis)
    // the decimal names one float, and nine digits always do
    assert.isAtMost(String(told).replace(/^0\.0*|\./g, "").length, 9)
    // thirteen roundings of half a unit of the last place, which is 2^-23 of the number
    assert.closeTo(told, millis / 1000, 13 * 2 ** -24 * Math.max(1, millis / 1000))
  }, { arbitrary: { runs: 300, seed: "floats" } })

  it("is in the messages of hosted Flux, as JSON numbers, and one turn's start is the end of the one before", () => {
    const said = (profile: "hosted-2026-09" | "flux-english-20260311") => open(baseQuery, { profile }).audio(draw(`v${".".repeat(14)}v`))
    const texts = said("hosted-2026-09").map(({ text }) => text)
    assert.match(texts[1] ?? "", /"audio_window_end":0\.47999996,/)
    const infos = turnInfos(said("hosted-2026-09"))
    const end = infos.find(({ event }) => event === "EndOfTurn")
    assert.strictEqual(infos.at(-1)?.audio_window_start, end?.audio_window_end)
    const exact = turnInfos(said("flux-english-20260311")).map(({ audio_window_end }) => audio_window_end)
    assert.include(exact, 0.48)
  })
})

describe("confidences", () => {
  it("have four decimals at most, of turns and of words", () => {
    const script = Script.make({
      turns: [{
        at: 0,
        words: [{ word: "a", confidence: 0.123456 }, { word: "b", confidence: 2 / 3 }],
        endOfTurnConfidence: [{ at: 0, value: 1 / 3 }, { at: 0.7, value: 0.4 }]
      }]
    })
    const infos = turnInfos(open(baseQuery, { script }).audio(draw(".........")))
    assert.deepStrictEqual(infos.at(-1)?.words.map(({ confidence }) => confidence), [0.1235, 0.6667])
    for (const { end_of_turn_confidence: sure } of infos) assert.match(String(sure), /^0(\.\d{1,4})?$/)
    // a third of the way from a third to two fifths: 0.24 of 0.7 s
    const update = infos.find(({ audio_window_end }) => audio_window_end === 0.48)
    assert.strictEqual(update?.end_of_turn_confidence, Math.round((1 / 3 + (0.4 - 1 / 3) * (0.48 / 0.7)) * 10_000) / 10_000)
  })
})

describe("a UUID of version 7", () => {
  it("begins with its time, and has the random bits of the other", () => {
    // RFC 9562, appendix A.6: 2022-02-22T19:22:22Z
    assert.strictEqual(uuid7.from("ffffffff-ffff-4cc3-98c4-dc0c0c07398f", 0x017F22E279B0), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert.strictEqual(uuid7.from("ffffffff-ffff-4cc3-98c4-dc0c0c07398f", 0), "00000000-0000-7cc3-98c4-dc0c0c07398f")
  })
})

describe("ConfigureSuccess", () => {
  const configure = `{"type":"Configure","keyterms":["x"]}`
  it.each([["&profanity_filter=true", true], ["&profanity_filter=false", false], ["", undefined]] as const)("after %j tells profanity_filter %s", (ask, expected) => {
    const answer = read(open(`${baseQuery}${ask}`, { profile: "hosted-2026-09" }).text(configure).messages[0])
    assert.strictEqual(answer.type === "ConfigureSuccess" ? answer.profanity_filter : "no answer", expected)
  })
})
