/** The fiber that watches over a session, and its duties, each for itself: watchdog, keep-alive, stall, the writer's bound. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import * as keepAlive from "../../src/internal/keepAlive.ts"
import type { Placed } from "../../src/internal/outbox.ts"
import * as stalls from "../../src/internal/stall.ts"
import * as timelines from "../../src/internal/timeline.ts"
import * as watches from "../../src/internal/watch.ts"
import * as watchdogs from "../../src/internal/watchdog.ts"
import * as writers from "../../src/internal/writer.ts"
import { fork } from "../support/session.ts"
import { pcm16 } from "../support/sound.ts"
import { watched } from "../support/watched.ts"

describe("watch", () => {
  it.effect("looks after each duty when it is due, in one fiber, and sooner where something happens", () =>
    Effect.gen(function*() {
      const looked: Array<number> = []
      const state = { next: 1000 }
      const { now, part: { dueIn } } = yield* watched((now, dueIn) => ({ dueIn, now }), ({ now }) => () => {
        looked.push(now())
        return state.next
      })
      yield* TestClock.adjust(2500)
      assert.deepStrictEqual(looked, [0, 1000, 2000])
      // later than it is to look anyway
      dueIn(600)
      dueIn(500)
      yield* TestClock.adjust(0)
      assert.strictEqual(looked.length, 3)
      state.next = 100
      dueIn(499)
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(looked.slice(3), [2500, 2600, 2700])
      state.next = Number.POSITIVE_INFINITY
      yield* TestClock.adjust(100_000)
      assert.deepStrictEqual(looked.slice(6), [2800])
      dueIn(0)
      yield* TestClock.adjust(0)
      assert.strictEqual(looked.at(-1), now())
      assert.strictEqual(looked.length, 8)
    }))

  it.effect("sleeps until the first of several duties is due, wherever that stands", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const looked: Array<number> = []
      const first = (): number => {
        looked.push(clock.currentTimeMillisUnsafe())
        return 700
      }
      yield* fork(watches.make(() => clock.currentTimeMillisUnsafe(), [first, () => 300, () => 500]).run)
      yield* TestClock.adjust(900)
      assert.deepStrictEqual(looked, [0, 300, 600, 900])
    }))

  it.effect("does not miss what happens while it looks", () =>
    Effect.gen(function*() {
      const looked: Array<number> = []
      const state = { happens: true }
      yield* watched((now, dueIn) => ({ dueIn, now }), ({ dueIn, now }) => () => {
        looked.push(now())
        if (state.happens) dueIn(10)
        // what has happened changes what is due
        const due = state.happens ? 5000 : 10
        state.happens = false
        return due
      })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(looked, [0, 0, 10])
    }))

  it.effect("fails as a duty does", () =>
    Effect.gen(function*() {
      const { fiber } = yield* watched((now) => now, (now) => () => now() < 300 ? 150 : { reason: "over" })
      yield* TestClock.adjust(299)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(fiber)), { reason: "over" })
    }))
})

describe("watchdog", () => {
  const make = Effect.gen(function*() {
    const state = { patience: 500, cap: 10_000, offeredAt: 0, idle: true }
    const silence: Array<number> = []
    const capped: Array<number> = []
    const { now, part: watchdog } = yield* watched((now, dueIn) => watchdogs.make({
      now,
      dueIn,
      patience: () => state.patience,
      cap: () => state.cap,
      offeredAt: () => state.offeredAt,
      idle: () => state.idle,
      silence: () => void silence.push(now()),
      capped: () => void capped.push(now())
    }), ({ look }) => look)
    const offer = (): void => {
      state.offeredAt = now()
    }
    return { capped, offer, silence, state, watchdog }
  })
  const every80 = (from: number, count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => from + i * 80)

  it.effect("sends nothing without an open turn, and at once in one that opens when its patience is over", () =>
    Effect.gen(function*() {
      const { silence, watchdog } = yield* make
      yield* TestClock.adjust(3000)
      assert.deepStrictEqual(silence, [])
      watchdog.turnOpen(true)
      yield* TestClock.adjust(160)
      assert.deepStrictEqual(silence, every80(3000, 3))
      watchdog.turnOpen(false)
      yield* TestClock.adjust(3000)
      assert.strictEqual(silence.length, 3)
    }))

  it.effect("counts its patience from the last audio, in each gap anew", () =>
    Effect.gen(function*() {
      const { offer, silence, watchdog } = yield* make
      watchdog.turnOpen(true)
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust(400)
        offer()
      }
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(silence, [])
      yield* TestClock.adjust(161)
      assert.deepStrictEqual(silence, every80(2500, 3))
      offer()
      yield* TestClock.adjust(499)
      assert.strictEqual(silence.length, 3)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(silence.at(-1), 2660 + 500)
    }))

  it.effect("does as its patience is now when it is told so", () =>
    Effect.gen(function*() {
      const { silence, state, watchdog } = yield* make
      watchdog.turnOpen(true)
      yield* TestClock.adjust(100)
      state.patience = 0
      watchdog.changed()
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(silence, [100])
      // with nobody waiting it is no matter
      state.patience = 10_000
      watchdog.changed()
      yield* TestClock.adjust(5000)
      assert.deepStrictEqual(silence, [100])
    }))

  it.effect("does not add to what has not been sent", () =>
    Effect.gen(function*() {
      const { silence, state, watchdog } = yield* make
      watchdog.turnOpen(true)
      state.idle = false
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual(silence, [])
      state.idle = true
      yield* TestClock.adjust(80)
      assert.strictEqual(silence.length, 1)
    }))

  it.effect("ends at its cap, once, with no frame beyond it, and begins anew after audio", () =>
    Effect.gen(function*() {
      const { capped, offer, silence, state, watchdog } = yield* make
      // six frames are 480 ms, a seventh would be 560
      state.cap = 559
      watchdog.turnOpen(true)
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(silence, every80(500, 6))
      assert.deepStrictEqual(capped, [500 + 6 * 80])
      // the same gap has had its silence, whatever turn it is in
      watchdog.turnOpen(true)
      yield* TestClock.adjust(1000)
      assert.strictEqual(silence.length, 6)
      assert.strictEqual(capped.length, 2)
      offer()
      watchdog.turnOpen(true)
      yield* TestClock.adjust(500)
      assert.strictEqual(silence.length, 7)
    }))
})

describe("keepAlive", () => {
  it.effect("is sent an interval after whatever was sent last, and never into what is under way", () =>
    Effect.gen(function*() {
      const state = { sentAt: 0, interval: 10_000, idle: true }
      const sent: Array<number> = []
      yield* watched((now) => keepAlive.make({
        now,
        interval: () => state.interval,
        sentAt: () => state.sentAt,
        idle: () => state.idle,
        send: () => {
          sent.push(now())
          state.sentAt = now()
        }
      }), (duty) => duty)
      yield* TestClock.adjust(7000)
      state.sentAt = 7000
      yield* TestClock.adjust(9999)
      assert.deepStrictEqual(sent, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(sent, [17_000])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(sent, [17_000, 27_000])
      state.idle = false
      yield* TestClock.adjust(30_000)
      assert.strictEqual(sent.length, 2)
      state.idle = true
      yield* TestClock.adjust(10_000)
      assert.strictEqual(sent.length, 3)
      state.interval = 30_000
      yield* TestClock.adjust(29_999)
      assert.strictEqual(sent.length, 3)
      yield* TestClock.adjust(1)
      assert.strictEqual(sent.length, 4)
    }))
})

describe("stall", () => {
  const make = Effect.gen(function*() {
    const state = { timeout: 10_000, expecting: true }
    const { fiber, part: stall } = yield* watched((now) => stalls.make({
      now,
      timeout: () => state.timeout,
      expecting: () => state.expecting,
      stalled: () => new Error("stalled")
    }), ({ look }) => look)
    return { stalled: () => fiber.pollUnsafe() !== undefined, stall, state }
  })

  it.effect("has its bound from the first audio after the last message, whenever the fiber last looked", () =>
    Effect.gen(function*() {
      for (const idle of [0, 1, 9999, 10_000, 12_345]) {
        const { stall, stalled } = yield* make
        stall.sent(5)
        yield* TestClock.adjust(3000)
        stall.heard()
        yield* TestClock.adjust(idle)
        stall.sent(1)
        yield* TestClock.adjust(5000)
        stall.sent(1)
        yield* TestClock.adjust(4999)
        assert.isFalse(stalled())
        yield* TestClock.adjust(1)
        assert.isTrue(stalled())
      }
    }))

  it.effect("needs two seconds of audio, but for what floats do to sums", () =>
    Effect.gen(function*() {
      const { stall, stalled } = yield* make
      for (let i = 0; i < 24; i++) stall.sent(0.08)
      yield* TestClock.adjust(60_000)
      assert.isFalse(stalled(), "1.92 s")
      stall.sent(0.0799999)
      yield* TestClock.adjust(999)
      assert.isFalse(stalled())
      yield* TestClock.adjust(1)
      assert.isTrue(stalled())
    }))

  it.effect("forgets what was answered", () =>
    Effect.gen(function*() {
      const { stall, stalled } = yield* make
      for (let i = 0; i < 10; i++) {
        stall.sent(1.9)
        yield* TestClock.adjust(60_000)
        stall.heard()
      }
      assert.isFalse(stalled())
    }))

  it.effect("waits for as long as nothing is expected of Flux, and then looks again within a second", () =>
    Effect.gen(function*() {
      const { stall, stalled, state } = yield* make
      state.expecting = false
      stall.sent(5)
      yield* TestClock.adjust(30_500)
      assert.isFalse(stalled())
      state.expecting = true
      yield* TestClock.adjust(1000)
      assert.isTrue(stalled())
    }))

  it.effect("of less than a second looks as often as that", () =>
    Effect.gen(function*() {
      const { stall, stalled, state } = yield* make
      state.timeout = 200
      state.expecting = false
      // the bound that it slept on before
      yield* TestClock.adjust(10_000)
      stall.sent(5)
      yield* TestClock.adjust(400)
      state.expecting = true
      yield* TestClock.adjust(200)
      assert.isTrue(stalled())
    }))
})

describe("writer", () => {
  const make = Effect.gen(function*() {
    const timeline = timelines.make(pcm16.sampleRate)
    const heard: Array<number> = []
    const state = { timeout: 5000 }
    const { fiber, part: writer } = yield* watched((now) => writers.make({
      format: pcm16,
      timeline,
      now,
      timeout: () => state.timeout,
      timedOut: (millis) => FluxError.make(new FluxError.SendTimeout({ seconds: millis / 1000 }), "streaming"),
      onAudio: (seconds) => void heard.push(seconds)
    }), ({ deadline }) => deadline)
    return { deadline: fiber, heard, state, timeline, writer }
  })
  const audio = (bytes: number, position?: number): Placed => ({
    dataType: "BINARY",
    bytes: new Uint8Array(bytes),
    ...(position === undefined ? {} : { position })
  })
  const takes = (millis: number) => ({ send: () => Effect.sleep(millis) })

  it.effect("counts audio as sent when it is handed over, offered and injected apart, and control messages not at all", () =>
    Effect.gen(function*() {
      const { heard, timeline, writer } = yield* make
      yield* TestClock.adjust(1000)
      assert.strictEqual(writer.sentAt(), 0)
      let seconds = 0
      yield* writer.write({ send: () => Effect.sync(() => void (seconds = timeline.seconds())) }, audio(2560, 0))
      // Flux may tell of it before the sending is over
      assert.strictEqual(seconds, 0.08)
      yield* writer.write(takes(0), audio(1280))
      yield* writer.write(takes(0), { dataType: "UTF8", bytes: new Uint8Array(1000) })
      yield* writer.write(takes(0), audio(320, 8000))
      assert.deepStrictEqual(heard, [0.08, 0.04, 0.01])
      assert.deepStrictEqual(timeline.usage(), { audioSeconds: 0.09, injectedSeconds: 0.04 })
      assert.strictEqual(writer.sentAt(), 1000)
      assert.strictEqual(timeline.sentAt(0.08), 1000)
      assert.closeTo(timeline.end(0.13), 0.51, 1e-9)
    }))

  it.effect("is busy while a frame is under way, also one that fails or is interrupted", () =>
    Effect.gen(function*() {
      const { writer } = yield* make
      const fiber = yield* fork(writer.write(takes(100), audio(2)))
      assert.isTrue(writer.busy())
      yield* TestClock.adjust(100)
      yield* Fiber.join(fiber)
      assert.isFalse(writer.busy())
      const lost = FluxError.make(new FluxError.ConnectionLost({ detail: "gone" }), "streaming")
      yield* Effect.flip(writer.write({ send: () => Effect.fail(lost) }, audio(2)))
      assert.isFalse(writer.busy())
      const stuck = yield* fork(writer.write({ send: () => Effect.never }, audio(2)))
      assert.isTrue(writer.busy())
      yield* Fiber.interrupt(stuck)
      assert.isFalse(writer.busy())
    }))

  it.effect("gives each frame its bound, to the millisecond, however many there were before", () =>
    Effect.gen(function*() {
      const { deadline, state, writer } = yield* make
      yield* TestClock.adjust(3210)
      for (let i = 0; i < 5; i++) {
        const fiber = yield* fork(writer.write(takes(4999), audio(2)))
        yield* TestClock.adjust(4999)
        yield* Fiber.join(fiber)
      }
      yield* fork(writer.write({ send: () => Effect.never }, audio(2)))
      yield* TestClock.adjust(4999)
      assert.isUndefined(deadline.pollUnsafe())
      state.timeout = 7000
      yield* TestClock.adjust(2000)
      assert.isUndefined(deadline.pollUnsafe())
      yield* TestClock.adjust(1)
      const exit = yield* Fiber.await(deadline)
      const error = Exit.findErrorOption(exit)
      assert.deepInclude(error._tag === "Some" ? error.value.reason : {}, { _tag: "SendTimeout", seconds: 7 })
    }))
})
