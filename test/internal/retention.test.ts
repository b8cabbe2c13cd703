/** Which audio another session would have to hear. All in seconds of the conversation. */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnInfo, Word } from "../../src/FluxMessage.ts"
import * as retentions from "../../src/internal/retention.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

/** Words of 0.4 s every half second, from some second on. */
const wordsFrom = (begin: number, count: number): ReadonlyArray<Word> =>
  Array.from({ length: count }, (_, at) => ({ word: `w${at}`, confidence: 0.9, start: begin + at / 2, end: begin + at / 2 + 0.4 }))
/** A turn is open from the first message that is not an Update of nothing, until its EndOfTurn. */
const make = () => {
  const retention = retentions.make()
  let open = false
  return {
    ...retention,
    take: (event: TurnInfo["event"], end: number, words: ReadonlyArray<Word> = []) => {
      const one = turnInfoOf({ event, audio_window_end: end, words, transcript: words.map(({ word }) => word).join(" ") })
      open = event === "EndOfTurn" ? false : open || event === "StartOfTurn"
      retention.take(one, open)
    },
    closed: () => {
      open = false
      retention.closed()
    },
    /** With what was sent up to what Flux has told of. */
    needed: (sent = retention.told(), tellsOfIdleAudio = true) => retention.from(sent, tellsOfIdleAudio)
  }
}

describe("outside a turn", () => {
  it("the audio from a second before what was told is needed, at first all", () => {
    const retention = make()
    assert.strictEqual(retention.needed(3), 0)
    retention.take("Update", 0.96)
    assert.strictEqual(retention.needed(), 0)
    retention.take("Update", 4)
    assert.strictEqual(retention.needed(100), 3)
    assert.strictEqual(retention.told(), 4)
    // a window that runs back takes nothing back
    retention.take("Update", 3.5)
    assert.strictEqual(retention.needed(), 3)
    assert.strictEqual(retention.told(), 4)
  })

  it("nothing of the turn before is, nor what is not to be had any more", () => {
    const retention = make()
    retention.take("StartOfTurn", 2)
    retention.take("EndOfTurn", 5)
    assert.strictEqual(retention.needed(), 5)
    retention.take("Update", 5.48)
    assert.strictEqual(retention.needed(), 5)
    retention.take("Update", 6.5)
    assert.strictEqual(retention.needed(), 5.5)
    retention.lost(6)
    assert.strictEqual(retention.needed(), 6)
    retention.lost(4)
    assert.strictEqual(retention.needed(), 6)
  })

  it("where Flux tells of turns alone, what was sent 5 s ago has been heard; before the first turn that is not known", () => {
    const retention = make()
    assert.strictEqual(retention.needed(60, false), 0)
    retention.take("StartOfTurn", 61)
    retention.take("EndOfTurn", 63)
    assert.strictEqual(retention.needed(64, false), 63)
    assert.strictEqual(retention.needed(68, false), 63)
    assert.strictEqual(retention.needed(70, false), 65)
    assert.strictEqual(retention.needed(70, true), 63)
  })

  it("an end that comes where no turn is known is one all the same", () => {
    const retention = make()
    retention.take("EndOfTurn", 5)
    assert.strictEqual(retention.needed(), 5)
  })
})

