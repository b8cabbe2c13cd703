import { assert, describe, it } from "@effect/vitest"
import cliTruncate from "cli-truncate"
import * as liveLine from "../../src/cli/liveLine.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"

const cut: liveLine.Cut = (text, columns) => cliTruncate(text, columns, { position: "start" })
const common = { id: "call", receivedAt: 0 }
const connected: FluxEvent = { type: "Connected", ...common, session: 0, requestId: "r" }
const update = (transcript: string, endOfTurnConfidence: number): FluxEvent =>
  ({ type: "Update", ...common, turn: 0, transcript, words: [], endOfTurnConfidence, audioStart: 0, audioEnd: 1 })
const end: FluxEvent = {
  ...common,
  type: "EndOfTurn",
  turn: 0,
  transcript: "Hello.",
  words: [],
  endOfTurnConfidence: 0.8,
  audioStart: 0,
  audioEnd: 1,
  ending: "confirmed",
  accepted: true,
  usage: { audioSeconds: 1, injectedSeconds: 0 }
}

describe("liveLine", () => {
  it("tells what is waited for, and how much audio has been heard", () => {
    const line = liveLine.make({})
    assert.strictEqual(line.render(80, false, cut), "00:00.0  connecting")
    line.hear(1.24)
    line.tell(connected)
    assert.strictEqual(line.render(80, false, cut), "00:01.2  listening")
    line.tell({ type: "Reconnecting", ...common, attempt: 1, reason: "ConnectionLost", detail: "gone" })
    assert.strictEqual(line.render(80, false, cut), "00:01.2  reconnecting")
    line.tell({ type: "Resumed", ...common, session: 1, behindSeconds: 1 })
    assert.strictEqual(line.render(80, false, cut), "00:01.2  listening")
  })

  it("shows the turn with its confidence against the thresholds, Flux's own where none is set, until it ends", () => {
    const line = liveLine.make({ eagerEotThreshold: 0.4 })
    line.tell(connected)
    line.tell(update("Hello the", 0.123))
    assert.strictEqual(line.render(80, false, cut), "00:00.0  0.12 of 0.40/0.70  Hello the")
    line.tell(end)
    assert.strictEqual(line.render(80, false, cut), "00:00.0  listening")
    const other = liveLine.make({ eotThreshold: 0.85 })
    other.tell(update("Hello", 0.5))
    assert.strictEqual(other.render(80, false, cut), "00:00.0  0.50 of 0.85  Hello")
  })

  it("colours the confidence by the threshold that it reaches", () => {
    const line = liveLine.make({ eotThreshold: 0.7, eagerEotThreshold: 0.4 })
    const shown = [0.39, 0.4, 0.69, 0.7].map((confidence) => {
      line.tell(update("Hello", confidence))
      // eslint-disable-next-line no-control-regex
      return /\u001b\[(\d+)m\d\.\d\d\u001b\[\d+m of/.exec(line.render(80, true, cut))?.[1]
    })
    // dim, yellow, yellow, green
    assert.deepStrictEqual(shown, ["2", "33", "33", "32"])
  })

  it("keeps the end of a turn that is longer than the terminal is wide, also where characters are two columns wide", () => {
    const line = liveLine.make({})
    line.tell(update("one two three four five six seven eight nine ten", 0))
    assert.strictEqual(line.render(50, false, cut), "00:00.0  0.00 of 0.70  …e six seven eight nine ten")
    // 50 columns, 23 of them for the head, 26 for 13 wide characters, and the mark
    line.tell(update("一二三四五六七八九十".repeat(3), 0))
    assert.strictEqual(line.render(50, false, cut), "00:00.0  0.00 of 0.70  …八九十一二三四五六七八九十")
  })

  it("leaves a narrow terminal to the words", () => {
    const line = liveLine.make({})
    line.tell(update("one two three four five six", 0.5))
    assert.strictEqual(line.render(16, false, cut), "…e four five six")
    assert.strictEqual(line.render(42, false, cut), "one two three four five six")
    assert.strictEqual(line.render(43, false, cut), "00:00.0  0.50 of 0.70  …three four five six")
  })

  it("lets no words do anything to the terminal", () => {
    const line = liveLine.make({})
    line.tell(update("safe\u001b[2J\u001b]0;title\u0007\r\nwords\u0008", 0))
    assert.strictEqual(line.render(80, false, cut), "00:00.0  0.00 of 0.70  safe  words ")
  })
})
