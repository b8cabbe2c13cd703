import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as FluxMessage from "../../src/FluxMessage.ts"
import * as turns from "../../src/internal/turns.ts"
import { turnInfo, type TurnInfoFields } from "../support/wire.ts"

const infoOf = (fields: TurnInfoFields): FluxMessage.TurnInfo => {
  const message = FluxMessage.parse(turnInfo(fields))
  if (message.type !== "TurnInfo") throw new Error(JSON.stringify(message))
  return message
}
type Model = "flux-general-en" | "flux-general-multi"
const make = (minConfidence = 0, model: Model = "flux-general-en") =>
  turns.make({ id: "call", settings: () => ({ minConfidence, model, shouldInterrupt: true }) })
const short = (event: turns.TurnEvent): string => {
  const flags = event.type === "StartOfTurn" && event.implied ? " implied" : event.type === "EndOfTurn" ? ` ${event.ending}` : ""
  return `${event.type}${flags} ${event.turn} ${event.transcript}`.trim()
}
const feed = (reducer: turns.Turns, all: ReadonlyArray<TurnInfoFields>): Array<string> =>
  all.flatMap((fields) => reducer.take(infoOf(fields), 0).map(short))

describe("turns", () => {
  it("passes a turn as protocol 4 describes it", () => {
    assert.deepStrictEqual(
      feed(make(), [
        { event: "Update" },
        { event: "StartOfTurn", transcript: "a" },
        { event: "Update", transcript: "a b" },
        { event: "EagerEndOfTurn", transcript: "a b" },
        { event: "TurnResumed", transcript: "a b" },
        { event: "EndOfTurn", transcript: "a b c" },
        { event: "Update", turn: 1 },
        { event: "StartOfTurn", turn: 1, transcript: "d" },
        { event: "EndOfTurn", turn: 1, transcript: "d e" }
      ]),
      [
        "StartOfTurn 0 a",
        "Update 0 a b",
        "EagerEndOfTurn 0 a b",
        "TurnResumed 0 a b",
        "EndOfTurn confirmed 0 a b c",
        "StartOfTurn 1 d",
        "EndOfTurn confirmed 1 d e"
      ]
    )
  })

  it("text without a StartOfTurn implies one", () => {
    assert.deepStrictEqual(feed(make(), [{ event: "Update", transcript: "a" }, { event: "EndOfTurn", transcript: "a b" }]), [
      "StartOfTurn implied 0 a",
      "Update 0 a",
      "EndOfTurn confirmed 0 a b"
    ])
    assert.deepStrictEqual(feed(make(), [{ event: "EndOfTurn", transcript: "a" }]), [
      "StartOfTurn implied 0 a",
      "EndOfTurn confirmed 0 a"
    ])
  })

  it("a repeated StartOfTurn is an Update, an empty EndOfTurn outside a turn is nothing", () => {
    assert.deepStrictEqual(
      feed(make(), [
        { event: "EndOfTurn" },
        { event: "StartOfTurn", transcript: "a" },
        { event: "StartOfTurn", transcript: "a b" },
        { event: "EndOfTurn", transcript: "a b" }
      ]),
      ["StartOfTurn 0 a", "Update 0 a b", "EndOfTurn confirmed 0 a b"]
    )
  })

  it("an empty EndOfTurn keeps the words that were there", () => {
    assert.deepStrictEqual(
      feed(make(), [{ event: "StartOfTurn", transcript: "a b" }, { event: "Update" }, { event: "EndOfTurn" }]),
      ["StartOfTurn 0 a b", "Update 0", "EndOfTurn confirmed 0 a b"]
    )
  })

  it("a missing EndOfTurn is made up for when the next turn begins", () => {
    assert.deepStrictEqual(
      feed(make(), [{ event: "StartOfTurn", transcript: "a" }, { event: "Update", transcript: "a b" }, {
        event: "StartOfTurn",
        turn: 1,
        transcript: "c"
      }]),
      ["StartOfTurn 0 a", "Update 0 a b", "EndOfTurn closed 0 a b", "StartOfTurn 1 c"]
    )
  })

  it("close promotes the last words once", () => {
    const reducer = make()
    feed(reducer, [{ event: "StartOfTurn", transcript: "a" }, { event: "Update", transcript: "a b" }, { event: "Update" }])
    assert.deepStrictEqual(reducer.close("lost", 0).map(short), ["EndOfTurn lost 0 a b"])
    assert.deepStrictEqual(reducer.close("lost", 0), [])
  })

  it("after a turn was ended here, only words that are new open another", () => {
    const reducer = make()
    feed(reducer, [{ event: "StartOfTurn", transcript: "a b" }])
    reducer.close("closed", 0)
    assert.deepStrictEqual(
      feed(reducer, [
        { event: "Update", transcript: "a b" },
        { event: "Update", transcript: "a b c" },
        { event: "Update", transcript: "a b c d" },
        { event: "EndOfTurn", transcript: "a b c d" }
      ]),
      ["StartOfTurn implied 1 c", "Update 1 c", "Update 1 c d", "EndOfTurn confirmed 1 c d"]
    )
  })

  it("a turn that was ended here and goes on tells only its new words, whatever was revised", () => {
    const after = (transcript: string, next: TurnInfoFields) => {
      const reducer = make()
      feed(reducer, [{ event: "StartOfTurn", transcript }])
      reducer.close("closed", 0)
      return feed(reducer, [next])
    }
    assert.deepStrictEqual(after("I can", { event: "Update", transcript: "I can't go" }), [
      "StartOfTurn implied 1 go",
      "Update 1 go"
    ])
    assert.deepStrictEqual(after("hello there", { event: "EndOfTurn", transcript: "Hello there." }), [])
    assert.deepStrictEqual(
      after("今日", {
        event: "Update",
        transcript: "今日はい",
        extra: { words: ["今日", "は", "い"].map((word) => ({ word, confidence: 1 })) }
      }),
      ["StartOfTurn implied 1 はい", "Update 1 はい"]
    )
  })

  it("a repeated EndOfTurn is no other turn, but a StartOfTurn is, also where the server does not count", () => {
    assert.deepStrictEqual(
      feed(make(), [
        { event: "StartOfTurn", transcript: "a b" },
        { event: "EndOfTurn", transcript: "a b" },
        { event: "EndOfTurn", transcript: "a b" },
        { event: "StartOfTurn", transcript: "c" },
        { event: "EndOfTurn", transcript: "c" }
      ]),
      ["StartOfTurn 0 a b", "EndOfTurn confirmed 0 a b", "StartOfTurn 1 c", "EndOfTurn confirmed 1 c"]
    )
  })

  it("averages word confidences, and accepts only what exceeds the minimum", () => {
    const words = [{ word: "a", confidence: 0.5 }, { word: "b", confidence: 1 }]
    for (const type of ["EndOfTurn", "EagerEndOfTurn"] as const) {
      const end = (minConfidence: number, extra: object) => {
        const event = make(minConfidence).take(infoOf({ event: type, transcript: "a b", extra }), 0)[1]
        return event?.type === type ? { average: event.averageConfidence, accepted: event.accepted } : undefined
      }
      assert.deepStrictEqual(end(0, { words }), { average: 0.75, accepted: true })
      assert.deepStrictEqual(end(0.74, { words }), { average: 0.75, accepted: true })
      assert.deepStrictEqual(end(0.75, { words }), { average: 0.75, accepted: false })
      assert.deepStrictEqual(end(0.1, { words: [] }), { average: undefined, accepted: false })
      assert.deepStrictEqual(end(0, { words: [] }), { average: undefined, accepted: true })
    }
  })

  it("tells the language: the first that Flux names, English of the English model, else none", () => {
    const language = (model: Model, extra: object) =>
      make(0, model).take(infoOf({ event: "StartOfTurn", transcript: "a", extra }), 0)[0]?.language
    assert.strictEqual(language("flux-general-multi", { languages: ["de", "en"] }), "de")
    assert.strictEqual(language("flux-general-multi", { languages: [] }), undefined)
    assert.strictEqual(language("flux-general-multi", {}), undefined)
    assert.strictEqual(language("flux-general-en", {}), "en")
  })

  const Step = Schema.Struct({
    event: FluxMessage.TurnEvent,
    advance: Schema.Boolean,
    transcript: Schema.Literals(["", "a", "a b", "a b c"]),
    close: Schema.Boolean
  })
  it.prop(
    "whatever Flux says, starts and ends alternate with one number, and the last words are in the end",
    [Schema.Array(Step)],
    ([steps]) => {
      const reducer = make()
      const events: Array<turns.TurnEvent> = []
      let wireTurn = 0
      for (const step of steps) {
        if (step.advance) wireTurn += 1
        events.push(...reducer.take(infoOf({ event: step.event, turn: wireTurn, transcript: step.transcript }), 0))
        if (step.close) events.push(...reducer.close("closed", 0))
      }
      events.push(...reducer.close("closed", 0))

      let openTurn: number | undefined
      let next = 0
      let lastWords = ""
      for (const event of events) {
        if (event.type === "StartOfTurn") {
          assert.isUndefined(openTurn)
          assert.strictEqual(event.turn, next)
          openTurn = event.turn
          next += 1
          lastWords = event.transcript
          continue
        }
        assert.strictEqual(event.turn, openTurn)
        if (event.type === "EndOfTurn") {
          if (event.ending === "confirmed") assert.isTrue(event.transcript !== "" || lastWords === "")
          else assert.strictEqual(event.transcript, lastWords)
          openTurn = undefined
        } else if (event.transcript !== "") lastWords = event.transcript
      }
      assert.isUndefined(openTurn)
    },
    { arbitrary: { runs: 500, seed: "turns" } }
  )
})

