import { assert, describe, it } from "@effect/vitest"
import * as Summary from "../../src/cli/Summary.ts"
import type { EndOfTurn, FluxEvent, Word } from "../../src/FluxEvent.ts"

const common = { id: "call" }
const connected = (session: number): FluxEvent => ({ type: "Connected", ...common, receivedAt: 0, session, requestId: "r" })
const words = (...ends: ReadonlyArray<number>): ReadonlyArray<Word> => ends.map((end) => ({ word: "w", confidence: 1, start: end - 0.1, end }))
const turn = (type: "Update" | "EndOfTurn", of: { turn: number; receivedAt: number; audioEnd: number; words: ReadonlyArray<Word> } & Partial<EndOfTurn>): FluxEvent => {
  const shape = { ...common, transcript: of.words.map(({ word }) => word).join(" "), endOfTurnConfidence: 0, audioStart: 0, ...of }
  return type === "Update"
    ? { ...shape, type }
    : { ending: "confirmed", accepted: true, usage: { audioSeconds: 1, injectedSeconds: 0 }, ...shape, type }
}
/** Told when it was received. */
const told = (summary: Summary.Summary, event: FluxEvent): void => summary.tell(event, event.receivedAt)
/** Audio in chunks of 100 ms, handed over in real time from 1000 ms on. */
const speaking = (summary: Summary.Summary, from: number, to: number): void => {
  for (let chunk = from * 10; chunk < to * 10; chunk++) summary.hear((chunk + 1) / 10, 1000 + chunk * 100)
}

describe("Summary", () => {
  it("of a call that Flux never heard of is nothing; of one without words little", () => {
    const summary = Summary.make()
    speaking(summary, 0, 2)
    assert.deepStrictEqual(summary.lines(), [])
    told(summary, connected(0))
    assert.deepStrictEqual(summary.lines(), ["0 turns in 2.0 s of audio; 0 reconnects"])
  })

  it("counts turns with words, sessions after the first, and silence that was put in", () => {
    const summary = Summary.make()
    speaking(summary, 0, 3)
    told(summary, connected(0))
    told(summary, turn("EndOfTurn", { turn: 0, receivedAt: 4000, audioEnd: 1, words: words(0.5), usage: { audioSeconds: 1, injectedSeconds: 0.5 } }))
    told(summary, connected(1))
    told(summary, turn("EndOfTurn", { turn: 1, receivedAt: 4000, audioEnd: 2, words: [] }))
    told(summary, { type: "Disconnected", ...common, receivedAt: 0, session: 1, requestId: "r", usage: { audioSeconds: 1, injectedSeconds: 1 } })
    assert.strictEqual(summary.lines()[0], "1 turn in 3.0 s of audio and 1.5 s of injected silence; 1 reconnect")
  })

  it("measures from when audio was handed over: the first word's own, and what reaches to the end of the turn", () => {
    const summary = Summary.make()
    told(summary, connected(0))
    speaking(summary, 0, 10)
    // the chunk that holds 0.45 s went at 1400, that of 2.0 s at 2900
    told(summary, turn("Update", { turn: 0, receivedAt: 1450, audioEnd: 1, words: words(0.45) }))
    told(summary, turn("Update", { turn: 0, receivedAt: 9999, audioEnd: 1.5, words: words(0.45, 1.2) }))
    told(summary, turn("EndOfTurn", { turn: 0, receivedAt: 2920, audioEnd: 2, words: words(0.45, 1.2) }))
    // without times of words: that of 4.0 s went at 4900, that of 5.0 s at 5900
    told(summary, turn("Update", { turn: 1, receivedAt: 5000, audioEnd: 4, words: [{ word: "w", confidence: 1 }] }))
    told(summary, turn("EndOfTurn", { turn: 1, receivedAt: 7100, audioEnd: 5, words: [{ word: "w", confidence: 1 }] }))
    // that of 7.0 s at 7900
    told(summary, turn("Update", { turn: 2, receivedAt: 8200, audioEnd: 7.5, words: words(7) }))
    // no answer of Flux
    told(summary, turn("EndOfTurn", { turn: 2, receivedAt: 99_000, audioEnd: 8, words: words(7), ending: "closed" }))
    assert.deepStrictEqual(summary.lines().slice(1), [
      "first word 100 ms after it was said (median; at most 300 ms)",
      "end of turn 20 ms after the audio that ended it (median; at most 1.2 s)"
    ])
  })

  it("measures what is said after long silence", () => {
    const summary = Summary.make()
    told(summary, connected(0))
    // one chunk more than are kept: half of them are
    speaking(summary, 0, 819.3)
    told(summary, turn("Update", { turn: 0, receivedAt: 1000 + 819_500, audioEnd: 819.2, words: words(819) }))
    // that of 819 s went 818,900 ms after the first
    assert.include(summary.lines()[1], "first word 600 ms after it was said")
  })
})
