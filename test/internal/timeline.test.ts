import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as timelines from "../../src/internal/timeline.ts"

const rate = 16_000
const near = (actual: number, expected: number): void => assert.closeTo(actual, expected, 1e-6)

/** Audio that is offered after a jump (muted or dropped samples), silence that nobody offered, and what will not be asked for again; all longer than what is taken for noise, 1 ms. */
const Step = Schema.Union([
  Schema.Struct({ skip: Schema.Literals([0, 0, 0, 160, 16_000]), offered: Schema.Literals([40, 80, 1280]) }),
  Schema.Struct({ injected: Schema.Literals([40, 1280]) }),
  /** Shares of what was sent. */
  Schema.Struct({ forget: Schema.Literals([0, 0.3, 0.7, 1]), told: Schema.Literals([0, 0.5, 1]) })
])
/** Before the steps: half an hour, told as a 32-bit float to 0.06 ms. */
const lead = 1800 * rate

/** A sample of a session: where it stands in the conversation, how wide it is there, and when it was sent. */
interface Sample {
  readonly at: number
  readonly width: 0 | 1
  readonly sentAt: number
}
/** Every sample of a session but for the first ones, which were offered from the start on. */
const modelOf = (steps: ReadonlyArray<typeof Step.Type>, before: number) => {
  const timeline = timelines.make(rate)
  const samples: Array<Sample> = []
  /** Samples at which something begins, and the end. */
  const bounds: Array<number> = [0]
  let [position, reached, now, forgotten, told] = [before, before, 0, 0, 0]
  if (before > 0) timeline.offered(0, before, now)
  const add = (count: number, at: number, width: 0 | 1): void => {
    now += 10
    for (let i = 0; i < count; i++) samples.push({ at: at + i * width, width, sentAt: now })
    bounds.push(samples.length)
  }
  for (const step of steps) {
    if ("forget" in step) {
      forgotten = Math.max(forgotten, Math.floor(samples.length * step.forget))
      told = Math.max(forgotten, told, Math.floor(samples.length * step.told))
      timeline.forget((before + forgotten) / rate, (before + told) / rate)
    } else if ("injected" in step) {
      add(step.injected, reached, 0)
      timeline.injected(step.injected, now)
    } else {
      position += step.skip
      add(step.offered, position, 1)
      timeline.offered(position, step.offered, now)
      position += step.offered
      reached = position
    }
  }
  const offered = (until: number): number => before + samples.slice(0, until).reduce((sum, { width }) => sum + width, 0)
  return { timeline, samples, bounds, forgotten, told, offered }
}

