/** Text files that flags name. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import * as textFile from "../internal/textFile.ts"
import type { Checked } from "./flags.ts"

/** The text of a file, or why it cannot be read, and what it is if no text. `decode` makes text of its bytes. */
export const read = (
  flag: string,
  path: string,
  decode: typeof textFile.decode = textFile.decode
): Effect.Effect<Checked<string>, never, FileSystem.FileSystem> =>
  Effect.map(find(flag, path, decode), Result.flatMap(Option.match({
    onNone: () => Result.fail([`${flag}: ${path} cannot be read`]),
    onSome: (text) => Result.succeed(text)
  })))

/** {@link read} of a file that need not be there. */
export const find = Effect.fnUntraced(function*(
  flag: string,
  path: string,
  decode: typeof textFile.decode = textFile.decode
): Effect.fn.Return<Checked<Option.Option<string>>, never, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const bytes = yield* Effect.result(fs.readFile(path))
  if (Result.isFailure(bytes)) {
    return bytes.failure.reason._tag === "NotFound"
      ? Result.succeed(Option.none())
      : Result.fail([`${flag}: ${path} cannot be read: ${why(bytes.failure)}`])
  }
  return Result.mapBoth(decode(bytes.success), {
    onSuccess: Option.some,
    onFailure: (problem) => [`${flag}: ${path} ${problem}`]
  })
})

const why = ({ message, reason }: PlatformError.PlatformError): string => {
  const cause = reason._tag === "BadArgument" ? undefined : reason.cause
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  if (code === "EISDIR") return "it is a directory"
  if (reason._tag === "PermissionDenied") return "it may not be read by this user"
  return cause instanceof Error ? cause.message : message
}
