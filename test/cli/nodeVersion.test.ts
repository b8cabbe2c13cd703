import { assert, it } from "@effect/vitest"
import { judge } from "../../src/cli/nodeVersion.ts"

it("judges Node by what the package asks for, 22.19", () => {
  const verdicts = ["18.20.4", "20.20.2", "22.18.9", "22.19.0", "22.20.1", "24.0.0", "100.1.2"].map((version) => judge(version).isTooOld)
  assert.deepStrictEqual(verdicts, [true, true, true, false, false, false, false])
  assert.deepStrictEqual(judge("20.20.2"), { isTooOld: true, needed: "22.19", version: "20.20.2" })
  assert.isFalse(judge().isTooOld)
})
