/** Settings: their shape, defaults, rules and query string (protocol 1.1, 1.3). Pure; public by way of FluxSettings. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { bytesOf, Encoding, frameMillis, sampleRates } from "../Audio.ts"
import type { SettingsIssue } from "../FluxError.ts"
import { encode } from "./percent.ts"
import { fieldIssues } from "./schemaIssues.ts"

/** Models that exist (protocol 1.1); it must be the one that the endpoint runs. */
export const Model = Schema.Literals(["flux-general-en", "flux-general-multi"])
export type Model = typeof Model.Type

/** Settings in full. An absent field is left to Flux's own default. */
export const Settings = Schema.Struct({
  /** Default `flux-general-en`. */
  model: Model,
  /** Default `linear16`. */
  encoding: Encoding,
  /** In Hz: 8000, 16000, 24000, 44100 or 48000; default 16000. */
  sampleRate: Schema.Int,
  /** Confidence that ends a turn; 0.5 to 0.9 on SageMaker. Flux's default is 0.7. */
  eotThreshold: Schema.optionalKey(Schema.Finite),
  /** Confidence that gives an EagerEndOfTurn; 0.3 to 0.9, not above eotThreshold. Unset: no eager events. */
  eagerEotThreshold: Schema.optionalKey(Schema.Finite),
  /** Silence that ends a turn whatever the confidence, ms; 500 to 10000 on SageMaker. Flux's default is 5000. */
  eotTimeoutMs: Schema.optionalKey(Schema.Int),
  /** Terms to listen for: at most 100, of at most 100 characters each. */
  keyterm: Schema.Array(Schema.String),
  /** Languages to expect, flux-general-multi only; `de-CH` falls back to `de`. */
  languageHints: Schema.Array(Schema.String),
  /** Write numbers as digits; only where the endpoint can. */
  numerals: Schema.optionalKey(Schema.Boolean),
  /** Mask profanity; only where the endpoint can. */
  profanityFilter: Schema.optionalKey(Schema.Boolean),
  /** Mask numbers; only where the endpoint can. */
  redact: Schema.optionalKey(Schema.Literals(["numbers", "aggressive_numbers"])),
  /** Keep the audio out of Deepgram's model improvement programme. */
  mipOptOut: Schema.optionalKey(Schema.Boolean),
  /** Labels for usage reports. */
  tag: Schema.Array(Schema.String),
  /** A turn's mean word confidence must exceed this to be `accepted`; 0 (default) is off. */
  minConfidence: Schema.Finite,
  /** What StartOfTurn says in `interrupts`; default true. */
  shouldInterrupt: Schema.Boolean,
  /** Least time without audio in an open turn before silence is sent; default 500 ms. */
  watchdogMinTimeout: Schema.Duration,
  /** Bound on connecting, up to the response headers; default 15 s. */
  openTimeout: Schema.Duration,
  /** Bound on waiting for Flux's Connected; default 10 s. */
  connectedTimeout: Schema.Duration,
  /** Bound on waiting for the last words after CloseStream; default 15 s. */
  drainTimeout: Schema.Duration,
  /** Bound on each step of disconnecting; default 2 s. */
  disconnectTimeout: Schema.Duration,
  /** Longest time that a frame may stay unwritten; default 5 s. */
  sendTimeout: Schema.Duration,
  /** Longest time without a message of Flux while audio is sent; default 10 s. */
  stallTimeout: Schema.Duration,
  /** Time without audio outside a turn after which one sample of silence is sent; default 10 s. */
  keepAliveInterval: Schema.Duration,
  /** Bound on waiting for the answer to a Configure; default 5 s. */
  configureTimeout: Schema.Duration,
  /** Audio that may wait to be sent, in bytes; default 35 s of the call's own audio, longer than an outage that a call outlives. */
  outboxLimit: Schema.optionalKey(Schema.Int),
  /**
   * What happens to audio that does not fit. `suspend` (default): the sender waits. `drop-oldest`: whole frames go, those
   * of an open turn last, and are told as `AudioDropped`. `fail`: the sender is told, with `BufferOverflow`.
   */
  outboxPolicy: Schema.Literals(["suspend", "drop-oldest", "fail"]),
  /**
   * How much of an open turn's audio is kept for another session, should the connection break; default 15 s, and never
   * more than 8 MiB. Of a longer turn the words that were told before are kept instead.
   */
  replayWindow: Schema.Duration,
  /** Times real time at which audio goes that had to wait for a session; default 2. A burst overruns Flux. */
  catchUpSpeed: Schema.Finite,
  /**
   * Age at which a session is replaced by another one at the next end of a turn, give or take 10 %; default 25 min, as
   * SageMaker cuts every stream at 30 min. A turn that goes on is carried over at 1.16 times that age, 29 min.
   */
  maxSessionAge: Schema.Duration
})
export type Settings = typeof Settings.Type

