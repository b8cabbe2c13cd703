import { assert, describe, it } from "@effect/vitest"
import * as uuid from "../../../src/simulator/server/uuid.ts"

describe("uuid", () => {
  it.each([
    [0, "00000000-0000-7"],
    // the example of RFC 9562, A.6: 2022-02-22T19:22:22Z
    [1_645_557_742_000, "017f22e2-79b0-7"],
    [2 ** 48 - 1, "ffffffff-ffff-7"]
  ])("of %i ms begins with %s", (millis, start) => {
    const made = uuid.makeV7(millis)
    assert.isTrue(made.startsWith(start), made)
    assert.match(made, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
  it("differs from all others of its millisecond", () => {
    assert.strictEqual(new Set(Array.from({ length: 1000 }, () => uuid.makeV7(5))).size, 1000)
  })
})
