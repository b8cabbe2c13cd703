import { assert, describe, it } from "@effect/vitest"
import * as moments from "../../../src/simulator/session/moments.ts"
import { pcm16 } from "../../support/sound.ts"

describe("moments", () => {
  it("are at whole samples, the nearest ones", () => {
    const nextAt = (seconds: number) => moments.make([{ fault: "end", at: seconds }], pcm16).next()
    // 16,000 samples of 2 bytes a second
    assert.strictEqual(nextAt(1), 32_000)
    assert.strictEqual(nextAt(1 + 0.4 / 16_000), 32_000)
    assert.strictEqual(nextAt(1 + 0.6 / 16_000), 32_002)
    assert.strictEqual(moments.make([{ fault: "end", at: 1 }], { encoding: "mulaw", sampleRate: 8000 }).next(), 8000)
  })
  it("are given once, and then no more", () => {
    const timed = moments.make([
      { fault: "end", at: "close" },
      { fault: "end", turn: 0 },
      { fault: "mute", turn: 0, after: 1 },
      { fault: "end", at: 1 },
      { fault: "throttle" }
    ], pcm16)
    const names = (faults: ReadonlyArray<{ readonly fault: string }>) => faults.map(({ fault }) => fault)
    assert.isTrue(timed.awaitTurn())
    for (const expected of [["throttle"], []]) assert.deepStrictEqual(names(timed.connected()), expected)
    for (const expected of [["end"], []]) assert.deepStrictEqual(names(timed.turnStarted(0, 10_000)), expected)
    assert.isFalse(timed.awaitTurn())
    assert.strictEqual(timed.next(), 32_000)
    for (const expected of [["end"], []]) assert.deepStrictEqual(names(timed.due(32_000)), expected)
    assert.strictEqual(timed.next(), 42_000)
    assert.deepStrictEqual(names(timed.due(42_000)), ["mute"])
    assert.strictEqual(timed.next(), Number.POSITIVE_INFINITY)
    for (const expected of [["end"], []]) assert.deepStrictEqual(names(timed.close()), expected)
    assert.deepStrictEqual(timed.end(), [])
  })
})