/** The settings of a call that asks for nothing in particular. */
export const defaults: Settings = {
  model: "flux-general-en",
  encoding: "linear16",
  sampleRate: 16_000,
  keyterm: [],
  languageHints: [],
  tag: [],
  minConfidence: 0,
  shouldInterrupt: true,
  watchdogMinTimeout: Duration.millis(500),
  openTimeout: Duration.seconds(15),
  connectedTimeout: Duration.seconds(10),
  drainTimeout: Duration.seconds(15),
  disconnectTimeout: Duration.seconds(2),
  sendTimeout: Duration.seconds(5),
  stallTimeout: Duration.seconds(10),
  keepAliveInterval: Duration.seconds(10),
  configureTimeout: Duration.seconds(5),
  outboxPolicy: "suspend",
  replayWindow: Duration.seconds(15),
  catchUpSpeed: 2,
  maxSessionAge: Duration.minutes(25)
}

/** Flux's own end-of-turn timeout where none is set, in ms (protocol 1.1). */
export const fluxEotTimeoutMs = 5000

/** Flux's own end-of-turn threshold where none is set (protocol 1.1). */
export const fluxEotThreshold = 0.7

/** Of the call's own audio, where no `outboxLimit` is set, ms. */
const outboxMillis = 35_000

/** See `FluxSettings.outboxLimit`. */
export const outboxLimit = (settings: Settings): number => settings.outboxLimit ?? bytesOf(settings, outboxMillis)

/** What of an endpoint's limits bears on settings. */
export interface Limits {
  readonly name: string
  readonly numerals: boolean
  readonly profanityFilter: boolean
  readonly redact: boolean
  readonly eotThreshold: readonly [minimum: number, maximum: number]
  readonly eotTimeoutMs: readonly [minimum: number, maximum: number]
}

const maxQueryLength = 2048
const maxKeyterms = 100
const maxKeytermLength = 100
const languages: ReadonlySet<string> = new Set(["en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"])

/** Fields of the wrong type or outside their set. */
export const shapeIssues = (error: Schema.SchemaError): ReadonlyArray<SettingsIssue> =>
  fieldIssues(error).map(({ message, path }) => ({ setting: path, problem: message.replace(/^Expected /, "must be ") }))

