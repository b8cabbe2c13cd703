/** What a session keeps to with the simulated endpoint, in good days and bad (design 7). How to run it longer, and how to run a failure again: `runs.ts`. */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runs } from "./runs.ts"
import { check, Simulated } from "./simulated.ts"

describe("a session with the simulated endpoint", () => {
  it.effect.prop(
    "keeps to its invariants, whatever the user does and whatever goes wrong",
    { script: Simulated },
    ({ script }) => Effect.asVoid(check(script)),
    runs(250)
  )
})
