import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as timelines from "../../src/internal/timeline.ts"

const rate = 16_000
const near = (actual: number, expected: number, what = ""): void => assert.closeTo(actual, expected, 1e-6, what)

/** Audio that is offered after a jump (muted or dropped samples), or silence that nobody offered; longer than what is taken for noise, 1 ms. */
const Step = Schema.Union([
  Schema.Struct({ skip: Schema.Literals([0, 0, 0, 160, 16_000]), offered: Schema.Literals([40, 80, 1280]) }),
  Schema.Struct({ injected: Schema.Literals([40, 1280]) })
])

/** What was sent, piece by piece, in samples of the session and of the conversation; where silence stands has no width. */
const modelOf = (steps: ReadonlyArray<typeof Step.Type>) => {
  const timeline = timelines.make(rate)
  const pieces: Array<{ readonly from: number; readonly to: number; readonly at: number; readonly wide: boolean }> = []
  let [session, position, reached, now] = [0, 0, 0, 0]
  for (const step of steps) {
    now += 10
    if ("injected" in step) {
      timeline.injected(step.injected, now)
      pieces.push({ from: session, to: session + step.injected, at: reached, wide: false })
      session += step.injected
    } else {
      position += step.skip
      timeline.offered(position, step.offered, now)
      pieces.push({ from: session, to: session + step.offered, at: position, wide: true })
      session += step.offered
      position += step.offered
      reached = position
    }
  }
  const widthBefore = (sample: number): number =>
    pieces.reduce((sum, { from, to, wide }) => sum + (wide ? Math.max(0, Math.min(to, sample) - from) : 0), 0)
  return { timeline, pieces, session, widthBefore }
}

describe("timeline", () => {
  it.prop("tells where a piece begins, is, and ends, as a list of pieces does", [Schema.Array(Step)], ([steps]) => {
    const { pieces, session, timeline, widthBefore } = modelOf(steps)
    for (const { at, from, to, wide } of pieces) {
      const middle = Math.floor((from + to) / 2)
      const place = (sample: number): number => (at + (wide ? sample - from : 0)) / rate
      near(timeline.start(from / rate), place(from), "start")
      near(timeline.start(middle / rate), place(middle), "middle")
      near(timeline.end(middle / rate), place(middle), "middle")
      near(timeline.end(to / rate), place(to), "end")
      near(timeline.usage(middle / rate).audioSeconds, widthBefore(middle) / rate, "usage")
      near(timeline.usage(middle / rate).injectedSeconds, (middle - widthBefore(middle)) / rate, "usage")
    }
    near(timeline.seconds(), session / rate)
    near(timeline.usage().audioSeconds, widthBefore(session) / rate)
    near(timeline.usage().injectedSeconds, (session - widthBefore(session)) / rate)
    assert.strictEqual(timeline.isIdentity(), pieces.every(({ at, from, wide }) => wide && at === from))
  }, { arbitrary: { runs: 300, seed: "flux" } })

  it.prop("forgets nothing that may still be asked for", [Schema.Array(Step), Schema.Array(Step)], ([before, after]) => {
    const { session, timeline } = modelOf([...before, ...after])
    const untouched = modelOf([...before, ...after]).timeline
    const start = modelOf(before).session / rate
    timeline.forget(start, start)
    for (const share of [0, 0.1, 0.5, 0.9, 1]) {
      const at = start + (session / rate - start) * share
      near(timeline.start(at), untouched.start(at))
      near(timeline.end(at), untouched.end(at))
      assert.strictEqual(timeline.sentAt(at), untouched.sentAt(at))
      near(timeline.usage(at).audioSeconds, untouched.usage(at).audioSeconds)
    }
  }, { arbitrary: { runs: 100, seed: "flux" } })

  it("does not know when what was forgotten had been sent", () => {
    const timeline = timelines.make(rate)
    // a server that tells nothing for two minutes
    for (let frame = 0; frame < 1500; frame++) timeline.offered(frame * 1280, 1280, frame * 80)
    assert.strictEqual(timeline.sentAt(0.08), undefined)
    assert.strictEqual(timeline.sentAt(1500 * 0.08), 1499 * 80)
    assert.strictEqual(timeline.sentAt(1400 * 0.08), 1399 * 80)
  })

  it("tells ends and starts apart where the conversation goes on after a gap", () => {
    const timeline = timelines.make(rate)
    timeline.offered(0, rate, 0)
    // two seconds are muted
    timeline.offered(3 * rate, rate, 0)
    near(timeline.end(1), 1)
    near(timeline.start(1), 3)
    // the wire has 32-bit floats
    const told = Math.fround(0.99999997)
    assert.closeTo(timeline.end(told), 1, 1e-6)
    near(timeline.start(Math.fround(1.0000001)), 3 + (Math.fround(1.0000001) - 1))
    near(timeline.start(told), 3)
    near(timeline.end(Math.fround(1.0000001)), 1)
  })

  it("takes a server at its word that tells of more than was sent", () => {
    const timeline = timelines.make(rate)
    near(timeline.end(0.5), 0.5)
    timeline.offered(0, rate, 0)
    near(timeline.end(1.5), 1.5)
    timeline.injected(rate, 0)
    near(timeline.end(2.5), 1.5)
  })

  it("knows when audio was sent, and not of what was not", () => {
    const timeline = timelines.make(rate)
    for (let frame = 0; frame < 10; frame++) timeline.offered(frame * 1280, 1280, 1000 + frame * 80)
    assert.strictEqual(timeline.sentAt(0), 1000)
    assert.strictEqual(timeline.sentAt(0.08), 1000)
    assert.strictEqual(timeline.sentAt(0.0811), 1080)
    assert.strictEqual(timeline.sentAt(Math.fround(0.47999996)), 1400)
    assert.strictEqual(timeline.sentAt(0.8), 1720)
    assert.isUndefined(timeline.sentAt(0.802))
    timeline.forget(0, 0.5)
    assert.strictEqual(timeline.sentAt(0.5), 1480)
  })

  it("is bounded where a server never tells how far it is, and right for the latest audio", () => {
    const timeline = timelines.make(rate)
    for (let i = 0; i < 50_000; i++) {
      timeline.offered(i * 3, 1, i)
      timeline.injected(1, i)
    }
    // a millisecond is noise
    assert.closeTo(timeline.start(99_998 / rate) * rate, 49_999 * 3, 16 * 3)
    assert.closeTo(timeline.sentAt(100_000 / rate) ?? 0, 49_999, 16)
    near(timeline.usage().audioSeconds * rate, 50_000)
  })
})
