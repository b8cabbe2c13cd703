import { assert, describe, it } from "@effect/vitest"
import type { Configure, ConfigureFailure, ConfigureSuccess } from "../../../src/FluxMessage.ts"
import type * as FluxModel from "../../../src/simulator/FluxModel.ts"
import { profiles } from "../../../src/simulator/Profile.ts"
import { fromText } from "../../../src/simulator/Script.ts"
import { baseQuery, changes, fatal, multiQuery, open, plainHosted, read, requestId, turnInfos } from "../../support/flux.ts"
import { draw } from "../../support/sound.ts"

const hosted = { profile: "hosted-2026-09" } as const
const configure = (fields: object): string => JSON.stringify({ type: "Configure", ...fields })

/** The one answer to a Configure that the session survives. */
const answer = (model: FluxModel.FluxModel, fields: object): ConfigureSuccess | ConfigureFailure => {
  const { closes, messages } = model.text(configure(fields))
  assert.isFalse(closes)
  assert.lengthOf(messages, 1)
  const message = read(messages[0])
  return message.type === "ConfigureSuccess" || message.type === "ConfigureFailure" ? message : assert.fail(message.type)
}
/** What is in force, as the bundle echoes it. */
const active = (model: FluxModel.FluxModel) => {
  const message = answer(model, {})
  if (message.type !== "ConfigureSuccess") return assert.fail(message.type)
  const { request_id: _request, sequence_id: _sequence, type: _type, ...echoed } = message
  return echoed
}