describe("an open turn", () => {
  it("needs its audio from 2 s before it was noticed, however long it goes on", () => {
    const retention = make()
    retention.take("Update", 9.5)
    retention.take("StartOfTurn", 10)
    for (const end of [12, 20, 60]) {
      retention.take("Update", end, wordsFrom(9, 4))
      assert.strictEqual(retention.needed(), 8)
      assert.strictEqual(retention.needed(end + 100, false), 8)
    }
    assert.strictEqual(retention.told(), 60)
  })

  it("does not need what another turn has ended in, nor what is not to be had any more", () => {
    const retention = make()
    retention.take("StartOfTurn", 3)
    retention.take("EndOfTurn", 5)
    retention.take("StartOfTurn", 6)
    assert.strictEqual(retention.needed(), 5)
    retention.lost(5.5)
    assert.strictEqual(retention.needed(), 5.5)
  })

  it("is over with its end, where it was given up, and where a session tells of none", () => {
    for (const end of [
      (retention: ReturnType<typeof make>) => retention.take("EndOfTurn", 8),
      (retention: ReturnType<typeof make>) => retention.closed()
    ]) {
      const retention = make()
      retention.take("StartOfTurn", 6)
      retention.take("Update", 8, wordsFrom(5, 4))
      end(retention)
      assert.strictEqual(retention.needed(), 8)
      assert.isFalse(retention.isOfTurn(7, 15))
      retention.take("Update", 9.5)
      assert.strictEqual(retention.needed(), 8.5)
    }
    const retention = retentions.make()
    retention.take(turnInfoOf({ event: "StartOfTurn", audio_window_end: 6 }), true)
    retention.take(turnInfoOf({ event: "Update", audio_window_end: 8 }), false)
    assert.strictEqual(retention.from(8, true), 8)
    // but a session that tells of nothing ends nothing
    retention.take(turnInfoOf({ event: "Update", audio_window_end: 9.5 }), false)
    assert.strictEqual(retention.from(9.5, true), 8.5)
  })

  it("ends where the session that ends it says so, also before what the one before had told of", () => {
    const retention = make()
    retention.take("StartOfTurn", 6)
    retention.take("Update", 12, wordsFrom(5, 4))
    // another session hears it again
    retention.take("Update", 7, wordsFrom(5, 2))
    assert.strictEqual(retention.told(), 12)
    retention.take("EndOfTurn", 9, wordsFrom(5, 4))
    assert.strictEqual(retention.told(), 9)
    assert.strictEqual(retention.needed(), 9)
  })

  it("has the audio from its beginning on, as long as that is kept", () => {
    const retention = make()
    assert.isFalse(retention.isOfTurn(0, 15))
    retention.take("StartOfTurn", 10)
    for (const [at, isOf] of [[7.99, false], [8, true], [22.99, true], [23, false]] as const) {
      assert.strictEqual(retention.isOfTurn(at, 15), isOf, `${at} s`)
    }
  })
})

