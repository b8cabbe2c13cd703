/** What a schema found wrong, field by field. Holds no values, which may be transcripts. Pure. */
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** A field's path, joined by dots, and what was expected there. */
export interface FieldIssue {
  readonly path: string
  /** The path as people write it: `turns[1].words`. */
  readonly place: string
  readonly message: string
}

/** Every issue of a failed decoding. */
export const fieldIssues = (error: Schema.SchemaError): ReadonlyArray<FieldIssue> =>
  format(error.issue).issues.map((issue) => {
    const path = (issue.path ?? []).map((part) => typeof part === "object" ? part.key : part)
    return {
      path: path.map(String).join("."),
      place: path.reduce<string>((place, key) => nested(place, key), ""),
      message: issue.message
    }
  })

/** The place of a member: of an index `turns[1]`, of a key `turns[1].words`. */
export const nested = (place: string, key: PropertyKey): string =>
  typeof key === "number" ? `${place}[${key}]` : place === "" ? String(key) : `${place}.${String(key)}`
