import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnInfo } from "../../../src/FluxMessage.ts"
import type * as FluxModel from "../../../src/simulator/FluxModel.ts"
import { CloseMode, make as makeScript, type ScriptInput } from "../../../src/simulator/Script.ts"
import { baseQuery, changes, closeStream, forceEndTurn, open, plainHosted, read, requestId, turnInfos } from "../../support/flux.ts"
import { cut, draw } from "../../support/sound.ts"

const hosted = { profile: plainHosted }

describe("ForceEndTurn", () => {
  it("ends the turn with the words of its latest message; later audio is the next turn", () => {
    const script = makeScript({ turns: ["One two three four", "Five six"] })
    const model = open(baseQuery, { ...hosted, script })
    // the second word is heard in the frame that ends at 400 ms, the Update that would tell it comes at 480
    const said = [...model.audio(draw("v vvv v")), ...model.text(forceEndTurn).messages]
    assert.deepStrictEqual(turnInfos(said).map(({ event, transcript, trigger }) => [event, transcript, trigger]), [
      ["StartOfTurn", "One", undefined],
      ["EndOfTurn", "One", "manual"]
    ])
    const [end] = turnInfos(said.slice(-1))
    assert.deepStrictEqual([end?.audio_window_start, end?.audio_window_end, end?.end_of_turn_confidence], [0, 0.4, 0])
    const next = turnInfos(model.audio(draw(`vv${".".repeat(9)}`)))
    assert.deepStrictEqual(changes(next), [["StartOfTurn", 480, "Five"], ["EndOfTurn", 1280, "Five six"]])
    assert.deepStrictEqual(next.map(({ audio_window_start, turn_index }) => [turn_index, audio_window_start]), next.map(() => [1, 0.4]))
  })

  it("drops words that no message has told", () => {
    const script = makeScript({ turns: [{ at: 0, words: [{ word: "told", end: 0.2 }, { word: "untold", start: 0.5 }, "after"] }] })
    const model = open(baseQuery, { ...hosted, script })
    // an Update at 480 ms; the second word is heard in the frame after it
    const said = [...model.audio(draw(".......")), ...model.text(forceEndTurn).messages, ...model.audio(draw("...."))]
    assert.deepStrictEqual(changes(turnInfos(said)), [
      ["StartOfTurn", 80, "told"],
      ["EndOfTurn", 560, "told"],
      ["StartOfTurn", 880, "after"]
    ])
  })

  it("supersedes an eager end, and tells the true confidence", () => {
    const model = open(`${baseQuery}&eager_eot_threshold=0.4`, hosted)
    const said = [...model.audio(draw(`v${".".repeat(6)}`)), ...model.text(forceEndTurn).messages]
    assert.deepStrictEqual(changes(turnInfos(said)), [
      ["StartOfTurn", 80, "speech-1"],
      ["EagerEndOfTurn", 480, "speech-1"],
      ["EndOfTurn", 560, "speech-1"]
    ])
    assert.deepInclude(turnInfos(said).at(-1), { end_of_turn_confidence: 0.48, trigger: "manual" })
  })

  it("is warned of where there is no turn, and changes nothing", () => {
    const model = open(baseQuery, hosted)
    model.audio(draw("..."))
    const reply = model.text(forceEndTurn)
    assert.isFalse(reply.closes)
    assert.deepStrictEqual(reply.messages.map(read), [{
      type: "Warning",
      request_id: requestId,
      sequence_id: 2,
      code: "FORCE_END_TURN_NO_ACTIVE_TURN",
      description: "No active turn to end"
    }])
    const [start] = turnInfos(model.audio(draw("v")))
    assert.deepStrictEqual([start?.event, start?.turn_index, start?.sequence_id], ["StartOfTurn", 0, 3])
  })

  it("comes before CloseStream where it was sent before", () => {
    const model = open(baseQuery, hosted)
    model.audio(draw("vvvv"))
    const said = [...model.text(forceEndTurn).messages, ...model.text(closeStream).messages]
    assert.deepStrictEqual(turnInfos(said).map(({ event }) => event), ["EndOfTurn"])
  })
})

