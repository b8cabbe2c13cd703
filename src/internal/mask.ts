/**
 * What a capture may keep of a session. Credentials and account numbers never; without content, no words either:
 * stand-ins take their place under which a client acts as it did, equal texts being equal and different ones different.
 * Pure.
 */
import * as FluxMessage from "../FluxMessage.ts"
import * as json from "./json.ts"
import { decode, encode } from "./percent.ts"
import { byteLength } from "./utf8.ts"

/** The masks of one session; they remember its words to know them again. */
export interface Mask {
  /** A query string: values of `keyterm`, `tag` and unknown parameters become stand-ins of legal form. */
  readonly query: (query: string) => string
  /** A text message of the server; one that only stands in for it comes with the length of the original in bytes. */
  readonly received: (text: string) => { readonly text: string; readonly bytes?: number }
  /** A text message of the client: its `type`, and a Configure with its keyterms masked. */
  readonly sent: (text: string) => { readonly type: string; readonly text?: string }
  /** What an error says. */
  readonly detail: (text: string) => string
}

/** Masks for one session; with `content`, words, keyterms and tags are kept. */
export const make = (content: boolean): Mask => (content ? open : closed())

const open: Mask = {
  query: (query) => query,
  received: (text) => ({ text }),
  sent: (text) => ({ type: typeOf(json.parse(text)), text }),
  detail: (text) => withoutSecrets(text)
}

const closed = (): Mask => {
  const word = aliases((number) => `<${number}>`)
  const terms = new Map<string, (term: string) => string>()
  /** What an error may repeat. */
  const named = new Map<string, string>()
  /** Keyterms and tags by their parameter, each with numbers of its own. */
  const term = (parameter: string, value: string): string => {
    const known = terms.get(parameter) ?? aliases((number) => `${parameter}-${number}`)
    terms.set(parameter, known)
    if (value.length <= maxName) {
      // an error may repeat it as it was asked for
      for (const form of value.isWellFormed() ? [value, encode(value)] : [value]) if (named.size < maxNamed) named.set(form.toLowerCase(), known(value))
    }
    return known(value)
  }

  const words = (text: string): string => text.replace(/\S+/gu, word)
  const detail = (text: string): string => {
    let clean = withoutSecrets(text)
    for (const [name, alias] of named) if (name.trim() !== "") clean = clean.replace(wholeWord(name), alias)
    return clean
  }

  const text = (key: string, value: string): string => {
    if (key === "description") return detail(value)
    if (key === "keyterms" || key === "keyterms[]") return term("keyterm", value)
    return names.has(key) && plainName.test(value) ? value : words(value)
  }
  /** The same kind of value, so that whoever reads it finds the same fault in it. Goes no deeper than known fields do. */
  const value = (key: string, given: unknown): unknown => {
    if (typeof given === "string") return text(key, given)
    if (typeof given === "number") return Number.isFinite(given) ? given : infinite
    if (Array.isArray(given)) return lists.has(key) ? given.map((item: unknown) => value(`${key}[]`, item)) : []
    return json.isObject(given) ? fields(known.get(key) ?? [], given) : given
  }
  const fields = (keys: ReadonlyArray<string>, given: object): object =>
    Object.fromEntries(Object.entries(given).flatMap(([key, item]) => (keys.includes(key) ? [[key, value(key, item)]] : [])))
  const jsonOf = (keys: ReadonlyArray<string>, given: object): string =>
    JSON.stringify(fields(keys, given)).replaceAll(JSON.stringify(infinite), "1e999")

  return {
    query: (query) =>
      query.split("&").map((pair) => {
        const [key = "", given] = pair.split(/=(.*)/s)
        if (given === undefined) return term("parameter", pair)
        if (plainParameters.has(key) && plainValue.test(given)) return pair
        const parameter = plainKey.test(key) ? key : "parameter"
        return `${parameter}=${term(parameter, decoded(given))}`
      }).join("&"),
    received: (original) => {
      const message = FluxMessage.parse(original)
      const body = json.parse(original)
      const standsIn = (text: string) => ({ text, bytes: byteLength(original) })
      if (message.type === "Unrecognized") return standsIn(JSON.stringify(standIn(message.messageType)))
      if (message.type === "Unreadable" && message.messageType === undefined) return standsIn(body === undefined ? "not JSON" : "{}")
      return json.isObject(body) ? { text: jsonOf(messageFields, body) } : standsIn("{}")
    },
    sent: (original) => {
      const body = json.parse(original)
      const type = typeOf(body)
      return type === "Configure" && json.isObject(body) ? { type, text: jsonOf(configureFields, body) } : { type }
    },
    detail
  }
}

