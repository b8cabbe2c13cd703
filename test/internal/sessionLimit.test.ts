/** How many sessions a call may have. */
import { assert, describe, it } from "@effect/vitest"
import * as sessionLimits from "../../src/internal/sessionLimit.ts"

const minutes = 60_000

describe("the limit", () => {
  it("is reached with the twentieth session within ten minutes, and not any more when the first of them is that old", () => {
    let now = 0
    const limit = sessionLimits.make(() => now)
    for (let session = 1; session <= 20; session++) {
      assert.isFalse(limit.isReached())
      limit.note()
      now += 1000
    }
    assert.isTrue(limit.isReached())
    now = 10 * minutes - 1
    assert.isTrue(limit.isReached())
    now = 10 * minutes
    assert.isFalse(limit.isReached())
    // the second one is of a second later
    limit.note()
    assert.isTrue(limit.isReached())
    now += 1000
    assert.isFalse(limit.isReached())
  })

  it("is never reached by sessions that come slowly enough, however many", () => {
    let now = 0
    const limit = sessionLimits.make(() => now)
    for (let session = 0; session < 1000; session++) {
      limit.note()
      assert.isFalse(limit.isReached())
      // nineteen within 600 s
      now += 32_000
    }
  })
})