it("tells what ended a turn, and only there", () => {
  const triggers = (ask: string, pattern: string) =>
    turnInfos(open(`${baseQuery}${ask}`, hosted).audio(draw(pattern))).flatMap(({ event, trigger }) => trigger === undefined ? [] : [[event, trigger]])
  assert.deepStrictEqual(triggers("&eager_eot_threshold=0.3", `v${".".repeat(20)}`), [["EndOfTurn", "model"]])
  assert.deepStrictEqual(triggers("&eot_threshold=0.9&eot_timeout_ms=500", `v${".".repeat(20)}`), [["EndOfTurn", "timeout"]])
  // where both are reached in one frame
  assert.deepStrictEqual(triggers("&eot_threshold=0.56&eot_timeout_ms=560", `v${".".repeat(20)}`), [["EndOfTurn", "model"]])
})

// the guarantees of protocol 4.2, over sessions of any kind

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const few = <S extends Schema.Top>(schema: S, minimum: number, maximum: number) =>
  Schema.Array(schema).check(Schema.isBetweenLength(minimum, maximum))
const Thresholds = { eot: Count(50, 100), eager: Schema.NullOr(Count(30, 90)) }
/** Times in 50 ms, frames of 80 ms, confidences in hundredths. */
const Session = {
  turns: few(
    Schema.Struct({
      timed: Schema.Boolean,
      gap: Count(0, 30),
      words: few(Schema.Struct({ length: Count(1, 12), pause: Count(0, 20) }), 0, 5),
      curve: Schema.NullOr(few(Schema.Struct({ step: Count(1, 12), value: Count(0, 100) }), 1, 5))
    }),
    0,
    5
  ),
  rhythm: few(Schema.Struct({ silence: Count(0, 16), voice: Count(0, 14) }), 1, 8),
  asked: Schema.Struct({ ...Thresholds, timeout: Schema.Literals([500, 640, 5000]) }),
  actions: few(Schema.Struct({ frame: Count(0, 120), change: Schema.NullOr(Schema.Struct(Thresholds)) }), 0, 4),
  closeMode: CloseMode
}
interface Session {
  readonly turns: ReadonlyArray<{
    readonly timed: boolean
    readonly gap: number
    readonly words: ReadonlyArray<{ readonly length: number; readonly pause: number }>
    readonly curve: ReadonlyArray<{ readonly step: number; readonly value: number }> | null
  }>
  readonly rhythm: ReadonlyArray<{ readonly silence: number; readonly voice: number }>
  readonly asked: { readonly eot: number; readonly eager: number | null; readonly timeout: number }
  readonly actions: ReadonlyArray<{ readonly frame: number; readonly change: { readonly eot: number; readonly eager: number | null } | null }>
  readonly closeMode: CloseMode
}

const scriptOf = (turns: Session["turns"]): ScriptInput => {
  let now = 0
  return {
    turns: turns.map(({ curve, gap, timed, words }, index) => {
      let at = 0
      const endOfTurnConfidence = (curve ?? []).map(({ step, value }) => ({ at: (at += step) / 10, value: value / 100 }))
      const named = words.map((word, ordinal) => ({ ...word, word: `w${index}.${ordinal}` }))
      if (timed) now += gap
      return {
        ...(curve === null ? {} : { endOfTurnConfidence }),
        words: named.map(({ length, pause, word }) => {
          if (!timed) return word
          const start = now
          now = start + length + pause
          return { word, start: start / 20, end: (start + length) / 20 }
        })
      }
    })
  }
}

const marks: Readonly<Record<string, Uint8Array>> = { v: draw("v"), ".": draw(".") }
/** As `draw` draws it, quickly. */
const audioOf = (pattern: string): Uint8Array => {
  const audio = new Uint8Array(pattern.length * 2560)
  ;[...pattern].forEach((mark, at) => audio.set(marks[mark] ?? [], at * 2560))
  return audio
}

/** A message with what was in force when it was said. */
interface Told {
  readonly info: TurnInfo
  readonly eot: number
  readonly eager: number
  /** Behind CloseStream. */
  readonly tail: boolean
}

