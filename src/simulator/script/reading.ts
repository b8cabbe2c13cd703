/** Reading a value by a schema, with every issue told at its place. Pure. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fieldIssues } from "../../internal/schemaIssues.ts"

/** Takes down what is wrong at a place, such as `turns[1].words`. */
export type Report = (place: string, problem: string) => void

/** A decoder that tells all issues and refuses keys that it does not know. */
export const strict = <A>(schema: Schema.Codec<A, unknown>): (input: unknown) => Result.Result<A, Schema.SchemaError> =>
  Schema.decodeUnknownResult(schema, { errors: "all", onExcessProperty: "error" })

/** The value read, or else `undefined` and a report on every issue. */
export const read = <A>(
  decode: (input: unknown) => Result.Result<A, Schema.SchemaError>,
  input: unknown,
  at: string,
  report: Report
): A | undefined => {
  const decoded = decode(input)
  if (Result.isSuccess(decoded)) return decoded.success
  for (const { message, place } of fieldIssues(decoded.failure)) {
    report(at === "" || place === "" || place.startsWith("[") ? at + place : `${at}.${place}`, ruleOf(message))
  }
  return undefined
}

const ruleOf = (message: string): string =>
  message === "Missing key"
    ? "is missing"
    : message === "Expected no excess property"
    ? noSuchKey
    : message
      .replace(/^Expected (string|number|boolean)$/, "must be a $1")
      .replace(/^Expected (object|array)$/, "must be an $1")
      .replace(/^Expected /, "must be ")

/** The rule that a key breaks which no schema knows. */
export const noSuchKey = "there is no such key"
