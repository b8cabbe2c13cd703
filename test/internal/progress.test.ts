import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnEvent, TurnInfo } from "../../src/FluxMessage.ts"
import { defaults } from "../../src/internal/settings.ts"
import * as progresses from "../../src/internal/progress.ts"
import * as turns from "../../src/internal/turns.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

const info = (event: TurnEvent, turn: number, start: number, end: number, transcript = ""): TurnInfo =>
  turnInfoOf({
    event,
    turn_index: turn,
    audio_window_start: start,
    audio_window_end: end,
    transcript,
    words: transcript === "" ? [] : transcript.split(" ").map((word) => ({ word, confidence: 0.9 })),
    end_of_turn_confidence: 0.1
  })

describe("progress", () => {
  it("knows how far Flux is, also where a window runs back", () => {
    const progress = progresses.make()
    assert.strictEqual(progress.transcribed(), 0)
    for (const [end, expected] of [[0.24, 0.24], [0.48, 0.48], [0.4, 0.48], [0.47999996, 0.48]] as const) {
      progress.take(info("Update", 0, 0, end), info("Update", 0, 0, end))
      assert.strictEqual(progress.transcribed(), expected)
    }
  })

  it("has an answer to audio when all of it is told, but for float noise, and no turn is open", () => {
    const progress = progresses.make()
    assert.isTrue(progress.answered(0))
    const take = (one: TurnInfo): void => progress.take(one, one)
    take(info("Update", 0, 0, Math.fround(0.47999996)))
    assert.isTrue(progress.answered(0.48))
    assert.isFalse(progress.answered(0.56))
    take(info("StartOfTurn", 0, 0, 0.72, "hello"))
    assert.isFalse(progress.answered(0.1))
    take(info("EndOfTurn", 0, 0, 0.96, "hello"))
    assert.isTrue(progress.answered(0.96))
  })

  it("tells idle audio apart from words", () => {
    const progress = progresses.make()
    // placed 10 s later in the conversation
    const take = (event: TurnEvent, end: number, transcript = ""): void =>
      progress.take(info(event, 0, 0, end, transcript), info(event, 0, 10, 10 + end, transcript))
    take("StartOfTurn", 0.72, "hello")
    take("Update", 0.96, "hello there")
    assert.isFalse(progress.tellsOfIdleAudio())
    take("EndOfTurn", 1.2, "hello there")
    assert.isFalse(progress.tellsOfIdleAudio())
    // neither an end without a turn nor words that were told already are an Update of silence
    take("EndOfTurn", 1.3)
    take("Update", 1.44, "hello there")
    assert.isFalse(progress.tellsOfIdleAudio())
    take("Update", 1.44)
    assert.isTrue(progress.tellsOfIdleAudio())
    assert.isFalse(progress.turnOpen())
  })

  it("a turn that was given up is not opened again by the words that it had", () => {
    const progress = progresses.make()
    const take = (one: TurnInfo): void => progress.take(one, one)
    take(info("StartOfTurn", 0, 0, 0.72, "hello"))
    progress.abandon()
    assert.isFalse(progress.turnOpen())
    take(info("Update", 0, 0, 0.96, "hello"))
    assert.isFalse(progress.turnOpen())
    take(info("Update", 0, 0, 1.2, "hello there"))
    assert.isTrue(progress.turnOpen())
  })

  it("a StartOfTurn begins anew, also with the number and the words of the turn before", () => {
    const progress = progresses.make()
    const take = (one: TurnInfo): void => progress.take(one, one)
    take(info("EndOfTurn", 0, 0, 0.72, "a b"))
    take(info("StartOfTurn", 0, 0, 0.96, "a"))
    take(info("Update", 0, 0, 1.2, "a b"))
    progress.abandon()
    take(info("Update", 0, 0, 1.44, "a b"))
    assert.isFalse(progress.turnOpen())
    take(info("Update", 0, 0, 1.68, "a b c"))
    assert.isTrue(progress.turnOpen())
  })

  it("a turn of another session is open until this one has come as far and hears none, and until then nothing is answered", () => {
    const progress = progresses.make()
    const take = (one: TurnInfo): void => progress.take(one, one)
    progress.carry(1)
    assert.deepStrictEqual([progress.turnOpen(), progress.carriedUntil(), progress.answered(0)], [true, 1, false])
    take(info("Update", 0, 0, 0.96))
    assert.deepStrictEqual([progress.turnOpen(), progress.answered(0.9)], [true, false])
    // but for float noise
    take(info("Update", 0, 0, 0.995))
    assert.deepStrictEqual([progress.turnOpen(), progress.carriedUntil(), progress.answered(0.9)], [false, undefined, true])
  })

  it("a turn of another session that is given up before it was heard is not opened by the words that were told", () => {
    const progress = progresses.make()
    const words = (count: number) => ["a", "b", "c"].slice(0, count).map((word, at) => ({ word, confidence: 0.9, start: at, end: at + 0.5 }))
    const take = (event: TurnEvent, end: number, count: number): void => {
      const one = { ...info(event, 0, 0, end, ["a", "b", "c"].slice(0, count).join(" ")), words: words(count) }
      progress.take(one, one)
    }
    progress.carry(1.6)
    take("StartOfTurn", 0.7, 1)
    progress.abandon()
    take("Update", 1.7, 2)
    assert.isFalse(progress.turnOpen())
    take("Update", 2.7, 3)
    assert.isTrue(progress.turnOpen())
  })

  const Message = Schema.Struct({
    event: Schema.Literals(["Update", "Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]),
    /** How much later than the turn before. */
    turn: Schema.Literals([0, 0, 0, 1]),
    words: Schema.Literals([0, 0, 1, 2, 3])
  })
  it.prop("has a turn open exactly when the reducer has one, whatever Flux sends", {
    messages: Schema.Array(Schema.Union([Message, Message, Message, Message, Schema.Literal("give up"), Schema.Literal("another session")]))
  }, ({ messages }) => {
    let progress = progresses.make()
    const reducer = turns.make({ id: "call", settings: () => defaults })
    let [turn, at, began, open] = [0, 0, 0, false]
    for (const message of messages) {
      if (message === "another session") {
        progress = progresses.make()
        reducer.carry({ from: Math.max(0, at - 2), until: at })
        if (open) progress.carry(at)
        // it hears the last of it again, and counts its turns anew
        ;[turn, at] = [0, Math.max(0, at - 2)]
        began = at
        continue
      }
      const events = message === "give up" ? reducer.close("closed", 0) : (() => {
        if (message.turn > 0) [turn, began] = [turn + message.turn, at]
        at += 1
        const one = info(message.event, turn, began, at, ["a", "b", "c"].slice(0, message.words).join(" "))
        progress.take(one, one)
        return reducer.take(one, 0)
      })()
      if (message === "give up") progress.abandon()
      for (const { type } of events) {
        if (type === "StartOfTurn") open = true
        if (type === "EndOfTurn") open = false
      }
      assert.strictEqual(progress.turnOpen(), open)
    }
  }, { arbitrary: { runs: 500, size: 30, seed: "flux" } })
})
