/** A hundred calls of ten minutes under every fault at random: what must hold of each of them, and memory that does not grow. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runInProcess } from "../soak/inProcess.ts"
import { groups, type Plan } from "../soak/run.ts"
import * as tallies from "../soak/tally.ts"
import { kept } from "../support/memory.ts"

const plan: Plan = { conversations: 100, seconds: 600, seed: 1, intensity: 1, acts: true }

describe("a hundred calls under every fault", { timeout: 900_000 }, () => {
  it.effect("keep all that is promised; heap at the end within 10 % of that at a tenth", () =>
    Effect.gen(function*() {
      const tally = tallies.make()
      const memory: Array<number> = []
      for (const group of groups(plan)) {
        for (const report of yield* runInProcess(group())) tally.add(report)
        if (memory.length === 0) memory.push(yield* kept)
      }
      memory.push(yield* kept)
      assert.deepStrictEqual(tally.wrong(), [])
      const rows = tally.rows()
      assert.strictEqual(rows["conversations"], plan.conversations)
      // it was no walk in the park
      for (const row of ["struck by a fault", "recoveries", "rotations", "settings changed"]) {
        assert.isAbove(Number(rows[row]), plan.conversations, row)
      }
      const [early = 0, late = 0] = memory
      assert.isBelow((late - early) / early, 0.1, `${early} and ${late} bytes`)
    }))
})
