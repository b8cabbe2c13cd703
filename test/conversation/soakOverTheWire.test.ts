/** Calls of a minute, faster than in real time, over HTTP/2 under every fault at random: what must hold of each of them. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { runOverTheWire } from "../soak/overTheWire.ts"
import { groups, groupSize, type Plan } from "../soak/run.ts"
import * as tallies from "../soak/tally.ts"
import { becomes } from "../support/becomes.ts"

const plan: Plan = { conversations: 2 * groupSize, seconds: 60, seed: 1, intensity: 2, acts: true }

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

describe("twenty calls over HTTP/2 under every fault keep all that is promised", { timeout: 60_000 }, () => {
  const defects: Array<unknown> = []
  const note = (error: unknown): void => void defects.push(error)
  process.on("unhandledRejection", note)
  afterAll(() => {
    process.off("unhandledRejection", note)
    assert.deepStrictEqual(defects, [])
  })

  it.live("ten on connections of their own, ten on one; nothing is left", () =>
    Effect.gen(function*() {
      const tally = tallies.make()
      const all = yield* Effect.forEach(
        groups(plan),
        (group, at) => runOverTheWire(group(), { speed: 10, connections: at === 0 ? "isolated" : "shared" }),
        { concurrency: "unbounded" }
      )
      for (const report of all.flat()) tally.add(report)
      assert.deepStrictEqual(tally.wrong(), [])
      const rows = tally.rows()
      assert.strictEqual(rows["conversations"], plan.conversations)
      for (const row of ["struck by a fault", "recoveries"]) assert.isAbove(Number(rows[row]), plan.conversations / 2, row)
      yield* becomes("sockets", Effect.sync(sockets), 0)
    }))
})