describe("Configure", () => {
  it("is echoed in full, under the next sequence id", () => {
    const asked = `${multiQuery}&eot_threshold=0.8&eager_eot_threshold=0.4&keyterm=apple&language_hint=en&numerals=true`
    assert.deepStrictEqual(answer(open(asked, hosted), { thresholds: { eot_timeout_ms: 6000 } }), {
      type: "ConfigureSuccess",
      request_id: requestId,
      sequence_id: 1,
      thresholds: { eager_eot_threshold: 0.4, eot_threshold: 0.8, eot_timeout_ms: 6000 },
      keyterms: ["apple"],
      language_hints: ["en"],
      numerals: true
    })
  })

  it("echoes what the bundle knows, and an unset eager threshold as it does", () => {
    assert.deepStrictEqual(active(open(multiQuery)), {
      thresholds: { eot_threshold: 0.7, eot_timeout_ms: 5000 },
      keyterms: [],
      language_hints: []
    })
    assert.deepStrictEqual(active(open(baseQuery, hosted)), {
      thresholds: { eager_eot_threshold: null, eot_threshold: 0.7, eot_timeout_ms: 5000 },
      keyterms: [],
      numerals: false
    })
  })

  it("changes what it names, keeps the rest, and persists", () => {
    const model = open(multiQuery, hosted)
    answer(model, { keyterms: ["a", "b"], language_hints: ["de-CH"], thresholds: { eot_timeout_ms: 9000 } })
    answer(model, { thresholds: { eot_threshold: 0.9 } })
    answer(model, { thresholds: { eager_eot_threshold: 0.5 }, numerals: true })
    model.audio(draw(`v${".".repeat(40)}`))
    const all = {
      thresholds: { eager_eot_threshold: 0.5, eot_threshold: 0.9, eot_timeout_ms: 9000 },
      keyterms: ["a", "b"],
      language_hints: ["de"],
      numerals: true
    }
    assert.deepStrictEqual(active(model), all)
    // null is as good as absent; a list replaces, an empty one clears
    answer(model, { thresholds: { eager_eot_threshold: null }, keyterms: null, language_hints: null, numerals: null })
    assert.deepStrictEqual(active(model), all)
    answer(model, { keyterms: ["c"], language_hints: ["fr", "en"] })
    assert.deepStrictEqual(active(model), { ...all, keyterms: ["c"], language_hints: ["fr", "en"] })
    answer(model, { keyterms: [], language_hints: [] })
    assert.deepStrictEqual(active(model), { ...all, keyterms: [], language_hints: [] })
    // a bare string is a list of one
    answer(model, { keyterms: "one term" })
    assert.deepStrictEqual(active(model), { ...all, keyterms: ["one term"], language_hints: [] })
  })

  it.each<readonly [fields: Configure, description: string]>([
    [{ thresholds: { eot_threshold: 0.49 } }, "eot_threshold: must be a number between 0.5 and 1"],
    [{ thresholds: { eot_threshold: 1.01 } }, "eot_threshold: must be a number between 0.5 and 1"],
    [{ thresholds: { eager_eot_threshold: 0.29 } }, "eager_eot_threshold: must be a number between 0.3 and 0.9"],
    [{ thresholds: { eot_timeout_ms: 60_001 } }, "eot_timeout_ms: must be a number between 500 and 60000"],
    [{ thresholds: { eot_threshold: 0.5, eager_eot_threshold: 0.6 } }, "eager_eot_threshold must be less than or equal to eot_threshold"],
    [{ keyterms: [" "] }, "keyterm: blank"],
    [{ keyterms: ["x".repeat(101)] }, "keyterm: longer than 100 characters"],
    [{ keyterms: Array.from({ length: 101 }, () => "x") }, "keyterms: more than 100"],
    [{ language_hints: ["en", "xx"] }, "language_hint: unknown language"]
  ])("is refused with all it asks for: %j", (fields, description) => {
    const model = open(multiQuery, hosted)
    const before = active(model)
    const good = { thresholds: { eot_timeout_ms: 900 }, keyterms: ["new"], language_hints: ["de"], numerals: true }
    assert.deepStrictEqual(answer(model, { ...good, ...fields, thresholds: { ...good.thresholds, ...fields.thresholds } }), {
      type: "ConfigureFailure",
      request_id: requestId,
      sequence_id: 2,
      code: "INVALID_THRESHOLD",
      description
    })
    assert.deepStrictEqual(active(model), before)
  })

  it("compares thresholds where both are in the message, and only there", () => {
    const model = open(`${baseQuery}&eager_eot_threshold=0.6`, { profile: plainHosted })
    assert.strictEqual(answer(model, { thresholds: { eot_threshold: 0.5 } }).type, "ConfigureSuccess")
    assert.deepStrictEqual(active(model).thresholds, { eager_eot_threshold: 0.6, eot_threshold: 0.5, eot_timeout_ms: 5000 })
    // what ends the turn is no eager end
    assert.deepStrictEqual(changes(turnInfos(model.audio(draw(`v${".".repeat(7)}`)))), [
      ["StartOfTurn", 80, "speech-1"],
      ["EndOfTurn", 80 + 560, "speech-1"]
    ])
  })

  it("is refused with the bundle's code, or with none", () => {
    const bad = { thresholds: { eot_threshold: 0.95 } }
    const description = "eot_threshold: must be a number between 0.5 and 0.9"
    assert.deepInclude(answer(open(multiQuery), bad), { code: "UNPARSABLE_CLIENT_MESSAGE", description })
    const { configureFailureCode: _, ...silent } = profiles["flux-multi-20260417"]
    assert.deepStrictEqual(answer(open(multiQuery, { profile: silent }), bad), {
      type: "ConfigureFailure",
      request_id: requestId,
      sequence_id: 1
    })
  })

  it("takes language hints for the multilingual model alone", () => {
    assert.deepInclude(answer(open(baseQuery, hosted), { language_hints: ["en"] }), {
      type: "ConfigureFailure",
      description: "language_hints is not supported for model flux-general-en"
    })
    const model = open(multiQuery)
    answer(model, { language_hints: ["de"] })
    const [start] = turnInfos(model.audio(draw("v")))
    assert.deepStrictEqual([start?.languages, start?.languages_hinted], [["de"], ["de"]])
  })

  const known = "expected one of `thresholds`, `keyterms`, `language_hints`, `numerals`"
  it.each<readonly [fields: object, problem: string]>([
    [{ features: { keyterms: [] } }, `unknown field \`features\`, ${known}`],
    [{ eot_threshold: 0.7 }, `unknown field \`eot_threshold\`, ${known}`],
    [{ thresholds: { keyterms: [] } }, "unknown field `keyterms`, expected one of `eot_threshold`, `eager_eot_threshold`, `eot_timeout_ms`"],
    [{ thresholds: 0.7 }, "invalid type: floating point `0.7`, expected struct Thresholds"],
    [{ thresholds: { eot_threshold: "0.7" } }, `invalid type: string "0.7", expected f64`],
    [{ thresholds: { eager_eot_threshold: true } }, "invalid type: boolean `true`, expected f64"],
    [{ thresholds: { eot_timeout_ms: 600.5 } }, "invalid type: floating point `600.5`, expected u32"],
    [{ thresholds: { eot_timeout_ms: "600" } }, `invalid type: string "600", expected u32`],
    [{ keyterms: { term: "a" } }, "invalid type: map, expected a string or a sequence of strings"],
    [{ keyterms: [1] }, "invalid type: sequence, expected a string or a sequence of strings"],
    [{ language_hints: "en" }, `invalid type: string "en", expected a sequence of strings`],
    [{ numerals: "true" }, `invalid type: string "true", expected a boolean`],
    [{ numerals: 1 }, "invalid type: integer `1`, expected a boolean"]
  ])("is fatal where it does not fit the schema: %j", (fields, problem) => {
    const model = open(multiQuery, hosted)
    const reply = model.text(configure(fields))
    assert.isTrue(reply.closes)
    assert.deepInclude(fatal(reply.messages[0]), {
      code: "UNPARSABLE_CLIENT_MESSAGE",
      description: `Could not deserialize last text message: ${problem}`
    })
    assert.deepStrictEqual(model.audio(draw("vvv")), [])
  })

  it("has no numerals where the bundle has none", () => {
    const reply = open(multiQuery).text(configure({ numerals: false }))
    assert.strictEqual(
      fatal(reply.messages[0]).description,
      "Could not deserialize last text message: unknown field `numerals`, expected one of `thresholds`, `keyterms`, `language_hints`"
    )
  })

  it("takes effect in order with the audio", () => {
    const ends = (before: string, after: string) => {
      const model = open(baseQuery, { profile: plainHosted, script: fromText("Yes") })
      const said = [...model.audio(draw(before))]
      assert.strictEqual(answer(model, { thresholds: { eot_threshold: 0.9, eager_eot_threshold: 0.3 } }).type, "ConfigureSuccess")
      return changes(turnInfos([...said, ...model.audio(draw(after))]))
    }
    // 0.7 is reached after 9 frames of silence, 0.9 after 12, 0.3 after 4
    assert.deepStrictEqual(ends("v.........", "...").slice(1), [["EndOfTurn", 10 * 80, "Yes"]])
    assert.deepStrictEqual(ends("v........", "....").slice(1), [
      ["EagerEndOfTurn", 10 * 80, "Yes"],
      ["EndOfTurn", 13 * 80, "Yes"]
    ])
  })

  it("can be told to fail or to be lost", () => {
    const lost = open(multiQuery, { configureFault: { kind: "lost" } })
    assert.deepStrictEqual(lost.text(configure({ keyterms: ["a"] })), { messages: [], closes: false })
    const failing = (fault: Omit<FluxModel.ConfigureFault, "kind">) =>
      answer(open(multiQuery, { ...hosted, configureFault: { kind: "failure", ...fault } }), { keyterms: ["a"] })
    assert.deepInclude(failing({}), { type: "ConfigureFailure", code: "INVALID_THRESHOLD" })
    assert.deepInclude(failing({ code: "BUSY", description: "Too many pending Configure messages." }), {
      type: "ConfigureFailure",
      code: "BUSY",
      description: "Too many pending Configure messages."
    })
    // what cannot be read is fatal all the same
    assert.strictEqual(fatal(lost.text(configure({ keyterms: 1 })).messages[0]).code, "UNPARSABLE_CLIENT_MESSAGE")
  })
})