/** A whole session, its audio cut as `sizes` say; warnings and answers to Configure are left out. */
const play = (
  { actions, asked, closeMode, rhythm, turns }: Session,
  sizes: ReadonlyArray<number> = [2560],
  profile: FluxModel.Options["profile"] = "hosted-2026-09"
) => {
  const eagerAsked = asked.eager === null ? undefined : Math.min(asked.eager, asked.eot)
  const model = open(
    `${baseQuery}&eot_threshold=${asked.eot / 100}&eot_timeout_ms=${asked.timeout}` +
      (eagerAsked === undefined ? "" : `&eager_eot_threshold=${eagerAsked / 100}`),
    { profile, script: makeScript(scriptOf(turns)), closeMode }
  )
  const pattern = rhythm.map(({ silence, voice }) => ".".repeat(silence) + "v".repeat(voice)).join("") + ".".repeat(30)
  const told: Array<Told> = []
  let [eot, eager] = [asked.eot / 100, (eagerAsked ?? Infinity) / 100]
  const take = (messages: ReturnType<typeof model.audio>, tail = false): void => {
    for (const each of messages) {
      const info = read(each)
      if (info.type === "TurnInfo") told.push({ info, eot, eager, tail })
    }
  }
  let frame = 0
  const hear = (to: number): void => {
    for (const piece of cut(audioOf(pattern.slice(frame, to)), sizes)) take(model.audio(piece))
    frame = Math.max(frame, to)
  }
  for (const { change, frame } of actions.toSorted((a, b) => a.frame - b.frame)) {
    hear(Math.min(frame, pattern.length))
    if (change === null) take(model.text(forceEndTurn).messages)
    else {
      const thresholds = {
        eot_threshold: change.eot / 100,
        ...(change.eager === null ? {} : { eager_eot_threshold: Math.min(change.eager, change.eot) / 100 })
      }
      assert.strictEqual(model.text(JSON.stringify({ type: "Configure", thresholds })).messages[0]?.kind, "ConfigureSuccess")
      eot = thresholds.eot_threshold
      eager = thresholds.eager_eot_threshold ?? eager
    }
  }
  hear(pattern.length)
  take(model.text(closeStream).messages, true)
  return { told, frames: pattern.length }
}

/** Goes through a session turn by turn, with the message before in the same turn. */
const inTurns = (told: ReadonlyArray<Told>, check: (now: Told, before: TurnInfo | undefined, eagerly: TurnInfo | undefined) => void): void => {
  let before: TurnInfo | undefined
  let eagerly: TurnInfo | undefined
  for (const now of told) {
    check(now, before, eagerly)
    const { event } = now.info
    const ended = event === "EndOfTurn"
    const opened = event === "StartOfTurn" || before !== undefined
    before = opened && !ended ? now.info : undefined
    if (event === "EagerEndOfTurn") eagerly = now.info
    else if (ended || event === "TurnResumed") eagerly = undefined
  }
}