describe("timeline", () => {
  it.prop("tells of every sample what an array of all samples does, whatever was forgotten", {
    steps: Schema.Array(Step),
    before: Schema.Literals([0, lead]),
    /** What the wire does to a time. */
    wire: Schema.Literals(["exact", "float"])
  }, ({ before, steps, wire }) => {
    const { bounds, forgotten, offered, samples, timeline, told } = modelOf(steps, before)
    const seconds = (sample: number): number => wire === "exact" ? (before + sample) / rate : Math.fround((before + sample) / rate)
    /** 1 ms is noise, and half an hour has some. */
    const noise = before > 0 && wire === "float" ? 1e-4 : 1e-6
    const near = (actual: number, expected: number, what: string): void => assert.closeTo(actual, expected, noise, what)
    const middles = bounds.flatMap((bound, at) => at === 0 ? [] : [Math.floor(((bounds[at - 1] ?? 0) + bound) / 2)])

    for (const sample of [...bounds, ...middles]) {
      if (sample < forgotten) continue
      const [here, last] = [samples[sample], samples[sample - 1]]
      const end = sample === 0 && before === 0 ? here?.at ?? 0 : last === undefined ? before : last.at + last.width
      // a start at the end of all audio is where this ends
      near(timeline.start(seconds(sample)), (here?.at ?? end) / rate, `start of ${sample} of ${samples.length}`)
      if (sample > forgotten) near(timeline.end(seconds(sample)), end / rate, `end of ${sample} of ${samples.length}`)
      if (wire === "exact") {
        const usage = timeline.usage(seconds(sample))
        near(usage.audioSeconds, offered(sample) / rate, "usage")
        near(usage.injectedSeconds, (before + sample - offered(sample)) / rate, "usage")
      }
      if (sample > told) assert.strictEqual(timeline.sentAt(seconds(sample)), last?.sentAt ?? 0, `sentAt ${sample}`)
      // within a frame, and not at the end of the one before
      if (here !== undefined && sample >= told) assert.strictEqual(timeline.sentAt(seconds(sample + 30)), here.sentAt, `sentAt behind ${sample}`)
    }
    near(timeline.seconds(), (before + samples.length) / rate, "length")
    near(timeline.usage().audioSeconds, offered(samples.length) / rate, "usage of all")
    near(timeline.usage().injectedSeconds, (before + samples.length - offered(samples.length)) / rate, "usage of all")
    assert.isUndefined(timeline.sentAt(seconds(samples.length + 33)), "what was not sent")
    // where both times are said to be the same they are, in all that may be asked for
    const same = samples.slice(forgotten).every(({ at, width }, index) => width === 1 && at === before + forgotten + index)
    if (timeline.isIdentity()) assert.isTrue(same, "identity")
    if (forgotten === 0) assert.strictEqual(timeline.isIdentity(), same, "identity")
  }, { arbitrary: { runs: 250, size: 50, seed: "flux" } })

  it.prop("takes a server at its word that tells of more than was sent: the time beyond it is real", {
    steps: Schema.Array(Step),
    beyond: Schema.Literals([0.01, 1, 3600])
  }, ({ beyond, steps }) => {
    const { samples, timeline } = modelOf(steps, 0)
    const last = samples.at(-1)
    const end = last === undefined ? 0 : last.at + last.width
    near(timeline.end(samples.length / rate + beyond), end / rate + beyond)
    near(timeline.start(samples.length / rate + beyond), end / rate + beyond)
    assert.isUndefined(timeline.sentAt(samples.length / rate + beyond))
    near(timeline.usage(samples.length / rate + beyond).audioSeconds, timeline.usage().audioSeconds)
  }, { arbitrary: { runs: 100, size: 40, seed: "flux" } })

  it("what is less than a millisecond is passed over: a keep-alive's sample between frames begins nothing and ends nothing", () => {
    const timeline = timelines.make(rate)
    timeline.offered(0, 1280, 0)
    timeline.injected(1, 0)
    // 0.5 s is dropped
    timeline.offered(1280 + 8000, 1280, 0)
    for (const noise of [-0.0005, 0, 1 / rate, 0.0005]) {
      near(timeline.end(1280 / rate + noise), Math.min(1280, 1280 + noise * rate) / rate)
      near(timeline.start(1281 / rate + noise), (1280 + 8000 + Math.max(0, noise * rate)) / rate)
    }
  })

  it("does not know before anything was sent, and takes seconds as they are", () => {
    const timeline = timelines.make(rate)
    assert.isTrue(timeline.isIdentity())
    assert.deepStrictEqual(timeline.usage(), { audioSeconds: 0, injectedSeconds: 0 })
    assert.deepStrictEqual(timeline.usage(5), { audioSeconds: 0, injectedSeconds: 0 })
    assert.isUndefined(timeline.sentAt(0))
    timeline.forget(3, 5)
    near(timeline.start(1.5), 1.5)
    near(timeline.end(1.5), 1.5)
    // the first audio is not the start of the conversation
    timeline.injected(rate, 7)
    assert.isFalse(timeline.isIdentity())
    near(timeline.end(1), 0)
    assert.strictEqual(timeline.sentAt(0), 7)
  })

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

  it("remembers half of what is the most when that is reached", () => {
    const timeline = timelines.make(rate)
    for (let i = 0; i < 8193; i++) timeline.offered(i * 3, 1, i)
    assert.isAtMost(timeline.start(0) * rate / 3, 4096)
    const other = timelines.make(rate)
    for (let i = 0; i < 1025; i++) other.offered(i * 100, 100, i)
    assert.strictEqual(other.sentAt(514 * 100 / rate), 513)
    assert.isUndefined(other.sentAt(0))
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
    // some of the 100,000 pieces, and of the sends, and not more
    const first = (timeline.start(0) * rate) / 3 * 2
    assert.isAtLeast(first, 100_000 - 8192)
    assert.isBelow(first, 100_000 - 100)
    const known = Array.from({ length: 100_000 }, (_, sample) => timeline.sentAt(sample / rate)).filter((at) => at !== undefined).length
    assert.isAtMost(known, 1024 + 16)
    assert.isAtLeast(known, 512)
    // of what was forgotten no more is told than there is
    const usage = timeline.usage(10 / rate)
    near(usage.audioSeconds + usage.injectedSeconds, 10 / rate)
    assert.isAtLeast(usage.injectedSeconds, 0)
  })
})
