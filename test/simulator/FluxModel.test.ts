import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { TurnInfo } from "../../src/FluxMessage.ts"
import type * as FluxModel from "../../src/simulator/FluxModel.ts"
import * as Script from "../../src/simulator/Script.ts"
import { fromText } from "../../src/simulator/Script.ts"
import { baseQuery, changes, closeStream, fatal, multiQuery, open, requestId, told, turnInfos } from "../support/flux.ts"
import { cut, draw, encode, tone } from "../support/sound.ts"

const hello = fromText("Hello, how are you?\nFine.")

/** Everything said on a drawing, and after CloseStream where asked for. */
const hear = (
  pattern: string,
  options: Partial<FluxModel.Options> & { readonly ask?: string; readonly close?: boolean } = {}
): Array<TurnInfo> => {
  const model = open(`${baseQuery}${options.ask ?? ""}`, options)
  const said = [...model.audio(draw(pattern))]
  if (options.close === true) said.push(...model.text(closeStream).messages)
  return turnInfos(said)
}

const ends = (options: Partial<FluxModel.Options>) =>
  changes(hear("vvvvv......... vvvvv......... v.........", options)).filter(([event]) => event === "EndOfTurn")

const languages = (query: string) =>
  turnInfos(open(query).audio(draw("...v"))).map((info) => [info.event, info.languages, info.languages_hinted])

