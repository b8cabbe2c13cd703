/** Reading settings from a Config. What an environment has around a value (blanks, the CR of a file of Windows) is no part of it. */
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/** A value that may be absent; one that is there and wrong is still an error. */
export const optional = <A>(value: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(value), Option.getOrUndefined)

/** One value that may be absent, trimmed; a blank one is as good as absent. */
export const scalar = <A>(schema: Schema.ConstraintCodec<A, unknown>, name: string): Config.Config<A | undefined> => {
  const present = Schema.String.pipe(
    Schema.decodeTo(Schema.toCodecStringTree(schema), {
      decode: SchemaGetter.transform((text: string): Schema.StringTree => text.trim()),
      encode: SchemaGetter.transform(String)
    })
  )
  return Config.flatMap(optional(Config.String(name)), (text) =>
    (text ?? "").trim() === "" ? Config.succeed(undefined) : Config.schema(present, name))
}

/** Values parted by commas, each trimmed, without the empty ones; may be absent. */
export const list = (name: string): Config.Config<ReadonlyArray<string> | undefined> =>
  Config.map(optional(Config.Array(Schema.String, name)), (values) => values?.map((value) => value.trim()).filter((value) => value !== ""))

const [yes, no] = [["true", "yes", "on", "1", "y"], ["false", "no", "off", "0", "n"]] as const

/** Yes or no, in the words that `Config.Boolean` takes. */
export const YesNo = Schema.Literals([...yes, ...no]).pipe(
  Schema.decodeTo(Schema.Boolean, {
    decode: SchemaGetter.transform((word) => yes.some((known) => known === word)),
    encode: SchemaGetter.transform((value) => value ? "true" as const : "false" as const)
  })
)
