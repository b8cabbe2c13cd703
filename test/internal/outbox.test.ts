import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as FluxError from "../../src/FluxError.ts"
import * as outboxes from "../../src/internal/outbox.ts"
import { pcm16 } from "../support/sound.ts"

const frame = 2560
const full = FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: 0 }), "streaming")
const make = (limit: number, policy: outboxes.Policy = "suspend") =>
  Effect.map(Clock.Clock, (clock) =>
    outboxes.make({ format: pcm16, limit: () => limit, policy: () => policy, full: () => full, clock }))
const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("outbox", () => {
  /** A sender that finds the outbox full yields before it waits; what happens in between must not be missed. */
  const neverMissed = (what: string, happens: (outbox: outboxes.Outbox) => Effect.Effect<unknown>) =>
    it.effect(`a waiting sender never misses ${what}`, () =>
      Effect.gen(function*() {
        for (const opsBeforeYield of [5, 6, 7, 8, 9, 11, 13]) {
          for (let delay = 0; delay < 25; delay++) {
            const outbox = yield* make(frame)
            yield* outbox.send(new Uint8Array(frame))
            const sender = yield* outbox.send(new Uint8Array(frame)).pipe(
              Effect.exit,
              Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield),
              Effect.forkChild
            )
            yield* turns(delay)
            yield* happens(outbox)
            yield* turns(200)
            const done = sender.pollUnsafe() !== undefined
            if (!done) yield* Fiber.interrupt(sender)
            assert.isTrue(done, `after ${delay} turns, yielding every ${opsBeforeYield} steps`)
          }
        }
      }))
  neverMissed("that there is room", (outbox) => outbox.take)
  neverMissed("a failure", (outbox) =>
    Effect.sync(() => outbox.fail(FluxError.make(new FluxError.Stalled({ seconds: 1 }), "streaming"))))

  it.effect("half a sample waits for its other half, and counts for nothing meanwhile", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* outbox.send(Uint8Array.of(0x34))
      assert.strictEqual(outbox.bytes(), 0)
      const taking = yield* fork(outbox.take)
      yield* turns(50)
      assert.isUndefined(taking.pollUnsafe())
      yield* outbox.send(Uint8Array.of(0x12))
      outbox.finish()
      assert.deepStrictEqual((yield* Fiber.join(taking))?.bytes, Uint8Array.of(0x34, 0x12))
      assert.isUndefined(yield* outbox.take)
    }))

  it.effect("a sender that is interrupted at the door leaves whole samples behind", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame + 1)
      const samples = (bytes: number) => Uint8Array.from({ length: bytes }, (_, i) => (i % 2 === 0 ? 0x34 : 0x12))
      yield* Fiber.interrupt(yield* fork(outbox.send(samples(2 * frame))))
      yield* outbox.take
      yield* outbox.send(samples(frame))
      assert.deepStrictEqual((yield* outbox.take)?.bytes, samples(frame))
    }))

  it.effect("senders that wait come in one after the other, whole", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      const senders = yield* Effect.forEach([1, 2, 3], (mark) => fork(outbox.send(new Uint8Array(2 * frame).fill(mark))))
      const marks: Array<number | undefined> = []
      for (let i = 0; i < 6; i++) marks.push((yield* outbox.take)?.bytes[0])
      yield* Effect.forEach(senders, Fiber.join)
      assert.deepStrictEqual(marks, [1, 1, 2, 2, 3, 3])
    }))

  it.effect("audio that waits at the door when the end is said still goes out", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* fork(outbox.send(new Uint8Array(3 * frame)))
      outbox.finish()
      let frames = 0
      while ((yield* outbox.take) !== undefined) frames += 1
      assert.strictEqual(frames, 3)
      assert.isFalse(outbox.offerUnsafe(new Uint8Array(2)))
      assert.isFalse(outbox.inject({ dataType: "UTF8", bytes: new Uint8Array(2) }))
    }))
})