describe("FluxModel", () => {
  it("says Connected first, and numbers all messages", () => {
    const model = open(baseQuery, {})
    assert.deepStrictEqual(turnInfos(model.audio(draw("......"))).map(({ sequence_id }) => sequence_id), [1, 2])
    assert.strictEqual(fatal(model.text("{}").messages[0]).sequence_id, 3)
  })

  it("says where an idle session is every 240 ms, and nothing without audio", () => {
    assert.deepStrictEqual(told(hear("........")), [["Update", 240, ""], ["Update", 480, ""]])
    const [first] = hear("...")
    assert.deepStrictEqual(first, {
      type: "TurnInfo",
      request_id: requestId,
      sequence_id: 1,
      event: "Update",
      turn_index: 0,
      audio_window_start: 0,
      audio_window_end: 0.24,
      transcript: "",
      words: [],
      end_of_turn_confidence: 0
    })
    assert.deepStrictEqual(hear(""), [])
  })

  it("opens a turn at the first voiced frame and hears a word for every 320 ms of voice", () => {
    //  frames end at       80..240  320            640            960
    const infos = hear("... . vvv  v vv  v vv", { script: hello })
    assert.deepStrictEqual(told(infos), [
      ["Update", 240, ""],
      ["StartOfTurn", 400, "Hello,"],
      ["Update", 720, "Hello, how"],
      ["Update", 960, "Hello, how"]
    ])
    assert.deepStrictEqual(infos[1]?.words.map(({ end, start, word }) => [word, start, end]), [["Hello,", 0.32, 0.4]])
    assert.deepStrictEqual(infos[2]?.words.map(({ end, start, word }) => [word, start, end]), [
      ["Hello,", 0.32, 0.64],
      ["how", 0.64, 0.72]
    ])
    for (const { confidence } of infos[3]?.words ?? []) assert.isTrue(confidence >= 0.9 && confidence <= 0.99)
    assert.strictEqual(new Set(hear("vvvvvvvvvvvvvv", { script: hello }).at(-1)?.words.map((w) => w.confidence)).size, 3)
  })

  it("counts voice, not time, towards the next word", () => {
    const infos = hear("vv... ..v ..v v..", { script: hello })
    assert.deepStrictEqual(told(infos.filter(({ event }) => event === "Update")), [
      ["Update", 480, "Hello,"],
      ["Update", 720, "Hello,"],
      ["Update", 960, "Hello, how"]
    ])
    // the fifth voiced frame is frame 11; the word before has had its 320 ms
    assert.deepStrictEqual(infos.at(-1)?.words.map(({ end, start }) => [start, end]), [[0, 0.32], [0.88, 0.96]])
  })

  it("keeps the transcript when the line is used up", () => {
    assert.deepStrictEqual(told(hear("vvv vvv vvv", { script: fromText("Yes") })), [
      ["StartOfTurn", 80, "Yes"],
      ["Update", 480, "Yes"],
      ["Update", 720, "Yes"]
    ])
  })

  it("counts placeholders on through the session, also behind the script", () => {
    assert.deepStrictEqual(ends({}).map(([, , text]) => text), ["speech-1 speech-2", "speech-3 speech-4", "speech-5"])
    const behind = ends({ script: fromText("One two three") })
    assert.deepStrictEqual(behind.map(([, , text]) => text), ["One two three", "speech-1 speech-2", "speech-3"])
    assert.deepStrictEqual(ends({ script: Script.make({ turns: ["", " ", { words: [] }] }) }), ends({}))
  })

  it.each<readonly [threshold: string, millis: number]>([
    ["0.5", 560],
    ["0.56", 560],
    ["0.5601", 640],
    ["0.57", 640],
    ["0.64", 640],
    ["0.7", 720],
    ["0.72", 720],
    ["0.88", 880],
    ["0.9", 960]
  ])("ends a turn at threshold %s after %i ms of silence", (threshold, millis) => {
    const infos = hear(`vvvv${".".repeat(20)}`, { ask: `&eot_threshold=${threshold}`, script: hello })
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "Hello,"],
      ["EndOfTurn", 320 + millis, "Hello, how are you?"]
    ])
    const end = infos.find(({ event }) => event === "EndOfTurn")
    assert.strictEqual(end?.end_of_turn_confidence, millis / 1000)
    // words that were not reached are heard where the voice stopped
    assert.deepStrictEqual(end?.words.map(({ end, start }) => [start, end]), [
      [0, 0.32],
      [0.32, 0.32],
      [0.32, 0.32],
      [0.32, 0.32]
    ])
  })

  it("ends at 0.7 where no threshold is asked for, and goes on with the next turn", () => {
    const infos = hear(`v${".".repeat(12)}v${".".repeat(9)}..`, { script: hello })
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "Hello,"],
      ["EndOfTurn", 800, "Hello, how are you?"],
      ["StartOfTurn", 1120, "Fine."],
      ["EndOfTurn", 1840, "Fine."]
    ])
    assert.deepStrictEqual(
      infos.map(({ audio_window_start, event, turn_index }) => [event, turn_index, audio_window_start]),
      [
        ["StartOfTurn", 0, 0],
        // at the ends of slots, 480 and 720 ms, and where confidence is over 0.5: after 560 and 640 ms of silence, 640 and 720 ms
        ["Update", 0, 0],
        ["Update", 0, 0],
        ["Update", 0, 0],
        ["EndOfTurn", 0, 0],
        // the same from 1120 ms on: 1440 and 1680 ms, and 1680 and 1760 ms
        ["StartOfTurn", 1, 0.8],
        ["Update", 1, 0.8],
        ["Update", 1, 0.8],
        ["Update", 1, 0.8],
        ["EndOfTurn", 1, 0.8]
      ]
    )
  })

  it("ends by timeout whatever the confidence", () => {
    const silence = ".".repeat(70)
    assert.deepStrictEqual(changes(hear(`v${silence}`, { ask: "&eot_threshold=0.9&eot_timeout_ms=500" })), [
      ["StartOfTurn", 80, "speech-1"],
      ["EndOfTurn", 80 + 560, "speech-1"]
    ])
    // hosted: 1 turns ends by confidence off; 5000 ms are reached in frame 63
    const never = { ask: "&eot_threshold=1.0", profile: "hosted-2026-09" } as const
    const infos = hear(`v${silence}`, never)
    assert.deepStrictEqual(changes(infos).at(-1), ["EndOfTurn", 80 + 5040, "speech-1"])
    assert.strictEqual(infos.find(({ event }) => event === "EndOfTurn")?.end_of_turn_confidence, 1)
    // speech starts the timeout anew
    assert.deepStrictEqual(changes(hear(`v${".".repeat(40)}v${silence}`, never)).at(-1)?.[1], 42 * 80 + 5040)
  })

  it("says eager ends, and takes them back when speech goes on", () => {
    const infos = hear("v..... v.... vvvv ....... ..", { ask: "&eager_eot_threshold=0.32&eot_threshold=0.7", script: hello })
    assert.deepStrictEqual(changes(infos), [
      ["StartOfTurn", 80, "Hello,"],
      ["EagerEndOfTurn", 5 * 80, "Hello, how are you?"],
      ["TurnResumed", 7 * 80, "Hello, how are you?"],
      ["EagerEndOfTurn", 11 * 80, "Hello, how are you?"],
      ["TurnResumed", 12 * 80, "Hello, how are you?"],
      ["EagerEndOfTurn", 19 * 80, "Hello, how are you?"],
      ["EndOfTurn", 24 * 80, "Hello, how are you?"]
    ])
    assert.strictEqual(infos.find(({ event }) => event === "EagerEndOfTurn")?.end_of_turn_confidence, 0.32)
    // what came out with the eager end was not spoken later
    assert.deepStrictEqual(infos.at(-1)?.words.map(({ end, start }) => [start, end]), [
      [0, 0.08],
      [0.08, 0.08],
      [0.08, 0.08],
      [0.08, 0.08]
    ])
  })

  it("says no eager end where the turn ends at once", () => {
    const ends = changes(hear(`v${".".repeat(10)}`, { ask: "&eager_eot_threshold=0.7" }))
    assert.deepStrictEqual(ends.map(([event]) => event), ["StartOfTurn", "EndOfTurn"])
    const timed = changes(hear(`v${".".repeat(10)}`, { ask: "&eager_eot_threshold=0.55&eot_timeout_ms=500" }))
    assert.deepStrictEqual(timed.map(([event]) => event), ["StartOfTurn", "EndOfTurn"])
  })

  it("ends at CloseStream with an Update, on what was spoken so far", () => {
    const infos = hear("vvvvvv", { script: hello, close: true })
    assert.deepStrictEqual(told(infos).slice(-2), [["Update", 480, "Hello, how"], ["Update", 480, "Hello, how"]])
    assert.deepStrictEqual(told(hear("....", { close: true })), [["Update", 240, ""]])
  })

  it("ends at CloseStream with an EndOfTurn where asked for", () => {
    const infos = hear("vvvvv", { script: hello, closeMode: "end-of-turn", close: true })
    assert.deepStrictEqual(told(infos).at(-1), ["EndOfTurn", 400, "Hello, how"])
    assert.deepStrictEqual(told(hear("....", { closeMode: "end-of-turn", close: true })), [["Update", 240, ""]])
  })

  it("keeps an eager line whole through CloseStream", () => {
    const infos = hear("v....", { ask: "&eager_eot_threshold=0.3", script: hello, closeMode: "end-of-turn", close: true })
    assert.deepStrictEqual(changes(infos).slice(1), [
      ["EagerEndOfTurn", 400, "Hello, how are you?"],
      ["EndOfTurn", 400, "Hello, how are you?"]
    ])
  })

  it("hears the last, partial frame at CloseStream", () => {
    const model = open(baseQuery)
    // 100 ms of voice and half a sample
    assert.lengthOf(model.audio(encode(tone(1600, 8000), { encoding: "linear16", sampleRate: 16_000 })), 1)
    assert.lengthOf(model.audio(Uint8Array.of(1)), 0)
    assert.strictEqual(model.audioSeconds(), 0.1)
    const reply = model.text(closeStream)
    assert.isTrue(reply.closes)
    const [last] = turnInfos(reply.messages)
    assert.deepStrictEqual(last?.words.map(({ end, start }) => [start, end]), [[0, 0.1]])
    assert.strictEqual(last?.audio_window_end, 0.1)
    const single = open(baseQuery)
    assert.deepStrictEqual(single.audio(Uint8Array.of(0xff, 0x3f)), [])
    assert.deepStrictEqual(turnInfos(single.text(closeStream).messages).map(({ event }) => event), ["StartOfTurn", "Update"])
  })

  it.each<readonly [message: string, description: string]>([
    [`{"type":"Configure"}`, "unknown variant `Configure`, expected `CloseStream`"],
    [`{"type":"ForceEndTurn"}`, "unknown variant `ForceEndTurn`, expected `CloseStream`"],
    [`{"type":"KeepAlive"}`, "unknown variant `KeepAlive`, expected `CloseStream`"],
    ["{}", "missing field `type`"],
    [`{"type":1}`, "field `type` is not a string"],
    ["null", "expected an object"],
    ["close", "not valid JSON"]
  ])("dies of the text message %s", (message, description) => {
    const model = open(baseQuery)
    model.audio(draw("vv"))
    const reply = model.text(message)
    assert.isTrue(reply.closes)
    assert.deepStrictEqual(JSON.parse(reply.messages[0]?.text ?? ""), {
      type: "Error",
      sequence_id: 2,
      code: "UNPARSABLE_CLIENT_MESSAGE",
      description: `Could not deserialize last text message: ${description}`
    })
    assert.lengthOf(reply.messages, 1)
    assert.deepStrictEqual(model.audio(draw("vvvvvv")), [])
    assert.deepStrictEqual(model.text(closeStream), { messages: [], closes: true })
  })

  it("says nothing after CloseStream", () => {
    const model = open(baseQuery)
    model.text(closeStream)
    assert.deepStrictEqual(model.audio(draw("vvvvvv")), [])
    assert.deepStrictEqual(model.text("{}"), { messages: [], closes: true })
  })

  it("tells languages where the model is the multilingual one, and no trigger", () => {
    assert.deepStrictEqual(languages(multiQuery), [
      ["Update", [], []],
      ["StartOfTurn", ["en"], []]
    ])
    assert.deepStrictEqual(languages(`${multiQuery}&language_hint=de-CH&language_hint=fr`), [
      ["Update", [], ["de", "fr"]],
      ["StartOfTurn", ["de"], ["de", "fr"]]
    ])
    for (const info of hear("...v..........")) {
      assert.notProperty(info, "trigger")
      assert.notProperty(info, "languages")
      assert.notProperty(info, "languages_hinted")
    }
  })

  it("closes as the script says, unless told otherwise", () => {
    const script = Script.make({ turns: ["Yes"], closeMode: "end-of-turn" })
    assert.deepStrictEqual(told(hear("v", { script, close: true })).at(-1), ["EndOfTurn", 80, "Yes"])
    assert.deepStrictEqual(told(hear("v", { script, closeMode: "update", close: true })).at(-1), ["Update", 80, "Yes"])
  })

  it("tells how its audio is read", () => {
    assert.deepStrictEqual(open("model=flux-general-en&encoding=alaw&sample_rate=8000").format, { encoding: "alaw", sampleRate: 8000 })
  })

  it("hears the same in every encoding", () => {
    const pattern = "..vvvvvvv.........vv....v"
    const expected = hear(pattern, { script: hello })
    for (const encoding of ["mulaw", "alaw"] as const) {
      const model = open(`model=flux-general-en&encoding=${encoding}&sample_rate=8000`, { script: hello })
      assert.deepStrictEqual(turnInfos(model.audio(draw(pattern, { encoding, sampleRate: 8000 }))), expected)
      assert.strictEqual(model.audioSeconds(), pattern.length * 0.08)
    }
  })
})

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Rhythm = Schema.Array(Schema.Struct({ silence: Count(0, 16), voice: Count(0, 14) })).check(Schema.isMaxLength(8))
const Thresholds = Schema.Struct({
  /** In hundredths. */
  eot: Count(50, 90),
  eager: Schema.NullOr(Count(30, 90)),
  timeout: Schema.Literals([500, 640, 650, 5000])
})
const settled = { arbitrary: { runs: 200, seed: "flux-model" } }

