/**
 * The query string of `v2/listen` as a Flux container reads it (protocol 1.1, 1.3): strict, and apart from the
 * client's own rules. Pure.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Encoding, type Format, sampleRates } from "../../Audio.ts"
import * as percent from "../../internal/percent.ts"
import { fluxEotTimeoutMs, type Limits, Model } from "../../internal/settings.ts"
import type { Profile } from "../Profile.ts"
import * as queryString from "./queryString.ts"

/** What a session was asked for. Thresholds are confidences of 0 to 1. */
export interface Query extends Format {
  readonly model: Model
  /** Default 0.7. 1 means that no confidence ends a turn. */
  readonly eotThreshold: number
  /** Unset: no eager events. */
  readonly eagerEotThreshold: number | undefined
  /** In ms of audio; default 5000. */
  readonly eotTimeoutMs: number
  readonly keyterms: ReadonlyArray<string>
  /** Base languages, in the order given. */
  readonly languageHints: ReadonlyArray<string>
  /** Default false. */
  readonly numerals: boolean
  /** Absent where it was not asked for. */
  readonly profanityFilter?: boolean
}

/** What is wrong with an eager threshold above the other (protocol 2.4). */
export const eagerAboveEot = "eager_eot_threshold must be less than or equal to eot_threshold"

/** Why a text is no query string that SageMaker takes, whatever its parameters mean; undefined where it is one. */
export const illegality = (query: string): string | undefined => queryString.problemOf(query, (name) => rules.has(name))

/** The model that a query string asks for, if it is one that exists: before it is known which bundle is to read it. */
export const modelOf = (query: string): Model | undefined => {
  const value = percent.decode(/(?:^|&)model=([^&]*)/.exec(query)?.[1] ?? "")
  return isModel(value) ? value : undefined
}

/**
 * Reads a query string as the container of a bundle does. Fails with the first reason for which it is refused; the
 * reason names no value but the model.
 */
export const parse = (query: string, { limits, models, name }: Profile): Result.Result<Query, string> => {
  const illegal = illegality(query)
  if (illegal !== undefined) return Result.fail(`not a legal query string: ${illegal}`)
  const values = new Map<string, Array<string>>()
  for (const pair of query.split("&")) {
    const [key = "", raw = ""] = pair.split("=")
    const value = percent.decode(raw)
    if (value === undefined) return Result.fail(`${key}: not UTF-8`)
    const before = values.get(key)
    if (before === undefined) values.set(key, [value])
    else before.push(value)
  }
  for (const [key, given] of values) {
    const rule = rules.get(key)
    if (rule === undefined || (rule.feature !== undefined && !limits[rule.feature])) {
      return Result.fail(`unknown parameter ${key}`)
    }
    if (given.length > 1 && !rule.repeats) return Result.fail(`${key}: given more than once`)
    for (const value of given) {
      const problem = rule.problem(value, limits)
      if (problem !== undefined) return Result.fail(`${key}: ${problem}`)
    }
  }
  const one = (key: string): string | undefined => values.get(key)?.[0]
  const number = (key: string): number | undefined => {
    const value = one(key)
    return value === undefined ? undefined : Number(value)
  }
  const model = one("model")
  const encoding = one("encoding")
  const sampleRate = number("sample_rate")
  if (!isModel(model)) return Result.fail("model is missing")
  if (!models.includes(model)) return Result.fail(`model: the bundle ${name} does not run ${model}`)
  if (!isEncoding(encoding)) return Result.fail("encoding is missing: raw audio only")
  if (sampleRate === undefined) return Result.fail("sample_rate is missing")
  const eotThreshold = number("eot_threshold") ?? defaultEotThreshold
  const eagerEotThreshold = number("eager_eot_threshold")
  if (eagerEotThreshold !== undefined && eagerEotThreshold > eotThreshold) {
    return Result.fail(eagerAboveEot)
  }
  const keyterms = values.get("keyterm") ?? []
  if (keyterms.length > maxKeyterms) return Result.fail(`keyterm: more than ${maxKeyterms}`)
  const hints = values.get("language_hint") ?? []
  if (hints.length > 0 && model !== "flux-general-multi") {
    return Result.fail(`language_hint is not supported for model ${model}`)
  }
  const profanityFilter = one("profanity_filter")
  return Result.succeed({
    model,
    encoding,
    sampleRate,
    eotThreshold,
    eagerEotThreshold,
    eotTimeoutMs: number("eot_timeout_ms") ?? fluxEotTimeoutMs,
    keyterms,
    languageHints: hints.map(baseLanguage),
    numerals: one("numerals") === "true",
    ...(profanityFilter === undefined ? {} : { profanityFilter: profanityFilter === "true" })
  })
}