/** Every broken rule of settings whose shape is right. */
export const check = (settings: Settings, limits: Limits): ReadonlyArray<SettingsIssue> => {
  const issues: Array<SettingsIssue> = []
  const broken = (setting: keyof Settings, problem: string): void => void issues.push({ setting, problem })
  const within = (setting: "eotThreshold" | "eagerEotThreshold" | "eotTimeoutMs" | "minConfidence", [minimum, maximum]: readonly [number, number], unit = ""): void => {
    const value = settings[setting]
    if (value !== undefined && (value < minimum || value > maximum)) {
      broken(setting, `must be between ${minimum} and ${maximum}${unit}, got ${value}`)
    }
  }
  const feature = (setting: "numerals" | "profanityFilter" | "redact"): void => {
    if (settings[setting] !== undefined && settings[setting] !== false && !limits[setting]) {
      broken(setting, `the endpoint (profile ${limits.name}) does not take it`)
    }
  }

  if (!sampleRates.includes(settings.sampleRate)) {
    broken("sampleRate", `must be one of ${sampleRates.join(", ")} Hz, got ${settings.sampleRate}`)
  }
  within("eotThreshold", limits.eotThreshold)
  within("eagerEotThreshold", [0.3, 0.9])
  within("eotTimeoutMs", limits.eotTimeoutMs, " ms")
  within("minConfidence", [0, 1])
  const eot = settings.eotThreshold ?? fluxEotThreshold
  if (settings.eagerEotThreshold !== undefined && settings.eagerEotThreshold > eot) {
    broken(
      "eagerEotThreshold",
      `must not be above eotThreshold (${eot}${settings.eotThreshold === undefined ? ", Flux's default" : ""}), got ${settings.eagerEotThreshold}`
    )
  }
  if (settings.keyterm.length > maxKeyterms) {
    broken("keyterm", `at most ${maxKeyterms} terms, got ${settings.keyterm.length}`)
  }
  if (settings.keyterm.some((term) => term.trim() === "")) broken("keyterm", "a term is blank")
  const long = settings.keyterm.findIndex((term) => [...term].length > maxKeytermLength)
  if (long >= 0) broken("keyterm", `term ${long + 1} is longer than ${maxKeytermLength} characters`)
  if (settings.languageHints.length > 0 && settings.model !== "flux-general-multi") {
    broken("languageHints", "only flux-general-multi takes language hints")
  }
  const unknown = settings.languageHints.filter((hint) => !languages.has(baseLanguage(hint)))
  if (unknown.length > 0) {
    broken("languageHints", `unknown: ${unknown.map((hint) => (/^[\w-]+$/.test(hint) ? hint : JSON.stringify(hint))).join(", ")}; known are ${[...languages].join(", ")}`)
  }
  if (settings.tag.some((tag) => tag === "")) broken("tag", "a tag is empty")
  const unpaired = [...settings.keyterm, ...settings.tag].some((text) => !text.isWellFormed())
  if (unpaired) broken("keyterm", "a term or tag holds half a surrogate pair")
  feature("numerals")
  feature("profanityFilter")
  feature("redact")
  for (const [setting, value] of Object.entries(settings)) {
    if (Duration.isDuration(value) && (!Duration.isFinite(value) || Duration.toMillis(value) <= 0)) {
      issues.push({ setting, problem: "must be a positive, finite duration" })
    }
  }
  if (settings.catchUpSpeed <= 1) broken("catchUpSpeed", `must be more than 1, got ${settings.catchUpSpeed}`)
  const frame = bytesOf(settings, frameMillis)
  if (settings.outboxLimit !== undefined && settings.outboxLimit < frame) {
    broken("outboxLimit", `must hold a frame of ${frameMillis} ms (${frame} bytes), got ${settings.outboxLimit}`)
  }
  if (!unpaired) {
    const length = query(settings).length
    if (length > maxQueryLength) {
      broken(
        "keyterm",
        `the settings make a query string of ${length} characters, SageMaker takes ${maxQueryLength}: use fewer or shorter keyterms or tags`
      )
    }
  }
  return issues
}

/** See `FluxSettings.query`. */
export const query = (settings: Settings): string => {
  const pairs: Array<string> = []
  const add = (key: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined) pairs.push(`${key}=${encode(String(value))}`)
  }
  add("model", settings.model)
  add("encoding", settings.encoding)
  add("sample_rate", settings.sampleRate)
  add("eot_threshold", settings.eotThreshold)
  add("eager_eot_threshold", settings.eagerEotThreshold)
  add("eot_timeout_ms", settings.eotTimeoutMs)
  for (const term of settings.keyterm) add("keyterm", term)
  for (const hint of baseLanguages(settings.languageHints)) add("language_hint", hint)
  // false is the default, and a bundle that lacks the parameter refuses even that
  add("numerals", settings.numerals === true ? true : undefined)
  add("profanity_filter", settings.profanityFilter === true ? true : undefined)
  add("redact", settings.redact)
  add("mip_opt_out", settings.mipOptOut)
  for (const tag of settings.tag) add("tag", tag)
  return pairs.join("&")
}

/** Locale tags as Flux takes them: `de-CH` is `de`; each once. */
export const baseLanguages = (tags: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(tags.map(baseLanguage))]

const baseLanguage = (tag: string): string => (tag.split(/[-_]/)[0] ?? tag).toLowerCase()
