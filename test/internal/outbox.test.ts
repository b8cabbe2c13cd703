import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
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

  // --- policies, mute and holds

  /** Bytes that say where they are from. */
  const stamped = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => byteAt(from + at))
  const byteAt = (offset: number): number => (offset * 31 + (offset >> 8) * 17) & 0xff
  /** All that can be taken now, with the byte of the conversation at which each begins. */
  const takeAll = Effect.fnUntraced(function*(outbox: outboxes.Outbox) {
    const taken: Array<{ readonly from: number; readonly bytes: Uint8Array }> = []
    while (outbox.bytesToTake() > 0) {
      const next = yield* outbox.take
      if (next?.position !== undefined) taken.push({ from: next.position * 2, bytes: next.bytes })
    }
    return taken
  })

  const Act = Schema.Union([
    Schema.Struct({ act: Schema.tag("send"), bytes: Schema.Literals([1, 2, 3, 1000, 2559, 2560, 2561, 7000]) }),
    Schema.Struct({ act: Schema.tag("take"), frames: Schema.Literals([1, 2, 3]) }),
    Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("hold"), on: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("inject"), first: Schema.Boolean }),
    Schema.Struct({ act: Schema.tag("linger") })
  ])

  for (const policy of ["drop-oldest", "fail"] as const) {
    it.effect.prop(`${policy}: what is taken, dropped and muted is what was offered, byte for byte and in its place`, {
      acts: Schema.Array(Act),
      limit: Schema.Literals([2560, 2561, 5121, 12_800])
    }, ({ acts, limit }) =>
      Effect.gen(function*() {
        const outbox = yield* make(limit, policy)
        const muted: Array<readonly [number, number]> = []
        const taken: Array<{ readonly from: number; readonly bytes: Uint8Array }> = []
        const dropped: Array<outboxes.Range> = []
        let [offset, injected, isMuted] = [0, 0, false]
        const takeSome = Effect.fnUntraced(function*(frames: number) {
          for (let i = 0; i < frames && outbox.bytesToTake() > 0; i++) {
            const taking = yield* fork(outbox.take)
            yield* TestClock.adjust(80)
            const next = yield* Fiber.join(taking)
            if (next?.position === undefined) injected -= next?.bytes.length ?? 0
            else taken.push({ from: next.position * 2, bytes: next.bytes })
          }
        })
        for (const step of acts) {
          switch (step.act) {
            case "send": {
              const pcm = stamped(offset, step.bytes)
              const inside = outbox.offerUnsafe(pcm)
              pcm.fill(0)
              assert.isTrue(inside || (policy === "fail" && !isMuted), "a refusal")
              if (!inside) break
              if (isMuted) muted.push([offset, offset + step.bytes])
              offset += step.bytes
              break
            }
            case "take":
              yield* takeSome(step.frames)
              break
            case "mute":
              isMuted = step.on
              outbox.setMuted(step.on)
              break
            case "hold":
              if (step.on) outbox.hold()
              else outbox.letGo()
              break
            case "inject": {
              const silence = { dataType: "BINARY", bytes: new Uint8Array(frame) } as const
              if (injected > 0) break
              injected += frame
              assert.isTrue(step.first ? outbox.injectFirst(silence) : outbox.inject(silence))
              break
            }
            case "linger":
              yield* TestClock.adjust(80)
          }
          dropped.push(...outbox.takeDropped())
          assert.isAtMost(outbox.bytes(), limit + frame, "the limit, and a frame that nobody offered")
          assert.strictEqual(outbox.position(), Math.floor(offset / 2))
        }
        outbox.letGo()
        outbox.finish()
        for (let next = yield* outbox.take; next !== undefined; next = yield* outbox.take) {
          if (next.position !== undefined) taken.push({ from: next.position * 2, bytes: next.bytes })
        }
        dropped.push(...outbox.takeDropped())

        /** 1: taken, 2: dropped, 3: muted. */
        const fate = new Uint8Array(offset)
        for (const [from, to] of muted) fate.fill(3, from, to)
        for (const { from, to } of dropped) {
          assert.isTrue(fate.subarray(from * 2, to * 2).every((why) => why === 0), "dropped twice, or muted")
          fate.fill(2, from * 2, to * 2)
        }
        let last = -1
        for (const { bytes, from } of taken) {
          assert.isAbove(from, last, "in order")
          last = from
          assert.isTrue(fate.subarray(from, from + bytes.length).every((why) => why === 0), "taken twice, or dropped, or muted")
          fate.fill(1, from, from + bytes.length)
          assert.deepStrictEqual(bytes, stamped(from, bytes.length))
        }
        // half a sample is nothing: at the end, or where mute cut the other half off
        fate.forEach((why, at) => {
          if (why !== 0) return
          const other = at % 2 === 0 ? at + 1 : at - 1
          if (other < offset && fate[other] !== 3) assert.fail(`byte ${at} of ${offset} is gone`)
        })
      }), { arbitrary: { runs: 300, seed: "flux" } })
  }

  it.effect("drop-oldest spares what is precious, and takes it all the same when there is nothing else", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const outbox = outboxes.make({
        format: pcm16,
        limit: () => 4 * frame,
        policy: () => "drop-oldest",
        full: () => full,
        clock,
        precious: ({ from }) => from < 2 * 1280
      })
      for (let i = 0; i < 6; i++) yield* outbox.send(stamped(i * frame, frame))
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 2 * 1280, to: 4 * 1280 }])
      for (let i = 6; i < 8; i++) yield* outbox.send(stamped(i * frame, frame))
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [0, 1, 6, 7])
    }))

  it.effect("drop-oldest takes the latest of a chunk that is larger than all room", () =>
    Effect.gen(function*() {
      const outbox = yield* make(2 * frame, "drop-oldest")
      yield* outbox.send(stamped(0, 5 * frame))
      assert.deepStrictEqual((yield* takeAll(outbox)).map(({ from }) => from / frame), [3, 4])
      assert.deepStrictEqual(outbox.takeDropped(), [{ from: 0, to: 3 * 1280 }])
    }))

  it.effect("what is held waits, also when nothing else is there, and what is injected passes it", () =>
    Effect.gen(function*() {
      const outbox = yield* make(10 * frame)
      yield* outbox.send(stamped(0, 1000))
      outbox.hold()
      yield* outbox.send(stamped(1000, 2 * frame))
      assert.strictEqual(outbox.bytesToTake(), 1000)
      assert.strictEqual(outbox.bytes(), 1000 + 2 * frame)
      assert.strictEqual((yield* outbox.take)?.bytes.length, 1000)
      const taking = yield* fork(outbox.take)
      yield* turns(50)
      assert.isUndefined(taking.pollUnsafe())
      outbox.inject({ dataType: "UTF8", bytes: Uint8Array.of(1) })
      assert.strictEqual((yield* Fiber.join(taking))?.dataType, "UTF8")
      const next = yield* fork(outbox.take)
      outbox.finish()
      yield* turns(50)
      assert.isUndefined(next.pollUnsafe(), "the end waits for what is held")
      outbox.letGo()
      assert.strictEqual((yield* Fiber.join(next))?.position, 500)
      assert.strictEqual((yield* takeAll(outbox)).length, 1)
      assert.isUndefined(yield* outbox.take)
    }))

  it.effect("a sender at the door lets go of its audio when it is muted, and those behind it keep their order", () =>
    Effect.gen(function*() {
      const outbox = yield* make(frame)
      yield* outbox.send(stamped(0, frame))
      const waiting = yield* fork(outbox.send(stamped(frame, 2 * frame)))
      outbox.setMuted(true)
      const behind = yield* fork(outbox.send(stamped(3 * frame, frame)))
      yield* outbox.take
      yield* turns(50)
      yield* Fiber.join(waiting)
      yield* Fiber.join(behind)
      assert.strictEqual(outbox.position(), 4 * 1280)
      assert.strictEqual(outbox.bytes(), 0)
      outbox.setMuted(false)
      yield* outbox.send(stamped(4 * frame, frame))
      assert.strictEqual((yield* outbox.take)?.position, 4 * 1280)
    }))
  neverMissed("that it is muted", (outbox) => Effect.andThen(Effect.sync(() => outbox.setMuted(true)), outbox.take))
})
