/** Frames that go at once, in the place of whoever waits for one. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as FluxError from "../../src/FluxError.ts"
import * as outboxes from "../../src/internal/outbox.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"
import { pcm16 } from "../support/sound.ts"

const frame = 2560
const full = FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: 0 }), "streaming")
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const make = (limit = 1_000_000) =>
  Effect.map(Clock.Clock, (clock) => {
    const buffer = replayBuffers.make({ format: pcm16, clock, limit: () => limit, policy: () => "suspend", full: () => full })
    const sent: Array<number | string> = []
    let clear = true
    const outbox = outboxes.make(buffer, undefined, {
      isClear: () => clear,
      send: ({ bytes, dataType, position }) => {
        assert.isTrue(clear, "sent although the way is not clear")
        sent.push(dataType === "UTF8" ? new TextDecoder().decode(bytes) : (position ?? -1) * 2 + bytes.length)
      }
    })
    outbox.feed(0)
    return { buffer, outbox, sent, block: () => void (clear = false) }
  })
/** Offers the bytes of one frame, or of part of one. */
const offer = (buffer: replayBuffers.ReplayBuffer, bytes = frame): void => assert.isTrue(buffer.offerUnsafe(new Uint8Array(bytes)))

describe("express", () => {
  it.effect("takes frames while somebody waits for one, and only then", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make()
      offer(buffer)
      assert.deepStrictEqual(sent, [])
      assert.strictEqual((yield* outbox.take)?.position, 0)
      const taking = yield* fork(outbox.take)
      offer(buffer)
      offer(buffer)
      assert.deepStrictEqual(sent, [2 * frame, 3 * frame])
      assert.isUndefined(taking.pollUnsafe())
      assert.strictEqual(outbox.bytesToTake(), 0)
    }))

  it.effect("leaves a frame to who waits where the way is not clear", () =>
    Effect.gen(function*() {
      const { block, buffer, outbox, sent } = yield* make()
      const taking = yield* fork(outbox.take)
      block()
      offer(buffer)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(sent, [])
      assert.isDefined(taking.pollUnsafe())
    }))

  it.effect("keeps the order where a sender finds room within it", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make(2 * frame)
      outbox.hold(0)
      yield* fork(outbox.take)
      yield* fork(buffer.send(new Uint8Array(20 * frame)))
      yield* TestClock.adjust(0)
      outbox.letGo()
      yield* TestClock.adjust(0)
      assert.lengthOf(sent, 20)
      assert.deepStrictEqual(sent, sent.toSorted((a, b) => Number(a) - Number(b)))
    }))

  const piece = 800
  for (const pieces of [0, 1, 2, 3, 7, 8, 49, 50, 51]) {
    it.effect(`lets a part of a frame go when its own time is over, also after ${pieces} pieces of 25 ms`, () =>
      Effect.gen(function*() {
        const { buffer, outbox, sent } = yield* make()
        const taking = yield* fork(outbox.take)
        for (let n = 0; n < pieces; n++) {
          offer(buffer, piece)
          yield* TestClock.adjust(25)
        }
        const whole = Math.floor(pieces * piece / frame)
        assert.lengthOf(sent, whole)
        offer(buffer, 2)
        // the piece with which the part began
        const since = 25 * Math.floor(whole * frame / piece)
        yield* TestClock.adjust(since + 80 - 25 * pieces - 1)
        assert.isUndefined(taking.pollUnsafe())
        yield* TestClock.adjust(1)
        const taken = yield* Fiber.join(taking)
        assert.strictEqual(taken?.bytes.length, pieces * piece % frame + 2)
        assert.strictEqual(taken?.position, whole * frame / 2)
      }))
  }

  it.effect("does not cut a part that came under a hold, although one before it was waited for", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make()
      const taking = yield* fork(outbox.take)
      offer(buffer, 2)
      yield* TestClock.adjust(40)
      offer(buffer, frame - 2)
      assert.deepStrictEqual(sent, [frame])
      outbox.hold(frame / 2)
      offer(buffer, 4)
      yield* TestClock.adjust(10_000)
      assert.isUndefined(taking.pollUnsafe())
      assert.strictEqual(buffer.partial(), 4)
      outbox.letGo()
      yield* TestClock.adjust(79)
      assert.isUndefined(taking.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(taking))?.bytes.length, 4)
    }))

  it.effect("keeps messages among audio where they belong", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make()
      yield* fork(outbox.take)
      offer(buffer)
      outbox.inject({ dataType: "UTF8", bytes: new TextEncoder().encode("now") })
      offer(buffer)
      assert.deepStrictEqual(sent, [frame, "now", 2 * frame])
    }))

  it.effect("sends nothing that is held", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make()
      yield* fork(outbox.take)
      offer(buffer)
      outbox.hold(buffer.position())
      offer(buffer)
      assert.deepStrictEqual(sent, [frame])
      outbox.letGo()
      assert.deepStrictEqual(sent, [frame, 2 * frame])
    }))

  it.effect("lets go of a part of a frame 80 ms after it began, whatever went before", () =>
    Effect.gen(function*() {
      const { buffer, outbox, sent } = yield* make()
      const taking = yield* fork(outbox.take)
      // a frame and a quarter: the quarter begins when the frame is whole
      for (let at = 0; at < 5; at++) {
        offer(buffer, frame / 4)
        if (at < 4) yield* TestClock.adjust("20 millis")
      }
      assert.deepStrictEqual(sent, [frame])
      yield* TestClock.adjust("79 millis")
      assert.isUndefined(taking.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* Fiber.join(taking))?.position, frame / 2)
      assert.deepStrictEqual(sent, [frame])
    }))
})
