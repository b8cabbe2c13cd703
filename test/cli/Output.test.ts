import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Output from "../../src/cli/Output.ts"
import { FluxEvent } from "../../src/FluxEvent.ts"

const common = { id: "call", receivedAt: 1_700_000_000_000 }
const turn = {
  ...common,
  turn: 0,
  transcript: "Hello there.",
  words: [],
  endOfTurnConfidence: 0.8,
  audioStart: 1.234,
  audioEnd: 3.87
}
const usage = { audioSeconds: 4, injectedSeconds: 0.5 }
const end = { type: "EndOfTurn", ...turn, ending: "confirmed", accepted: true, usage } as const

describe("Output", () => {
  it("writes seconds as minutes, and hours where there are any", () => {
    assert.deepStrictEqual(
      [0, 1.25, 9.96, 59.94, 59.96, 61, 3599.96, 3600, 36_061.5].map(Output.time),
      ["00:00.0", "00:01.3", "00:10.0", "00:59.9", "01:00.0", "01:01.0", "1:00:00.0", "1:00:00.0", "10:01:01.5"]
    )
  })

  describe("text", () => {
    it("is one line for a finished turn", () => {
      assert.strictEqual(Output.text(end), "[00:01.2 - 00:03.9] Hello there.")
    })

    it("takes the times of the words where there are some", () => {
      const words = [
        { word: "Hello", confidence: 1, start: 2, end: 2.4 },
        { word: "there.", confidence: 1, start: 2.5, end: 3.1 }
      ]
      assert.strictEqual(Output.text({ ...end, words }), "[00:02.0 - 00:03.1] Hello there.")
      const untimed = words.map(({ confidence, word }) => ({ confidence, word }))
      assert.strictEqual(Output.text({ ...end, words: untimed }), "[00:01.2 - 00:03.9] Hello there.")
    })

    it("marks what Flux did not end itself, and what was not accepted", () => {
      assert.strictEqual(Output.text({ ...end, ending: "closed" }), "[00:01.2 - 00:03.9] Hello there. (closed)")
      assert.strictEqual(
        Output.text({ ...end, ending: "lost", accepted: false }),
        "[00:01.2 - 00:03.9] Hello there. (lost) (not accepted)"
      )
    })

    it("has no line for anything else, nor for a turn without words", () => {
      assert.isUndefined(Output.text({ ...end, transcript: "" }))
      assert.isUndefined(Output.text({ type: "Update", ...turn }))
      assert.isUndefined(Output.text({ type: "StartOfTurn", ...turn, interrupts: true, implied: false }))
      assert.isUndefined(Output.text({ type: "Warning", ...common, code: "X", description: "y" }))
    })
  })

  it("notes what a reader of the text should know", () => {
    const notes = [
      Output.note({ type: "Warning", ...common, code: "SLOW", description: "it is slow" }),
      Output.note({ type: "Reconnecting", ...common, attempt: 2, reason: "ConnectionLost", detail: "gone" }),
      Output.note({ type: "Resumed", ...common, session: 1, behindSeconds: 2.345 }),
      Output.note({ type: "AudioDropped", ...common, audioStart: 61, audioEnd: 62.5 }),
      Output.note(end)
    ]
    assert.deepStrictEqual(notes, [
      "warning: it is slow (SLOW)",
      "warning: gone; trying again (attempt 2)",
      "the transcription goes on, 2.3 s behind",
      "warning: audio from 01:01.0 to 01:02.5 was not transcribed",
      undefined
    ])
  })

  it.prop(
    "json is one line that reads back as the event",
    { event: FluxEvent },
    ({ event }) => {
      const line = Output.json(event)
      assert.isFalse(line.includes("\n"))
      const back = Result.getOrThrow(Schema.decodeUnknownResult(FluxEvent)(JSON.parse(line)))
      assert.deepStrictEqual(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(event)))
    },
    { arbitrary: { runs: 200, seed: "output" } }
  )

  it("the header gives the schema version", () => {
    assert.deepStrictEqual(JSON.parse(Output.header), { type: "Header", schemaVersion: 1 })
  })
})