const guarantees: ReadonlyArray<readonly [name: string, check: (session: ReturnType<typeof play>) => void]> = [
  ["1: every 240 ms a message, an Update unless changes took the slot; more of them only where the end is probable", ({ frames, told }) => {
    const slots = Array.from({ length: Math.floor(frames / 3) }, (): Array<string> => [])
    for (const { info: { audio_window_end, end_of_turn_confidence: sure, event, trigger }, tail } of told) {
      const millis = Math.round(audio_window_end * 1000)
      // over 0.5 there is an Update each frame
      if (event === "Update" && sure > 0.5 && !tail) continue
      // a forced end between two slots is in neither
      if (!tail && !(trigger === "manual" && millis % 240 === 0)) slots[Math.ceil(millis / 240) - 1]?.push(event)
    }
    const probable = new Set(told.filter(({ info }) => info.end_of_turn_confidence > 0.5).map(({ info }) => Math.ceil(Math.round(info.audio_window_end * 1000) / 240) - 1))
    for (const [at, slot] of slots.entries()) {
      if (!probable.has(at)) assert.isNotEmpty(slot)
      if (slot.includes("Update")) assert.lengthOf(slot, 1)
    }
  }],
  ["2: Updates outside speech, without words", ({ told }) => {
    inTurns(told, ({ info }, before) => {
      if (info.event === "Update" && before === undefined) {
        assert.deepStrictEqual([info.transcript, info.words, info.end_of_turn_confidence], ["", [], 0])
      }
    })
  }],
  ["3: a StartOfTurn opens every turn, with text", ({ told }) => {
    inTurns(told, ({ info }, before) => {
      if (info.event === "StartOfTurn") {
        assert.isUndefined(before)
        assert.isNotEmpty(info.transcript)
      } else if (info.event !== "Update") assert.isDefined(before)
    })
  }],
  ["4: an EagerEndOfTurn has text and enough confidence", ({ told }) => {
    inTurns(told, ({ eager, info }, _before, eagerly) => {
      if (info.event !== "EagerEndOfTurn") return
      assert.isUndefined(eagerly)
      assert.isNotEmpty(info.transcript)
      assert.isAtLeast(info.end_of_turn_confidence, eager)
    })
  }],
  ["5: a TurnResumed takes back an EagerEndOfTurn of its turn", ({ told }) => {
    inTurns(told, ({ info }, _before, eagerly) => {
      if (info.event === "TurnResumed") assert.strictEqual(eagerly?.turn_index, info.turn_index)
    })
  }],
  ["6: after an EagerEndOfTurn the text stands until it is taken back", ({ told }) => {
    inTurns(told, ({ info }, _before, eagerly) => {
      if (eagerly !== undefined && info.event !== "TurnResumed") assert.strictEqual(info.transcript, eagerly.transcript)
    })
  }],
  ["7: the text of a turn is cumulative, and is the words", ({ told }) => {
    inTurns(told, ({ info: { event, transcript, trigger, words } }, before) => {
      assert.strictEqual(words.map(({ word }) => word).join(" "), transcript)
      assert.isTrue(transcript.startsWith(before?.transcript ?? ""))
      if (event === "EndOfTurn") assert.isNotEmpty(transcript)
      if (trigger === "manual") assert.strictEqual(transcript, before?.transcript)
    })
  }],
  ["8: without an eager threshold nothing is eager", ({ told }) => {
    for (const { eager, info: { event } } of told) {
      if (eager === Infinity) assert.include(["Update", "StartOfTurn", "EndOfTurn"], event)
    }
  }],
  ["turns end when confidence is enough, or by timeout, and not before (4.4)", ({ told }) => {
    inTurns(told, ({ eager, eot, info: { end_of_turn_confidence: sure, event, trigger }, tail }, _before, eagerly) => {
      if (tail) return
      if (trigger === "model") assert.isTrue(eot < 1 && sure >= eot)
      else if (trigger === "timeout") assert.isTrue(eot === 1 || sure < eot)
      else if (event === "Update") {
        assert.isTrue(eot === 1 || sure < eot)
        if (eagerly === undefined) assert.isBelow(sure, eager)
      }
    })
  }],
  ["sequence, turn numbers and windows go on (2, 2.2)", ({ told }) => {
    let [sequence, turn, start, end] = [0, 0, 0, 0]
    for (const { info } of told) {
      assert.isAbove(info.sequence_id, sequence)
      assert.deepStrictEqual([info.turn_index, info.audio_window_start], [turn, start])
      assert.isAtLeast(info.audio_window_end, end)
      for (const word of info.words) {
        assert.isAtLeast(word.end ?? NaN, word.start ?? NaN)
        // windows are 32-bit floats
        assert.isAtMost(word.end ?? NaN, info.audio_window_end + 1e-5)
      }
      ;[sequence, end] = [info.sequence_id, info.audio_window_end]
      if (info.event === "EndOfTurn") [turn, start] = [turn + 1, end]
    }
  }]
]

describe("in any session", () => {
  for (const [name, check] of guarantees) {
    it.prop(name, Session, (session) => check(play(session)), { arbitrary: { runs: 150, seed: "guarantees" } })
  }

  it.prop("how the audio is cut does not matter", { session: Schema.Struct(Session), sizes: few(Count(1, 6000), 1, 5) }, ({ session, sizes }) => {
    assert.deepStrictEqual(play(session, sizes), play(session))
  }, { arbitrary: { runs: 100, seed: "cuts" } })

  it("everything happens that there is to happen", () => {
    const turn = { timed: true, gap: 5, words: [{ length: 6, pause: 9 }, { length: 6, pause: 0 }], curve: null }
    const { told } = play({
      turns: [turn, { ...turn, timed: false }],
      rhythm: [{ silence: 40, voice: 3 }],
      asked: { eot: 60, eager: 30, timeout: 5000 },
      actions: [{ frame: 44, change: null }, { frame: 1, change: { eot: 70, eager: 35 } }],
      closeMode: "update"
    }, [2560], plainHosted)
    assert.deepStrictEqual(changes(told.map(({ info }) => info)).map(([event]) => event), [
      "StartOfTurn",
      "EagerEndOfTurn",
      "TurnResumed",
      "EagerEndOfTurn",
      "EndOfTurn",
      "StartOfTurn",
      "EndOfTurn"
    ])
  })
})
