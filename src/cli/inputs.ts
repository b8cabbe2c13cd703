/** Text files that flags name. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { Checked } from "./flags.ts"

/** The text of a file, or that it cannot be read. */
export const read = Effect.fnUntraced(function*(
  flag: string,
  path: string
): Effect.fn.Return<Checked<string>, never, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  return yield* Effect.result(Effect.mapError(fs.readFileString(path), () => [`${flag}: ${path} cannot be read`]))
})