describe("a turn that another session goes on with", () => {
  /** Words of 0.4 s every half second from 1 s on, one a letter; told at some second. */
  const said = (event: string, letters: string, end: number, fields: Partial<TurnInfoFields> = {}): TurnInfoFields => ({
    event,
    end,
    transcript: [...letters].join(" "),
    ...fields,
    extra: {
      words: [...letters].map((word) => {
        const at = 1 + (word.charCodeAt(0) - 97) / 2
        return { word, confidence: 0.9, start: at, end: at + 0.4 }
      }),
      ...fields.extra
    }
  })
  /** One session has told of a turn up to a second; the next one begins at another. */
  const carried = (until: number, from: number, ...before: ReadonlyArray<TurnInfoFields>) => {
    const reducer = make()
    feed(reducer, before)
    reducer.carry({ from, until })
    return reducer
  }

  it("is not told again up to where it was told, but for its end", () => {
    const before = [said("StartOfTurn", "a", 1.5), said("Update", "ab", 2.4)]
    const reducer = carried(2.4, 0, ...before)
    assert.deepStrictEqual(feed(reducer, [said("StartOfTurn", "a", 1.44), said("Update", "a", 2.16)]), [])
    // windows are 32-bit floats
    assert.deepStrictEqual(feed(reducer, [said("Update", "ab", 2.395), said("EndOfTurn", "abc", 3)]), ["Update 0 a b", "EndOfTurn confirmed 0 a b c"])
    assert.deepStrictEqual(feed(carried(2.4, 0, ...before), [said("StartOfTurn", "a", 1.44), said("EndOfTurn", "a", 1.92)]), ["EndOfTurn confirmed 0 a"])
  })

  it("keeps the words that the next session does not hear, as they were written, and its beginning", () => {
    const kept = (from: number) =>
      carried(3.5, from, said("StartOfTurn", "a", 1.5, { start: 0.9 }), said("Update", "abcd", 3.5, { start: 0.9, transcript: "A, b; c d" })).take(
        infoOf(said("Update", "ef", 4.5, { start: from })), 0)[0]
    // all of them lie before it
    assert.deepInclude(kept(3), { type: "Update", transcript: "A, b; c d e f", audioStart: 0.9, audioEnd: 4.5 })
    assert.deepInclude(kept(2.9), { transcript: "A, b; c d e f" })
    // the third one and the fourth do not
    assert.deepInclude(kept(2.1), { transcript: "a b e f" })
    assert.deepInclude(kept(0), { transcript: "e f", audioStart: 0 })
    const [update] = [kept(2.1)]
    assert.deepStrictEqual(update?.words.map(({ word }) => word), ["a", "b", "e", "f"])
  })

  it("keeps no words without times: they may be heard again", () => {
    const reducer = carried(3.5, 3, { event: "StartOfTurn", transcript: "a b", end: 3.5 })
    assert.deepStrictEqual(feed(reducer, [said("StartOfTurn", "b", 4)]), ["Update 0 b"])
  })

  it("ends with all words that were told where the next session has come as far and hears none, not before", () => {
    const reducer = carried(2.4, 0, said("StartOfTurn", "ab", 2.4))
    assert.deepStrictEqual(feed(reducer, [{ event: "Update", end: 2.16 }, { event: "Update", end: 2.4 }, { event: "Update", end: 2.64 }]), ["EndOfTurn closed 0 a b"])
  })

  it("that is given up before that is not told again by the session that hears it, but what is new is", () => {
    const reducer = carried(2.9, 0, said("StartOfTurn", "abcd", 2.9))
    feed(reducer, [said("StartOfTurn", "a", 1.44)])
    assert.deepStrictEqual(reducer.close("closed", 0).map(short), ["EndOfTurn closed 0 a b c d"])
    assert.deepStrictEqual(feed(reducer, [said("Update", "abc", 2.4), said("Update", "abcd", 3.2), said("EndOfTurn", "abcde", 4)]), [
      // the fourth ends at 2.9 s
      "StartOfTurn implied 1 e",
      "EndOfTurn confirmed 1 e"
    ])
    // another session counts anew
    reducer.carry({ from: 0, until: 0 })
    assert.deepStrictEqual(feed(reducer, [said("StartOfTurn", "a", 1.44)]), ["StartOfTurn 2 a"])
  })

  it("that was caught up with and is given up is told on from there", () => {
    const reducer = carried(1.9, 0, said("StartOfTurn", "ab", 1.9))
    feed(reducer, [said("StartOfTurn", "a", 1.44), said("Update", "abcd", 2.9)])
    assert.deepStrictEqual(reducer.close("closed", 0).map(short), ["EndOfTurn closed 0 a b c d"])
    assert.deepStrictEqual(feed(reducer, [said("Update", "abcd", 3), said("Update", "abcde", 3.4)]), ["StartOfTurn implied 1 e", "Update 1 e"])
  })

  it("that ends without words keeps those it has, and they are not told again", () => {
    const reducer = carried(2.4, 0, said("StartOfTurn", "ab", 2.4))
    assert.deepStrictEqual(feed(reducer, [said("StartOfTurn", "ab", 1.9), said("EndOfTurn", "", 2), said("Update", "ab", 2.2)]), ["EndOfTurn confirmed 0 a b"])
  })

  it("of which the next session has told no word, and that is given up, takes none from what it says then", () => {
    const reducer = carried(1.9, 0, said("StartOfTurn", "ab", 1.9))
    feed(reducer, [said("StartOfTurn", "", 1.44), said("Update", "", 2.9)])
    reducer.close("closed", 0)
    assert.deepStrictEqual(feed(reducer, [said("Update", "xyz", 20)]), ["StartOfTurn implied 1 x y z", "Update 1 x y z"])
  })

  it("that had ended before takes none from the next one, whatever the numbers", () => {
    const reducer = carried(2.4, 2.4, said("StartOfTurn", "ab", 1.9), said("EndOfTurn", "ab", 2.4))
    assert.deepStrictEqual(feed(reducer, [said("Update", "cde", 3.5, { start: 2.3 })]), ["StartOfTurn implied 1 c d e", "Update 1 c d e"])
  })

  describe("after a probable end", () => {
    const start = said("StartOfTurn", "a", 1.5)
    const told = (before: ReadonlyArray<TurnInfoFields>, after: ReadonlyArray<TurnInfoFields>) =>
      feed(carried(2.4, 0, start, ...before), [start, ...after]).map((line) => line.split(" ")[0])

    it("takes it back once, where the next session knows of none", () => {
      assert.deepStrictEqual(told([said("EagerEndOfTurn", "ab", 2.4)], [said("Update", "ab", 2.5), said("Update", "abc", 3)]), ["TurnResumed", "Update"])
    })
    it("takes it back where the next session has done so before it had come as far", () => {
      assert.deepStrictEqual(told([said("EagerEndOfTurn", "ab", 2.4)], [said("EagerEndOfTurn", "ab", 2.1), said("TurnResumed", "ab", 2.2), said("Update", "ab", 2.5)]), ["TurnResumed"])
    })
    it("lets it stand where the next session has found it, too, and tells what comes of it", () => {
      assert.deepStrictEqual(told([said("EagerEndOfTurn", "ab", 2.4)], [said("EagerEndOfTurn", "ab", 2.1), said("Update", "ab", 2.5), said("TurnResumed", "abc", 3)]), ["Update", "TurnResumed"])
    })
    it("does not take back what was taken back, nor what nobody has heard of", () => {
      assert.deepStrictEqual(told([said("EagerEndOfTurn", "ab", 2.2), said("TurnResumed", "ab", 2.4)], [said("Update", "ab", 2.5)]), ["Update"])
      assert.deepStrictEqual(told([said("Update", "ab", 2.4)], [said("EagerEndOfTurn", "ab", 2.2), said("TurnResumed", "ab", 2.5)]), ["Update"])
    })
    it("tells another one of the next session", () => {
      assert.deepStrictEqual(told([said("Update", "ab", 2.4)], [said("EagerEndOfTurn", "ab", 2.5), said("TurnResumed", "ab", 2.7), said("EndOfTurn", "ab", 3)]), ["EagerEndOfTurn", "TurnResumed", "EndOfTurn"])
    })
  })
})