const patternOf = (rhythm: typeof Rhythm.Type): string =>
  rhythm.map(({ silence, voice }) => ".".repeat(silence) + "v".repeat(voice)).join("")

const asked = ({ eager, eot, timeout }: typeof Thresholds.Type): string =>
  `&eot_threshold=${eot / 100}&eot_timeout_ms=${timeout}` +
  (eager === null ? "" : `&eager_eot_threshold=${Math.min(eager, eot) / 100}`)

/** Turn events of a drawing, told from the gaps in it: [event, frame at whose end it comes]. */
const expectedChanges = (pattern: string, { eager, eot, timeout }: typeof Thresholds.Type): Array<readonly [string, number]> => {
  const endFrames = Math.min(Math.ceil(eot / 8), Math.ceil(timeout / 80))
  const eagerFrames = eager === null ? Infinity : Math.ceil(Math.min(eager, eot) / 8)
  const out: Array<readonly [string, number]> = []
  let open = false
  for (const { 0: voice, index } of pattern.matchAll(/v+/g)) {
    if (!open) out.push(["StartOfTurn", index + 1])
    open = true
    const stop = index + voice.length
    const rest = pattern.indexOf("v", stop)
    const gap = (rest < 0 ? pattern.length : rest) - stop
    if (eagerFrames < endFrames && gap >= eagerFrames) out.push(["EagerEndOfTurn", stop + eagerFrames])
    if (gap >= endFrames) {
      out.push(["EndOfTurn", stop + endFrames])
      open = false
    } else if (eagerFrames < endFrames && gap >= eagerFrames && rest >= 0) out.push(["TurnResumed", rest + 1])
  }
  return out
}

