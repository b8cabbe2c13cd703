import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnInfo } from "../../../src/FluxMessage.ts"
import type { FluxModel } from "../../../src/simulator/FluxModel.ts"
import * as Script from "../../../src/simulator/Script.ts"
import * as Stamp from "../../../src/simulator/Stamp.ts"
import { baseQuery, changes, closeStream, forceEndTurn, open, plainHosted, told, turnInfos } from "../../support/flux.ts"
import { cut, draw } from "../../support/sound.ts"

type Turns = Exclude<Script.ScriptInput["turns"], undefined>
const hosted = plainHosted
const stamped = (turns: Turns): Script.Script => Script.make({ clock: "stamps", turns })
const session = (script: Script.Script, ask = "", query = baseQuery): FluxModel =>
  open(`${query}${ask}`, { script, profile: hosted })
/** Everything said on these pieces of audio, and after CloseStream. */
const hear = (script: Script.Script, pieces: ReadonlyArray<Uint8Array>, ask = "", query = baseQuery): Array<TurnInfo> => {
  const model = session(script, ask, query)
  return turnInfos([...pieces.flatMap((piece) => model.audio(piece)), ...model.text(closeStream).messages])
}

const rate = 16_000
const samplesOf = (seconds: number): number => Math.round(seconds * rate)
/** The part of the call between two times. */
const call = (from: number, to: number): Uint8Array => Stamp.audio(samplesOf(from), samplesOf(to) - samplesOf(from))
const silence = (seconds: number): Uint8Array => new Uint8Array(samplesOf(seconds) * 2)
/** When the frame ends in which a time lies, ms. */
const frameOf = (millis: number): number => (Math.floor(millis / 80) + 1) * 80
/** The first end of a frame that is not before a time, ms. */
const notBefore = (millis: number): number => Math.ceil(millis / 80) * 80
/** The words of the last message, with their times. */
const timesOf = (infos: ReadonlyArray<TurnInfo>) => infos.at(-1)?.words.map(({ end, start, word }) => [word, start, end])
/** The words of all turns. */
const textOf = (infos: ReadonlyArray<TurnInfo>): string =>
  infos.flatMap(({ event, transcript }) => (event === "EndOfTurn" ? [transcript] : [])).join(" / ")

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Sizes = Schema.Array(Count(1, 6000)).check(Schema.isBetweenLength(1, 5))

describe("a script that goes by stamps, heard sample by sample", () => {
  /** Words in steps of 1 ms. */
  const Words = Schema.Array(Schema.Struct({ gap: Count(0, 60), length: Count(1, 90) })).check(Schema.isBetweenLength(1, 30))
  /** What is stamped goes on where the piece before it stopped, or jumps by so many samples; not by -1, which is no jump but other audio. */
  const Piece = Schema.Union([
    Schema.Struct({ samples: Count(5, 3000), jump: Schema.Literals([0, 0, 0, 1, 3, 77, 640, 5000, -2, -3, -640, -2001, 32_768]) }),
    Schema.Struct({ silent: Count(1, 1500) })
  ])
  const query = "model=flux-general-en&encoding=linear16&sample_rate=8000"
  const perMilli = 8
  const frame = 80 * perMilli

  it.prop("says the words whose beginning arrives, where it arrives, whatever was dropped, repeated or put in between", {
    words: Words,
    start: Count(0, 4000),
    pieces: Schema.Array(Piece).check(Schema.isBetweenLength(1, 15)),
    sizes: Sizes
  }, ({ pieces, sizes, start, words }) => {
    let now = 0
    const script = words.map(({ gap, length }, index) => {
      const begin = now + gap
      now = begin + length
      return { word: `w${index}`, start: begin, end: now }
    })
    const positions: Array<number> = []
    const bytes: Array<Uint8Array> = []
    let next = start
    for (const piece of pieces) {
      if ("silent" in piece) {
        bytes.push(new Uint8Array(piece.silent * 2))
        for (let at = 0; at < piece.silent; at++) positions.push(-1)
      } else {
        // as far as the low half of a pair counts cannot be told within a pair, nor at once at the end of a frame
        const far = piece.jump > 32_000
        const from = far && positions.length % frame > frame - 4 ? next : Math.max(0, next + piece.jump + (far ? next % 2 : 0))
        next = from + piece.samples
        bytes.push(Stamp.audio(from, piece.samples))
        for (let at = from; at < next; at++) positions.push(at)
      }
    }

    // one sample after the other: a word is heard where it begins, and goes on while samples of it come
    const beginsAt = new Map(script.map((word) => [word.start * perMilli, word]))
    const expected: Array<{ readonly word: string; readonly start: number; end: number }> = []
    let lastsTo = 0
    let newest = -1
    positions.forEach((position, at) => {
      if (position < 0) return
      if (position <= newest) lastsTo = 0
      newest = position
      const word = beginsAt.get(position)
      if (word !== undefined) {
        expected.push({ word: word.word, start: at / 8000, end: at / 8000 })
        lastsTo = word.end * perMilli
      }
      const current = expected.at(-1)
      if (current !== undefined && position < lastsTo) current.end = (at + 1) / 8000
    })

    // no silence here is long enough to end the turn
    const input = script.map(({ end, start, word }) => ({ word, start: start / 1000, end: end / 1000 }))
    const ask = "&eot_threshold=1.0&eot_timeout_ms=60000"
    const infos = hear(stamped([{ words: input }]), cut(Buffer.concat(bytes), sizes), ask, query)
    assert.deepStrictEqual(infos.at(-1)?.words.map(({ end, start, word }) => ({ word, start, end })) ?? [], expected)
    assert.deepStrictEqual(infos.filter(({ event }) => event === "StartOfTurn").length, expected.length === 0 ? 0 : 1)
  }, { arbitrary: { runs: 300, size: 30, seed: "stamped voice" } })
})

