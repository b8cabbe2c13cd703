import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { type Profile, profiles } from "../../../src/simulator/Profile.ts"
import * as query from "../../../src/simulator/model/query.ts"

const narrow = profiles["flux-english-20260311"]
const base = "model=flux-general-en&encoding=linear16&sample_rate=16000"
const multi = base.replace("-en", "-multi")
const problem = (text: string, profile: Profile = narrow): string =>
  Result.match(query.parse(text, profile), { onFailure: (reason) => reason, onSuccess: () => "taken" })

describe("query", () => {
  it("reads what was asked for, with Flux's own defaults", () => {
    assert.deepStrictEqual(Result.getOrThrow(query.parse(base, narrow)), {
      model: "flux-general-en",
      encoding: "linear16",
      sampleRate: 16_000,
      eotThreshold: 0.7,
      eagerEotThreshold: undefined,
      eotTimeoutMs: 5000,
      keyterms: [],
      languageHints: [],
      numerals: false
    })
    const full = "model=flux-general-multi&encoding=alaw&sample_rate=44100&eot_threshold=0.8&eager_eot_threshold=0.4" +
      "&eot_timeout_ms=500&keyterm=customer%20service&keyterm=%C3%BCber&language_hint=en&language_hint=pt-BR" +
      "&mip_opt_out=true&tag=a&tag=b"
    assert.deepStrictEqual(Result.getOrThrow(query.parse(full, profiles["flux-multi-20260417"])), {
      model: "flux-general-multi",
      encoding: "alaw",
      sampleRate: 44_100,
      eotThreshold: 0.8,
      eagerEotThreshold: 0.4,
      eotTimeoutMs: 500,
      keyterms: ["customer service", "über"],
      languageHints: ["en", "pt"],
      numerals: false
    })
  })

  it.each([
    ["", "not a legal query string: it is empty"],
    [`${base}&tag=a+b`, `not a legal query string: character ${base.length + 7} (+) in tag: a space is written %20, never +, and a plus sign %2B`],
    [`${base}&tag=%FF`, "tag: not UTF-8"],
    [base.replace("model=flux-general-en&", ""), "model is missing"],
    [base.replace("&encoding=linear16", ""), "encoding is missing: raw audio only"],
    [base.replace("&sample_rate=16000", ""), "sample_rate is missing"],
    [base.replace("flux-general-en", "flux"), "model: must be one of flux-general-en, flux-general-multi"],
    [base.replace("linear16", "opus"), "encoding: must be one of linear16, mulaw, alaw"],
    [base.replace("16000", "22050"), "sample_rate: must be one of 8000, 16000, 24000, 44100, 48000"],
    [base.replace("16000", "16e3"), "sample_rate: must be one of 8000, 16000, 24000, 44100, 48000"],
    [`${base}&model=flux-general-en`, "model: given more than once"],
    [`${base}&eot_threshold=0.49`, "eot_threshold: must be a number between 0.5 and 0.9"],
    [`${base}&eot_threshold=0.91`, "eot_threshold: must be a number between 0.5 and 0.9"],
    [`${base}&eot_threshold=high`, "eot_threshold: must be a number between 0.5 and 0.9"],
    [`${base}&eager_eot_threshold=0.29`, "eager_eot_threshold: must be a number between 0.3 and 0.9"],
    [`${base}&eager_eot_threshold=0.71`, "eager_eot_threshold must be less than or equal to eot_threshold"],
    [`${base}&eager_eot_threshold=0.6&eot_threshold=0.5`, "eager_eot_threshold must be less than or equal to eot_threshold"],
    [`${base}&eot_timeout_ms=499`, "eot_timeout_ms: must be a number between 500 and 10000"],
    [`${base}&eot_timeout_ms=10001`, "eot_timeout_ms: must be a number between 500 and 10000"],
    [`${base}&eot_timeout_ms=600.5`, "eot_timeout_ms: must be a number between 500 and 10000"],
    [`${base}&keyterm=%20`, "keyterm: blank"],
    [`${base}&keyterm=${"x".repeat(101)}`, "keyterm: longer than 100 characters"],
    [`${base}${"&keyterm=x".repeat(101)}`, "keyterm: more than 100"],
    [`${base}&language_hint=en`, "language_hint is not supported for model flux-general-en"],
    [multi, "model: the bundle flux-english-20260311 does not run flux-general-multi"],
    [`${base}&language_hint=xx`, "language_hint: unknown language"],
    [`${base}&mip_opt_out=yes`, "mip_opt_out: must be one of true, false"],
    [`${base}&numerals=false`, "unknown parameter numerals"],
    [`${base}&profanity_filter=true`, "unknown parameter profanity_filter"],
    [`${base}&redact=numbers`, "unknown parameter redact"],
    [`${base}&language=en`, "unknown parameter language"],
    [`${base}&constructor=x`, "unknown parameter constructor"]
  ])("refuses %s", (text, expected) => {
    assert.strictEqual(problem(text), expected)
  })

  it.each([
    `${base}&eot_threshold=0.5&eager_eot_threshold=0.5&eot_timeout_ms=10000`,
    `${base}&eager_eot_threshold=0.7`,
    `${base}&keyterm=${"x".repeat(100)}`,
    `${base}${"&keyterm=x".repeat(100)}`,
    `${base}&tag=${"x".repeat(2048 - base.length - 5)}`
  ])("takes the limits themselves: %s", (text) => {
    assert.strictEqual(problem(text), "taken")
  })

  it("takes more where the bundle does", () => {
    const hosted = profiles["hosted-2026-09"]
    assert.strictEqual(
      problem(`${base}&eot_threshold=1.0&eot_timeout_ms=60000&numerals=true&profanity_filter=false&redact=numbers`, hosted),
      "taken"
    )
    assert.strictEqual(problem(`${base}&redact=all`, hosted), "redact: must be one of numbers, aggressive_numbers")
  })

  it("runs the models of its bundle", () => {
    const taken = (name: keyof typeof profiles) => [base, multi].map((text) => problem(text, profiles[name]) === "taken")
    assert.deepStrictEqual(taken("flux-english-20260311"), [true, false])
    assert.deepStrictEqual(taken("flux-multi-20260417"), [false, true])
    assert.deepStrictEqual(taken("hosted-2026-09"), [true, true])
    assert.strictEqual(problem(base, profiles["flux-multi-20260417"]), "model: the bundle flux-multi-20260417 does not run flux-general-en")
  })

  it.each([
    [base, "flux-general-en"],
    [`tag=a&${multi}`, "flux-general-multi"],
    ["model=flux%2Dgeneral%2Den", "flux-general-en"],
    ["tag=model=flux-general-en", undefined],
    ["submodel=flux-general-en", undefined],
    ["model=flux", undefined],
    ["model=%FF", undefined],
    ["", undefined]
  ])("knows before all else which model %s asks for", (text, model) => {
    assert.strictEqual(query.modelOf(text), model)
  })
})
