/** Schemas for others to read. Pure. */
import * as Schema from "effect/Schema"

/** The JSON Schema (draft 2020-12) of what a schema reads. */
export const publish = (schema: Schema.Top, options?: Parameters<typeof Schema.toJsonSchemaDocument>[1]): object => {
  const document = Schema.toJsonSchemaDocument(schema, options)
  return { $schema: "https://json-schema.org/draft/2020-12/schema", ...document.schema, $defs: document.definitions }
}
