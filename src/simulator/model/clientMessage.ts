/** The text messages of a client as a Flux container reads them (protocol 3): strict, and complaining as serde does. Pure. */
import * as Result from "effect/Result"
import * as json from "../../internal/json.ts"
import type { ClientMessage } from "../Profile.ts"

/** What a Configure asks for. Absent fields are left as they are; lists replace. */
export interface Change {
  readonly eotThreshold?: number | undefined
  readonly eagerEotThreshold?: number | undefined
  readonly eotTimeoutMs?: number | undefined
  readonly keyterms?: ReadonlyArray<string> | undefined
  readonly languageHints?: ReadonlyArray<string> | undefined
  readonly numerals?: boolean | undefined
}

/** A message that a container understands. */
export type Message =
  | { readonly type: "CloseStream" | "ForceEndTurn" }
  | { readonly type: "Configure"; readonly change: Change }

/** What of a bundle bears on reading. */
export interface Reader {
  /** Messages that it understands. */
  readonly messages: ReadonlyArray<ClientMessage>
  /** Whether its Configure has the field `numerals`. */
  readonly numerals: boolean
}

/** Reads a text message. Fails with what is wrong with it; the session dies of that. */
export const read = (text: string, reader: Reader): Result.Result<Message, string> => {
  const body = json.parse(text)
  if (body === undefined) return Result.fail("not valid JSON")
  if (!json.isObject(body)) return Result.fail("expected an object")
  const type = body["type"]
  if (type === undefined) return Result.fail("missing field `type`")
  if (typeof type !== "string") return Result.fail("field `type` is not a string")
  const known = reader.messages.find((message) => message === type)
  if (known === undefined) return Result.fail(`unknown variant \`${type}\`, ${expected(reader.messages)}`)
  return known === "Configure" ? readConfigure(body, reader) : Result.succeed({ type: known })
}

const thresholdFields = ["eot_threshold", "eager_eot_threshold", "eot_timeout_ms"]
const fields = ["thresholds", "keyterms", "language_hints"]

/** Null is as good as absent: so it is for `language_hints` (protocol 3.2), and of the others nothing is known. */
const readConfigure = (body: JsonObject, { numerals }: Reader): Result.Result<Message, string> =>
  Result.gen(function*() {
    yield* onlyKnown(body, numerals ? [...fields, "numerals"] : fields)
    const thresholds = (yield* optional(body["thresholds"], "struct Thresholds", json.isObject)) ?? {}
    yield* onlyKnown(thresholds, thresholdFields)
    const keyterms = yield* optional(body["keyterms"], "a string or a sequence of strings", isTerms)
    return {
      type: "Configure",
      change: {
        eotThreshold: yield* optional(thresholds["eot_threshold"], "f64", isNumber),
        eagerEotThreshold: yield* optional(thresholds["eager_eot_threshold"], "f64", isNumber),
        eotTimeoutMs: yield* optional(thresholds["eot_timeout_ms"], "u32", isNatural),
        keyterms: typeof keyterms === "string" ? [keyterms] : keyterms,
        languageHints: yield* optional(body["language_hints"], "a sequence of strings", isStrings),
        numerals: yield* optional(body["numerals"], "a boolean", isBoolean)
      }
    }
  })

const onlyKnown = (body: JsonObject, known: ReadonlyArray<string>): Result.Result<void, string> => {
  const unknown = Object.keys(body).find((key) => key !== "type" && !known.includes(key))
  return unknown === undefined ? Result.void : Result.fail(`unknown field \`${unknown}\`, ${expected(known)}`)
}

const optional = <A>(
  value: unknown,
  what: string,
  is: (value: unknown) => value is A
): Result.Result<A | undefined, string> =>
  value === undefined || value === null
    ? Result.succeed(undefined)
    : is(value)
    ? Result.succeed(value)
    : Result.fail(`invalid type: ${named(value)}, expected ${what}`)

type JsonObject = Readonly<Record<string, unknown>>
const isNumber = (value: unknown): value is number => typeof value === "number"
const isNatural = (value: unknown): value is number => isNumber(value) && Number.isInteger(value) && value >= 0
const isBoolean = (value: unknown): value is boolean => typeof value === "boolean"
const isStrings = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((member) => typeof member === "string")
const isTerms = (value: unknown): value is string | ReadonlyArray<string> => typeof value === "string" || isStrings(value)

/** One, one of two, or one of many. */
const expected = (names: ReadonlyArray<string>): string => {
  const quoted = names.map((name) => `\`${name}\``)
  return quoted.length > 2 ? `expected one of ${quoted.join(", ")}` : `expected ${quoted.join(" or ")}`
}

const named = (value: unknown): string =>
  typeof value === "string"
    ? `string ${JSON.stringify(value)}`
    : typeof value === "boolean"
    ? `boolean \`${value}\``
    : typeof value === "number"
    ? `${Number.isInteger(value) ? "integer" : "floating point"} \`${value}\``
    : Array.isArray(value)
    ? "sequence"
    : "map"
