import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../src/Audio.ts"

const linear16 = { encoding: "linear16", sampleRate: 16_000 } as const
const formats: ReadonlyArray<Audio.Format> = Audio.sampleRates.flatMap((sampleRate) =>
  (["linear16", "mulaw", "alaw"] as const).map((encoding) => ({ encoding, sampleRate }))
)

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Chunks = Schema.Array(between(0, 6000))

/** Chunks of these sizes, whose bytes count up. */
const counted = (sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  let next = 0
  return sizes.map((size) => Uint8Array.from({ length: size }, () => next++ % 251))
}
const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(chunks))

/** Of linear16 at 16 kHz. */
const millis = (bytes: number): number => bytes / 32

describe("Audio", () => {
  it("knows the length of a frame: 80 ms, 2,560 bytes at 16 kHz linear16 (protocol 1.2)", () => {
    assert.strictEqual(Audio.bytesOf(linear16, Audio.frameMillis), 2560)
    assert.strictEqual(Audio.bytesOf({ encoding: "mulaw", sampleRate: 8000 }, Audio.frameMillis), 640)
    assert.strictEqual(Audio.bytesOf({ encoding: "linear16", sampleRate: 44_100 }, Audio.frameMillis), 3528 * 2)
  })

  it("knows seconds and bytes of each other", () => {
    for (const format of formats) {
      const bytes = format.sampleRate * (format.encoding === "linear16" ? 2 : 1)
      assert.strictEqual(Audio.bytesPerSecond(format), bytes)
      assert.strictEqual(Audio.secondsOf(format, bytes * 3), 3)
      assert.strictEqual(Audio.millisOf(format, bytes / 4), 250)
      assert.strictEqual(Audio.bytesOf(format, 0.001), format.encoding === "linear16" ? 2 : 1)
    }
  })

  it("knows silence", () => {
    for (const [encoding, byte, size] of [["linear16", 0, 320], ["mulaw", 0xff, 160], ["alaw", 0xd5, 160]] as const) {
      const silence = Audio.silence({ encoding, sampleRate: 16_000 }, 10)
      assert.deepStrictEqual(silence, new Uint8Array(size).fill(byte))
    }
  })

  describe("frames", () => {
    it.effect.prop(
      "of chunks of any size are 80 ms each, the last one shorter, and together they are the input",
      { sizes: Chunks, which: between(0, formats.length - 1) },
      ({ sizes, which }) =>
        Effect.gen(function*() {
          const format = formats[which] ?? linear16
          const input = join(counted(sizes))
          const frames = yield* Stream.fromIterable(counted(sizes)).pipe(Audio.frames(format), Stream.runCollect)
          const whole = input.length - (format.encoding === "linear16" ? input.length % 2 : 0)
          assert.deepStrictEqual(join(frames), input.subarray(0, whole))
          const size = Audio.bytesOf(format, 80)
          assert.isTrue(frames.slice(0, -1).every((frame) => frame.length === size))
          const last = frames.at(-1)
          assert.isTrue(last === undefined ? whole === 0 : last.length > 0 && last.length <= size)
        }),
      { arbitrary: { runs: 100, seed: "audio" } }
    )

    it.effect("start anew each time the stream is run", () =>
      Effect.gen(function*() {
        const frames = Audio.frames(Stream.make(new Uint8Array(3001)), linear16)
        const first = yield* Stream.runCollect(frames)
        assert.deepStrictEqual(first.map((frame) => frame.length), [2560, 440])
        assert.deepStrictEqual(yield* Stream.runCollect(frames), first)
      }))
  })

  describe("framer", () => {
    it.prop(
      "gives out what it has, keeps count of the rest, and loses nothing over a flush in the middle",
      { sizes: Chunks, flushAt: between(0, 5) },
      ({ flushAt, sizes }) => {
        const chunks = counted(sizes)
        const framer = Audio.makeFramer(linear16)
        const out: Array<Uint8Array> = []
        let given = 0
        let taken = 0
        chunks.forEach((chunk, index) => {
          given += chunk.length
          const take = (frame: Uint8Array): void => {
            taken += frame.length
            out.push(frame)
          }
          framer.push(chunk, take)
          if (index === flushAt) framer.flush(take)
          assert.strictEqual(framer.pending(), given - taken)
          if (index === flushAt) assert.isAtMost(framer.pending(), 1)
        })
        framer.flush((frame) => void out.push(frame))
        const input = join(chunks)
        assert.deepStrictEqual(join(out), input.subarray(0, input.length - (input.length % 2)))
        framer.flush(() => assert.fail("nothing is left"))
      },
      { arbitrary: { runs: 100, seed: "audio" } }
    )

    it("keeps nothing of the caller's chunk", () => {
      const framer = Audio.makeFramer(linear16)
      const chunk = new Uint8Array(2560).fill(1)
      const frames: Array<Uint8Array> = []
      const take = (frame: Uint8Array): void => void frames.push(frame)
      framer.push(chunk, take)
      framer.push(chunk.subarray(0, 4), take)
      chunk.fill(2)
      framer.flush(take)
      assert.deepStrictEqual(frames, [new Uint8Array(2560).fill(1), new Uint8Array(4).fill(1)])
    })
  })

  describe("paced", () => {
    interface Seen {
      readonly at: number
      readonly bytes: number
    }
    /** Runs a paced stream in the background; gives what came out so far, and when. */
    const watch = Effect.fnUntraced(function*(audio: Stream.Stream<Uint8Array>, speed?: number) {
      const seen: Array<Seen> = []
      const fiber = yield* Audio.paced(audio, { ...linear16, speed }).pipe(
        Stream.runForEach((chunk) =>
          Effect.map(Clock.currentTimeMillis, (at) => void seen.push({ at, bytes: chunk.length }))
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      return { fiber, seen }
    })
    it.effect("lets a chunk go when the audio before it has been spoken", () =>
      Effect.gen(function*() {
        const { fiber, seen } = yield* watch(Stream.fromIterable(counted([2560, 1280, 2560, 2560])))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(seen.map(({ at }) => at), [0, 80, 120, 200])
      }))

    it.effect("at twice real time takes half as long", () =>
      Effect.gen(function*() {
        const { seen } = yield* watch(Stream.fromIterable(counted([2560, 1280, 2560, 2560])), 2)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(seen.map(({ at }) => at), [0, 40, 60, 100])
      }))

    it.effect.prop(
      "never runs ahead of real time, nor lags behind it, whatever the chunks",
      { sizes: Schema.Array(between(1, 400)), speed: Schema.Literals([1, 2]) },
      ({ sizes, speed }) =>
        Effect.gen(function*() {
          const { fiber, seen } = yield* watch(Stream.fromIterable(counted(sizes.map((size) => size * 32))), speed)
          const start = yield* Clock.currentTimeMillis
          yield* TestClock.adjust(sizes.reduce((sum, size) => sum + size, 0))
          yield* Fiber.join(fiber)
          let before = 0
          for (const { at, bytes } of seen) {
            assert.isAtLeast(at - start, before / speed)
            assert.isBelow(at - start, before / speed + 1)
            before += millis(bytes)
          }
          assert.strictEqual(before, sizes.reduce((sum, size) => sum + size, 0))
        }),
      { arbitrary: { runs: 50, seed: "audio" } }
    )

    it.effect("catches up after a stall of the source at twice real time, without a burst", () =>
      Effect.gen(function*() {
        const source = yield* Queue.unbounded<Uint8Array>()
        const { seen } = yield* watch(Stream.fromQueue(source))
        const frame = new Uint8Array(2560)
        yield* Queue.offerAll(source, [frame, frame])
        yield* TestClock.adjust("1 second")
        yield* Queue.offerAll(source, [frame, frame, frame])
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(seen.map(({ at }) => at), [0, 80, 1000, 1040, 1080])
      }))

    it.effect("keeps the pace of a source that runs at real time", () =>
      Effect.gen(function*() {
        const live = Stream.fromIterable(counted([2560, 2560, 2560])).pipe(
          Stream.mapEffect((chunk) => Effect.as(Effect.sleep(80), chunk))
        )
        const { seen } = yield* watch(live)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(seen.map(({ at }) => at), [80, 160, 240])
      }))
  })
})