describe("FluxModel on any audio", () => {
  it.prop("opens, resumes and ends turns where the gaps say", { rhythm: Rhythm, thresholds: Thresholds }, ({ rhythm, thresholds }) => {
    const pattern = patternOf(rhythm)
    const heard = changes(hear(pattern, { ask: asked(thresholds) })).map(([event, millis]) => [event, millis / 80])
    assert.deepStrictEqual(heard, expectedChanges(pattern, thresholds).map(([event, frame]) => [event, frame]))
  }, settled)

  it.prop("says every line whole by the end of its turn", { rhythm: Rhythm, thresholds: Thresholds }, ({ rhythm, thresholds }) => {
    const lines = ["One two three four five six", "Seven eight", "Nine ten eleven twelve"]
    const infos = hear(patternOf(rhythm), { ask: asked(thresholds), script: fromText(lines.join("\n")) })
    infos.filter(({ event }) => event === "EndOfTurn").forEach(({ transcript, turn_index }) => {
      if (turn_index < lines.length) assert.strictEqual(transcript, lines[turn_index])
    })
  }, settled)

  it.prop("says the same from plain text and from JSON", { rhythm: Rhythm, thresholds: Thresholds }, ({ rhythm, thresholds }) => {
    const lines = ["One two three four five six", "Seven eight", "Nine ten eleven twelve"]
    const ask = { ask: asked(thresholds), close: true }
    const expected = hear(patternOf(rhythm), { ...ask, script: fromText(lines.join("\n")) })
    const asWords = lines.map((line) => ({ words: line.split(" ").map((word) => ({ word })) }))
    for (const turns of [lines, asWords]) {
      assert.deepStrictEqual(hear(patternOf(rhythm), { ...ask, script: Script.make({ turns }) }), expected)
    }
  }, { arbitrary: { runs: 60, seed: "flux-model" } })

  it.prop("does not care how the audio is cut", {
    rhythm: Rhythm,
    sizes: Schema.Array(Count(1, 6000)).check(Schema.isBetweenLength(1, 5)),
    tail: Count(0, 2559),
    closeMode: Schema.Literals(["update", "end-of-turn"])
  }, ({ closeMode, rhythm, sizes, tail }) => {
    const options = { closeMode, script: hello }
    const audio = Uint8Array.from([...draw(patternOf(rhythm)), ...draw("v").subarray(0, tail)])
    const whole = open(`${baseQuery}&eager_eot_threshold=0.4`, options)
    const expected = [...whole.audio(audio), ...whole.text(closeStream).messages]
    const pieces = open(`${baseQuery}&eager_eot_threshold=0.4`, options)
    const heard = cut(audio, sizes).flatMap((piece) => pieces.audio(piece))
    assert.deepStrictEqual([...heard, ...pieces.text(closeStream).messages], expected)
    assert.strictEqual(pieces.audioSeconds(), whole.audioSeconds())
  }, { arbitrary: { runs: 60, seed: "flux-model" } })
})