/** Parameters that can be changed while a session runs. */
export type Changeable = "eot_threshold" | "eager_eot_threshold" | "eot_timeout_ms" | "keyterm" | "language_hint"

/** Why a parameter may not have a value, under the rules of {@link parse}. */
export const problemOf = (key: Changeable, value: string, limits: Limits): string | undefined =>
  rules.get(key)?.problem(value, limits)

interface Rule {
  /** Why a value is refused. */
  readonly problem: (value: string, limits: Limits) => string | undefined
  readonly repeats?: true
  /** Only some bundles know the parameter; to the others it is an unknown one, whatever its value. */
  readonly feature?: "numerals" | "profanityFilter" | "redact"
}

const defaultEotThreshold = 0.7

/** Most terms of one session (protocol 1.1). */
export const maxKeyterms = 100
const maxKeytermLength = 100
const languages: ReadonlySet<string> = new Set(["en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"])
const isModel = Schema.is(Model)
const isEncoding = Schema.is(Encoding)

const oneOf = (...allowed: ReadonlyArray<string>) => (value: string): string | undefined =>
  allowed.includes(value) ? undefined : `must be one of ${allowed.join(", ")}`
const flag = oneOf("true", "false")

const decimal = /^\d+(?:\.\d+)?$/
const integer = /^\d+$/
const eagerRange = [0.3, 0.9] as const
const outside = (value: string, [minimum, maximum]: readonly [number, number], form: RegExp): string | undefined =>
  form.test(value) && Number(value) >= minimum && Number(value) <= maximum
    ? undefined
    : `must be a number between ${minimum} and ${maximum}`

const badKeyterm = (value: string): string | undefined =>
  value.trim() === ""
    ? "blank"
    : [...value].length > maxKeytermLength
    ? `longer than ${maxKeytermLength} characters`
    : undefined

/** A locale tag falls back to its language (protocol 1.1). */
export const baseLanguage = (tag: string): string => (tag.split("-")[0] ?? tag).toLowerCase()
const badLanguage = (value: string): string | undefined =>
  languages.has(baseLanguage(value)) ? undefined : "unknown language"

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["model", { problem: oneOf(...Model.literals) }],
  ["encoding", { problem: oneOf(...Encoding.literals) }],
  ["sample_rate", { problem: oneOf(...sampleRates.map(String)) }],
  ["eot_threshold", { problem: (value, limits) => outside(value, limits.eotThreshold, decimal) }],
  ["eager_eot_threshold", { problem: (value) => outside(value, eagerRange, decimal) }],
  ["eot_timeout_ms", { problem: (value, limits) => outside(value, limits.eotTimeoutMs, integer) }],
  ["keyterm", { repeats: true, problem: badKeyterm }],
  ["language_hint", { repeats: true, problem: badLanguage }],
  ["numerals", { feature: "numerals", problem: flag }],
  ["profanity_filter", { feature: "profanityFilter", problem: flag }],
  ["redact", { feature: "redact", problem: oneOf("numbers", "aggressive_numbers") }],
  ["mip_opt_out", { problem: flag }],
  ["tag", { repeats: true, problem: () => undefined }]
])