/** Every field of `FluxMessage.ServerMessage`. */
const messageFields = [
  "type",
  "request_id",
  "sequence_id",
  "event",
  "turn_index",
  "audio_window_start",
  "audio_window_end",
  "transcript",
  "words",
  "end_of_turn_confidence",
  "trigger",
  "languages",
  "languages_hinted",
  "thresholds",
  "keyterms",
  "language_hints",
  "numerals",
  "code",
  "description"
]
/** Every field of `FluxMessage.Configure`. */
const configureFields = ["type", "thresholds", "keyterms", "language_hints", "numerals"]
/** Objects within them. */
const known: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["words[]", ["word", "confidence", "start", "end"]],
  ["thresholds", ["eot_threshold", "eager_eot_threshold", "eot_timeout_ms"]]
])
/** Lists within them. */
const lists: ReadonlySet<string> = new Set(["words", "languages", "languages_hinted", "language_hints", "keyterms"])
/** Texts that are names and not words. */
const names: ReadonlySet<string> = new Set([
  "type",
  "request_id",
  "event",
  "trigger",
  "code",
  "languages[]",
  "languages_hinted[]",
  "language_hints[]"
])
const plainName = /^[\w.:-]{1,100}$/
/** JSON can say a number that JavaScript cannot hold; no masked text is like this. */
const infinite = "\u0000infinite"

/** Parameters of `v2/listen` (protocol 1.1) whose values say nothing of a caller. */
const plainParameters: ReadonlySet<string> = new Set([
  "model",
  "encoding",
  "sample_rate",
  "eot_threshold",
  "eager_eot_threshold",
  "eot_timeout_ms",
  "language_hint",
  "numerals",
  "profanity_filter",
  "redact",
  "mip_opt_out"
])
const plainKey = /^[A-Za-z0-9][\w-]{0,99}$/
const plainValue = /^[\w.~-]{1,100}$/

const nameOf = (text: string): string => (plainName.test(text) ? text : "masked")

const standIn = (messageType: string): object => {
  const [type = "", event] = messageType.split(/ (.*)/s)
  return type === "TurnInfo" && event !== undefined ? { type, event: nameOf(event) } : { type: nameOf(messageType) }
}

/** Keyterms and tags that are looked for in errors; Flux takes 100 keyterms. */
const maxNamed = 1000
/** Flux takes keyterms of 100 characters. */
const maxName = 200
/** An error that says more is cut: what it costs to look through must have a bound. */
const maxDetail = 2000
/** Characters that the aliases of one kind may remember; an ordinary session has some ten thousand. */
const maxRemembered = 4 * 1024 * 1024

/** The same alias for the same text, another one for another. */
const aliases = (alias: (number: number) => string): (text: string) => string => {
  const known = new Map<string, string>()
  let remembered = 0
  let next = 1
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    if (remembered > maxRemembered) {
      known.clear()
      remembered = 0
    }
    const made = alias(next++)
    known.set(text, made)
    remembered += text.length + made.length
    return made
  }
}

/** Account numbers, the ids of access keys, and whatever is long and random enough to be a key, a token or a signature. */
const withoutSecrets = (text: string): string =>
  text
    // what the cut goes through is still known for what it is
    .slice(0, 2 * maxDetail)
    // a UUID may end in twelve digits
    .replaceAll(/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|(?<!\d)\d{12}(?!\d)/gi, (found) => found.length === 12 ? "000000000000" : found)
    .replaceAll(/\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,}\b/g, "[key]")
    .replaceAll(/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|[A-Za-z0-9+/_%-]{40,}=*/gi, (found) => found.length === 36 ? found : "[secret]")
    .slice(0, maxDetail)

const wholeWord = (text: string): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}])${text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}(?![\\p{L}\\p{N}])`, "giu")

const decoded = (value: string): string => decode(value) ?? value

const typeOf = (body: unknown): string => {
  const type = json.typeOf(body)
  return type !== undefined && plainName.test(type) ? type : ""
}
