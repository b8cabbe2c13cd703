/** What a session keeps to, whatever user and server do (design 7). How to run it longer, and how to run a failure again: `runs.ts`. */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { check } from "./check.ts"
import { runs } from "./runs.ts"
import { Script } from "./script.ts"

describe("a session", () => {
  it.effect.prop(
    "keeps to its invariants, whatever user and server do",
    { script: Script },
    ({ script }) => Effect.asVoid(check(script)),
    runs(400)
  )
})