describe("where the next session begins", () => {
  it("is where it has to, as long as that is kept", () => {
    const retention = make()
    assert.deepStrictEqual(retention.begin(3, 3), { from: 3 })
    assert.deepStrictEqual(retention.begin(3, 1), { from: 3 })
    retention.take("StartOfTurn", 5)
    retention.take("Update", 8, wordsFrom(3.5, 8))
    assert.deepStrictEqual(retention.begin(3, 3), { from: 3 })
  })

  it("outside a turn is with what is kept, and what was not told of is lost", () => {
    const retention = make()
    retention.take("Update", 4)
    assert.deepStrictEqual(retention.begin(3, 3.5), { from: 3.5 })
    assert.deepStrictEqual(retention.begin(3, 4), { from: 4 })
    assert.deepStrictEqual(retention.begin(3, 9), { from: 9, lostFrom: 4 })
  })

  it("in a turn is between two words of those that were told, or with what is kept where there are none", () => {
    const retention = make()
    retention.take("StartOfTurn", 2)
    // words at 1, 1.5, ... to 5.4
    retention.take("Update", 5.5, wordsFrom(1, 9))
    // within a word, at its beginning, in a pause, at its beginning, and within the last word
    for (const [kept, from] of [[2.1, 2.45], [2, 2], [2.42, 2.42], [4.9, 4.9], [5.2, 5.4]] as const) {
      const begins = retention.begin(0, kept)
      assert.closeTo(begins.from, from, 1e-9, `kept from ${kept} s`)
      assert.isUndefined(begins.lostFrom)
    }
    assert.deepStrictEqual(retention.begin(0, 7), { from: 7, lostFrom: 5.5 })
  })

  it("is before the first word where all of it is kept", () => {
    const retention = make()
    retention.take("StartOfTurn", 5)
    retention.take("Update", 8, wordsFrom(4, 4))
    assert.deepStrictEqual(retention.begin(3, 3.2), { from: 3.2 })
  })

  it("in a turn whose words have no times is with what is kept: none of them is known to lie before it", () => {
    const retention = make()
    retention.take("StartOfTurn", 2)
    retention.take("Update", 5.5, [{ word: "a", confidence: 0.9 }, { word: "b", confidence: 0.9, start: 5, end: 5.4 }])
    assert.deepStrictEqual(retention.begin(0.5, 4), { from: 4, lostFrom: 0.5 })
    // in a pause of unknown length
    assert.deepStrictEqual(retention.begin(0.5, 4.9), { from: 4.9, lostFrom: 0.5 })
    // which is no matter of the turn after it
    retention.take("EndOfTurn", 6)
    retention.take("StartOfTurn", 9)
    assert.deepStrictEqual(retention.begin(7, 8), { from: 8 })
  })

  it("goes by the words that are known best, also while they are heard again, and by none of the turn before", () => {
    const retention = make()
    retention.take("StartOfTurn", 2)
    retention.take("Update", 8, wordsFrom(1, 14))
    retention.take("Update", 8.24)
    // another session knows two of them by now
    retention.take("Update", 3, wordsFrom(1, 2))
    assert.closeTo(retention.begin(0, 5.1).from, 5.45, 1e-9)
    retention.take("EndOfTurn", 8.5, wordsFrom(1, 14))
    retention.take("StartOfTurn", 9)
    assert.strictEqual(retention.begin(8.5, 8.6).from, 8.6)
    retention.take("Update", 10, [{ word: "late", confidence: 0.9, start: 9.5, end: 9.9 }])
    assert.strictEqual(retention.begin(8.5, 8.6).from, 8.6)
  })

  it("outside a turn is not moved by words that are over", () => {
    const retention = make()
    retention.take("StartOfTurn", 2)
    retention.take("Update", 8, wordsFrom(1, 14))
    retention.closed()
    assert.deepStrictEqual(retention.begin(8, 7), { from: 8 })
    assert.deepStrictEqual(retention.begin(3, 5.1), { from: 5.1 })
  })
})

describe("whatever Flux tells", () => {
  const Message = Schema.Struct({
    event: Schema.Literals(["Update", "Update", "StartOfTurn", "EndOfTurn"]),
    /** After the one before, or before it. */
    later: Schema.Literals([-0.5, 0, 0.24, 1, 5]),
    words: Schema.Literals([0, 1, 4])
  })
  it.prop("what is needed runs back only into an open turn, never into one that has ended; and all is kept, lost or told", {
    messages: Schema.Array(Message),
    kept: Schema.Literals([0, 0.1, 1, 2.3, 7])
  }, ({ kept, messages }) => {
    const retention = make()
    let [at, ended] = [0, 0]
    for (const { event, later, words } of messages) {
      at = Math.max(0, at + later)
      retention.take(event, at, wordsFrom(Math.max(0, at - words / 2), words))
      if (event === "EndOfTurn") ended = at
      const needed = retention.needed()
      assert.isAtLeast(needed, ended)
      assert.isAtMost(needed, Math.max(retention.told(), ended))
      const { from, lostFrom } = retention.begin(needed, needed + kept)
      assert.isAtLeast(from, needed + kept)
      // a word is not cut in two, and no more is left out for that than to the next pause
      assert.isAtMost(from, needed + kept + 0.5)
      if (lostFrom !== undefined) assert.isTrue(lostFrom >= needed && lostFrom < from)
      // without a loss all before it was told
      else if (from > needed) assert.isAtLeast(retention.told(), from)
    }
  }, { arbitrary: { runs: 500, size: 30, seed: "flux" } })
})