describe("a script that goes by stamps", () => {
  const Timed = Schema.Array(
    Schema.Struct({ gap: Count(0, 150), words: Schema.Array(Schema.Struct({ pause: Count(0, 90), length: Count(1, 60) })).check(Schema.isBetweenLength(1, 4)), curve: Schema.Boolean })
  ).check(Schema.isBetweenLength(1, 5))
  const Thresholds = Schema.Struct({ eot: Count(50, 90), eager: Schema.NullOr(Count(30, 90)), timeout: Schema.Literals([500, 640, 5000]) })
  const asked = ({ eager, eot, timeout }: typeof Thresholds.Type): string =>
    `&eot_threshold=${eot / 100}&eot_timeout_ms=${timeout}${eager === null ? "" : `&eager_eot_threshold=${Math.min(eager, eot) / 100}`}`
  const curve = [{ at: 0, value: 0 }, { at: 0.5, value: 0.6 }, { at: 0.7, value: 0.1 }, { at: 1.4, value: 1 }]
  /** Times in steps of 10 ms. */
  const turnsOf = (timed: typeof Timed.Type, shift: number): { readonly turns: Turns; readonly end: number } => {
    let now = shift * 100
    const turns = timed.map((turn, line) => {
      now += turn.gap
      const words = turn.words.map(({ length, pause }, index) => {
        const start = now + (index === 0 ? 0 : pause)
        now = start + length
        return { word: `${line}.${index}`, start: start / 100, end: now / 100 }
      })
      return turn.curve ? { words, endOfTurnConfidence: curve } : { words }
    })
    return { turns, end: now / 100 }
  }

  it.prop("says in a session what one that goes by its own time says when the call begins there", {
    timed: Timed,
    thresholds: Thresholds,
    // whole frames, so that both have the same ones
    skipped: Schema.Literals([0, 8, 4000]),
    sizes: Sizes
  }, ({ sizes, skipped, thresholds, timed }) => {
    const ask = asked(thresholds)
    const own = turnsOf(timed, 0)
    const audio = call(skipped, skipped + own.end + 3)
    const expected = hear(Script.make({ turns: own.turns }), [audio], ask)
    assert.isNotEmpty(changes(expected))
    assert.deepStrictEqual(hear(stamped(turnsOf(timed, skipped).turns), cut(audio, sizes), ask), expected)
  }, { arbitrary: { runs: 200, seed: "stamped voice" } })

  it.prop("does not care how the audio is cut", { timed: Timed, from: Count(0, 3000), gap: Count(1, 4000), sizes: Sizes }, ({ from, gap, sizes, timed }) => {
    const script = stamped(turnsOf(timed, 0).turns)
    const audio = Buffer.concat([Stamp.audio(from, 9001), new Uint8Array(gap * 2), Stamp.audio(from + 9001, 8001), Stamp.audio(from, 30_000)])
    assert.deepStrictEqual(hear(script, cut(audio, sizes)), hear(script, [audio]))
  }, { arbitrary: { runs: 60, seed: "stamped voice" } })

  const words = [
    { word: "I", start: 10.5, end: 10.7 },
    { word: "would", start: 10.7, end: 11.1 },
    { word: "like", start: 11.3, end: 11.6 }
  ]
  const script = stamped([{ at: 1, words: "Long ago" }, { words }, { at: 20, words: "Later" }])

  it("begins within a turn: a word that was cut is skipped, and the next one opens the turn", () => {
    // sessions that begin at, just before and just behind the second word
    const ends = (from: number) => hear(script, [Stamp.audio(from, samplesOf(13) - from)]).filter(({ event }) => event === "EndOfTurn")
    const at = samplesOf(10.7)
    assert.deepStrictEqual([at - 1, at, at + 1].map((from) => textOf(ends(from))), ["would like", "would like", "like"])
    const starts = (from: number) => ends(from)[0]?.words.map(({ start }) => Math.round((start ?? 0) * rate))
    const behind = samplesOf(11.3) - at
    assert.deepStrictEqual([at - 1, at, at + 1].map(starts), [[1, behind + 1], [0, behind], [behind - 1]])
  })

  it("sends times of the session, and ends turns by the silence behind the last word", () => {
    const infos = hear(script, [silence(0.5), call(10.62, 13)])
    const toSession = (seconds: number): number => Math.round((seconds - 10.62 + 0.5) * 1000)
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", frameOf(toSession(10.7)), "would"],
      ["EndOfTurn", notBefore(toSession(11.6) + 700), "would like"]
    ])
    const end = infos.find(({ event }) => event === "EndOfTurn")
    assert.deepStrictEqual(end?.words.map(({ end, start }) => [start, end]), [[0.58, 0.98], [1.18, 1.48]])
    // confidence is the silence since
    assert.closeTo(end?.end_of_turn_confidence ?? 0, notBefore(toSession(11.6) + 700) / 1000 - 1.48, 1e-9)
  })

  it("hears nothing of turns before its audio, nor of those after", () => {
    assert.deepStrictEqual(changes(hear(script, [call(11.6, 20)])), [])
    assert.deepStrictEqual(told(hear(script, [call(2, 2.4)])), [["Update", 240, ""]])
  })

  it("says the same in every session that hears the same part", () => {
    const part = call(10.3, 21.5)
    const sessions = [[part], [silence(0.33), part], cut(part, [777]), [call(0, 0.5), part], [call(30, 31), part]]
    assert.deepStrictEqual(sessions.map((pieces) => textOf(hear(script, pieces))), sessions.map(() => "I would like / Later"))
  })

  it("skips the words in a gap, and goes on in the open turn", () => {
    // the second word and the beginning of the third are missing
    const infos = hear(stamped([{ words }, { at: 12, words: "to go" }]), [call(10.4, 10.68), call(11.4, 12.2)])
    // 20 ms of "I" are missing, too; "to" begins 0.6 s behind the gap
    assert.deepStrictEqual(timesOf(infos), [["I", 0.1, 0.28], ["to", 0.88, 1.08]])
    // a gap within a word leaves what is there
    const within = hear(stamped([{ words }]), [call(10.7, 10.8), call(11, 11.3)])
    assert.deepStrictEqual(timesOf(within), [["would", 0, 0.2]])
  })

  it("takes stamps that go back as they come", () => {
    const back = hear(script, [call(10.5, 10.9), call(10.5, 11.2), call(10.6, 10.7), call(0, 0.2)])
    assert.deepStrictEqual(timesOf(back), [
      ["I", 0, 0.2],
      ["would", 0.2, 0.4],
      ["I", 0.4, 0.6],
      ["would", 0.6, 1]
    ])
  })

  it("takes audio without stamps for silence, in which a turn ends", () => {
    // as much as 200 ms of the second word came; the rest of it comes when the turn has ended
    const pieces = [call(10.5, 10.9), silence(1.2), call(10.9, 12.5)]
    assert.deepStrictEqual(changes(hear(script, pieces)), [
      ["StartOfTurn", 80, "I"],
      ["EndOfTurn", notBefore(400 + 700), "I would"],
      ["StartOfTurn", frameOf(1600 + 400), "like"],
      ["EndOfTurn", notBefore(1600 + 700 + 700), "like"]
    ])
    const timeout = hear(script, pieces, "&eot_threshold=1.0&eot_timeout_ms=560")
    assert.deepStrictEqual(changes(timeout)[1], ["EndOfTurn", 960, "I would"])
    assert.strictEqual(timeout.find(({ event }) => event === "EndOfTurn")?.trigger, "timeout")
    // where the silence is too short for that the word goes on, and takes an eager end back
    const eager = hear(script, [call(10.5, 10.9), silence(0.48), call(10.9, 12.5)], "&eager_eot_threshold=0.4")
    assert.deepStrictEqual(changes(eager).slice(0, 3), [
      ["StartOfTurn", 80, "I"],
      ["EagerEndOfTurn", 800, "I would"],
      ["TurnResumed", 960, "I would"]
    ])
    assert.deepStrictEqual(timesOf(eager.filter(({ event }) => event === "EndOfTurn")), [["I", 0, 0.2], ["would", 0.2, 1.08], ["like", 1.28, 1.58]])
  })

  it("counts a curve on the stamps: it stands still in injected silence", () => {
    const curve = [{ at: 0, value: 0 }, { at: 2, value: 1 }]
    const curved = stamped([{ at: 100, words: "One two", endOfTurnConfidence: curve }])
    // 0.7 after 1.4 s
    assert.deepStrictEqual(changes(hear(curved, [call(99.92, 103)])), [["StartOfTurn", 160, "One"], ["EndOfTurn", 80 + notBefore(1400), "One two"]])
    const infos = hear(curved, [call(99.92, 101), silence(2.4), call(101, 103)])
    assert.deepStrictEqual(changes(infos).at(-1), ["EndOfTurn", notBefore(80 + 1400 + 2400), "One two"])
    const during = infos.filter(({ audio_window_end }) => audio_window_end > 1.1 && audio_window_end < 3.4)
    assert.isAbove(during.length, 5)
    for (const { end_of_turn_confidence } of during) assert.strictEqual(end_of_turn_confidence, 0.5)
    // and a jump moves it
    const jumped = hear(curved, [call(99.92, 100.4), call(101.4, 103)])
    assert.deepStrictEqual(changes(jumped).at(-1), ["EndOfTurn", notBefore(480 + 1), "One two"])
  })

  it("goes by the first word heard of a turn, where its curve is concerned", () => {
    const curve = [{ at: 0, value: 0 }, { at: 1, value: 1 }]
    const curved = stamped([{ at: 4, words: "One two three", endOfTurnConfidence: curve }, { at: 6.4, words: "Four", endOfTurnConfidence: curve }])
    assert.deepStrictEqual(changes(hear(curved, [call(4.16, 8)])), [
      ["StartOfTurn", frameOf(160), "two"],
      ["EndOfTurn", notBefore(160 + 700), "two three"],
      ["StartOfTurn", frameOf(2240), "Four"],
      ["EndOfTurn", notBefore(2240 + 700), "Four"]
    ])
  })

  it("says no more of a word in which a turn was forced to end", () => {
    const model = session(script)
    const said = [...model.audio(call(10.66, 11.06)), ...model.text(forceEndTurn).messages, ...model.audio(call(11.06, 13))]
    assert.deepStrictEqual(changes(turnInfos(said)), [
      ["StartOfTurn", 80, "would"],
      ["EndOfTurn", 400, "would"],
      ["StartOfTurn", frameOf(640), "like"],
      ["EndOfTurn", notBefore(940 + 700), "like"]
    ])
  })

  it("hears the last, partial frame", () => {
    assert.deepStrictEqual(told(hear(script, [call(10.49, 10.51)])), [["StartOfTurn", 20, "I"], ["Update", 20, "I"]])
  })

  it("hears nothing where there are no stamps", () => {
    assert.deepStrictEqual(changes(hear(script, [draw("vvvvvv")])), [])
    // G.711 has none
    const mulaw = baseQuery.replace("linear16", "mulaw")
    assert.deepStrictEqual(changes(hear(stamped([{ at: 0, words: "a" }]), [call(0, 1)], "", mulaw)), [])
    assert.deepStrictEqual(changes(hear(stamped([]), [call(0, 1)])), [])
  })

  it("reads positions at the rate of the session", () => {
    const at = 44_100 * 10.5
    const infos = hear(script, [Stamp.audio(at, 44_100)], "", baseQuery.replace("16000", "44100"))
    assert.deepStrictEqual(timesOf(infos), [["I", 0, 0.2], ["would", 0.2, 0.6], ["like", 0.8, 1]])
  })
})
