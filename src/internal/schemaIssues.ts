/** What a schema found wrong, field by field. Holds no values, which may be transcripts. Pure. */
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** A field's path, joined by dots, and what was expected there. */
export interface FieldIssue {
  readonly path: string
  readonly message: string
}

/** Every issue of a failed decoding. */
export const fieldIssues = (error: Schema.SchemaError): ReadonlyArray<FieldIssue> =>
  format(error.issue).issues.map((issue) => ({
    path: (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join("."),
    message: issue.message
  }))
