/** The pace of audio that had to wait. */
import { assert, describe, it } from "@effect/vitest"
import * as catchUps from "../../src/internal/catchUp.ts"

/** Audio that waits, on a clock that is set by hand. */
const make = (speed = 2) => {
  const state: { now: number; nextAt: number | undefined; speed: number } = { now: 10_000, nextAt: undefined, speed }
  const catchUp = catchUps.make({ now: () => state.now, speed: () => state.speed, nextAt: () => state.nextAt })
  return { catchUp, state }
}

describe("catching up", () => {
  it("begins where the next audio has waited for a second, and not a moment before", () => {
    for (const [waited, wait] of [[0, 0], [999, 0], [1000, 40], [5000, 40]] as const) {
      const { catchUp, state } = make()
      state.nextAt = state.now - waited
      catchUp.begin()
      assert.strictEqual(catchUp.wait(), 0)
      catchUp.sent(0.08)
      assert.strictEqual(catchUp.wait(), wait, `after ${waited} ms`)
    }
  })

  it("does not begin of itself, nor where nothing waits", () => {
    const { catchUp, state } = make()
    state.nextAt = 0
    catchUp.sent(10)
    assert.strictEqual(catchUp.wait(), 0)
    state.nextAt = undefined
    catchUp.begin()
    state.nextAt = 0
    assert.strictEqual(catchUp.wait(), 0)
  })

  it("sends so many times faster than real time, whatever the size of the frames, and does not make up for what it was late by", () => {
    const { catchUp, state } = make(2)
    state.nextAt = 0
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 0)
    let sent = 0
    for (const millis of [80, 20, 160, 80]) {
      catchUp.sent(millis / 1000)
      sent += millis
      // all that was sent takes half of its length, counted from the beginning
      assert.strictEqual(catchUp.wait(), sent / 2 - (state.now - 10_000))
      state.now = 10_000 + sent / 2
      assert.strictEqual(catchUp.wait(), 0)
    }
  })

  it("is of the speed that is set now", () => {
    const { catchUp, state } = make(2)
    state.nextAt = 0
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 0)
    catchUp.sent(1)
    assert.strictEqual(catchUp.wait(), 500)
    state.speed = 4
    assert.strictEqual(catchUp.wait(), 250)
  })

  it("ends once nothing waits, and begins anew", () => {
    const { catchUp, state } = make()
    state.nextAt = 0
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 0)
    catchUp.sent(1)
    assert.strictEqual(catchUp.wait(), 500)
    state.nextAt = undefined
    assert.strictEqual(catchUp.wait(), 0)
    // in real time from now on
    state.nextAt = state.now
    catchUp.sent(1)
    assert.strictEqual(catchUp.wait(), 0)
    state.now += 3000
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 0)
    catchUp.sent(0.08)
    assert.strictEqual(catchUp.wait(), 40)
  })

  it("goes on as it is where it is to begin again", () => {
    const { catchUp, state } = make()
    state.nextAt = 0
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 0)
    catchUp.sent(1)
    state.now += 100
    catchUp.begin()
    assert.strictEqual(catchUp.wait(), 400)
  })
})
