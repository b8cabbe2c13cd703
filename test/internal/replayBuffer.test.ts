/** The audio of a conversation, read from more than one place; what senders see of it is in the tests of the outbox. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as FluxError from "../../src/FluxError.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"
import { pcm16 } from "../support/sound.ts"

/** Samples, and bytes, of a frame of 80 ms. */
const frame = 1280
const frameBytes = 2 * frame
const full = FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: 0 }), "streaming")
const byteAt = (offset: number): number => (offset * 31 + (offset >> 8) * 17) & 0xff
/** Audio that tells its place in the conversation. */
const stamped = (sample: number, samples: number): Uint8Array => Uint8Array.from({ length: samples * 2 }, (_, at) => byteAt(sample * 2 + at))

interface Limits {
  readonly limit?: number
  readonly keepLimit?: number
  readonly policy?: replayBuffers.Policy
  readonly precious?: (range: replayBuffers.Range) => boolean
}
const make = ({ keepLimit = 0, limit = 1_000_000, policy = "suspend", precious }: Limits = {}) =>
  Effect.map(Clock.Clock, (clock) => {
    const buffer = replayBuffers.make({
      format: pcm16,
      clock,
      limit: () => limit,
      policy: () => policy,
      full: () => full,
      keepLimit: () => keepLimit,
      precious
    })
    return {
      ...buffer,
      /** So many samples more. */
      offer: (samples: number) => assert.isTrue(buffer.offerUnsafe(stamped(buffer.position(), samples)))
    }
  })
/** The next frame of a reader, as from and to in samples; that it is the audio of that place is checked. */
const next = (reader: replayBuffers.Reader): readonly [number, number] | undefined => {
  const taken: Array<replayBuffers.AudioFrame> = []
  const [peeked, ahead] = [reader.peek(), reader.bytes()]
  const got = reader.next((one) => taken.push(one))
  assert.deepStrictEqual(got, peeked)
  assert.deepStrictEqual(taken, got === undefined ? [] : [got])
  if (got === undefined) return undefined
  assert.strictEqual(reader.bytes(), ahead - got.bytes.length)
  const samples = got.bytes.length / 2
  assert.deepStrictEqual(got.bytes, stamped(got.position, samples))
  return [got.position, got.position + samples]
}
/** All that a reader comes to. */
const rest = (reader: replayBuffers.Reader): ReadonlyArray<readonly [number, number]> => {
  const all: Array<readonly [number, number]> = []
  for (let one = next(reader); one !== undefined; one = next(reader)) all.push(one)
  return all
}
const noop = (): void => {}

describe("what is kept", () => {
  it.effect("is nothing that all have read, until something is to be", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      const reader = buffer.reader(noop)
      buffer.offer(3 * frame)
      assert.strictEqual(buffer.goneTo(), 0)
      next(reader)
      assert.strictEqual(buffer.goneTo(), frame)
      rest(reader)
      assert.strictEqual(buffer.goneTo(), buffer.position())
      buffer.keep(0)
      buffer.offer(3 * frame)
      rest(reader)
      assert.strictEqual(buffer.goneTo(), 3 * frame)
    }))

  it.effect("is whole frames from the sample on that is to be kept, and goes at once when that moves on", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const reader = buffer.reader(noop)
      buffer.offer(6 * frame)
      rest(reader)
      for (const [from, kept] of [[frame - 1, 0], [frame, frame], [3 * frame + 5, 3 * frame], [2 * frame, 3 * frame]] as const) {
        buffer.keep(from)
        assert.strictEqual(buffer.goneTo(), kept, `from ${from}`)
      }
    }))

  it.effect("is bounded to the byte, whatever waits to be read", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 3 * frameBytes - 1 })
      buffer.keep(0)
      const reader = buffer.reader(noop)
      buffer.offer(10 * frame)
      assert.strictEqual(buffer.goneTo(), 0)
      for (let read = 1; read <= 10; read++) {
        next(reader)
        assert.strictEqual(buffer.goneTo(), Math.max(0, read - 2) * frame)
      }
    }))

  it.effect("is also what a reader has not come to; when that one closes it goes", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 2 * frameBytes })
      const [slow, fast] = [buffer.reader(noop), buffer.reader(noop)]
      buffer.offer(5 * frame)
      next(slow)
      rest(fast)
      assert.strictEqual(buffer.goneTo(), frame)
      slow.close()
      assert.strictEqual(buffer.goneTo(), buffer.position())
      // nobody takes any more
      assert.isUndefined(next(slow))
      assert.isUndefined(slow.peek())
    }))

  it.effect("is counted as it comes and goes: many times the bound go through", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 4 * frameBytes })
      buffer.keep(0)
      const reader = buffer.reader(noop)
      for (let at = 1; at <= 300; at++) {
        buffer.offer(frame)
        next(reader)
        if (at % 50 === 0) buffer.keep(buffer.position())
        else if (at % 50 === 1) buffer.keep(0)
        const since = at % 50
        assert.strictEqual(buffer.goneTo(), since === 0 ? at * frame : Math.max(at - since, at - 4) * frame)
      }
    }))
})

describe("a reader", () => {
  it.effect("from a sample within a frame begins with that sample, and counts only what it reads", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const first = buffer.reader(noop)
      buffer.offer(3 * frame)
      rest(first)
      buffer.offer(frame)
      for (const [from, begins] of [[0, 0], [1, 1], [frame - 1, frame - 1], [frame, frame], [2 * frame + 7, 2 * frame + 7], [4 * frame, undefined]] as const) {
        const reader = buffer.reader(noop, from)
        assert.strictEqual(reader.bytes(), 2 * (4 * frame - from))
        assert.strictEqual(reader.bytesUntil(buffer.placeOf(2 * frame)), Math.max(0, 2 * (2 * frame - from)))
        assert.strictEqual(reader.peek()?.position, begins)
        assert.deepStrictEqual(rest(reader).at(0)?.[0], begins)
        reader.close()
      }
    }))

  it.effect("makes no room for senders with audio that another one has read, and room for what nobody has", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ limit: 2 * frameBytes, keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const first = buffer.reader(noop)
      buffer.offer(2 * frame)
      assert.deepStrictEqual(rest(first).length, 2)
      buffer.offer(2 * frame)
      const second = buffer.reader(noop, 0)
      for (const waiting of [2, 2, 1, 0]) {
        next(second)
        assert.strictEqual(buffer.bytes(), waiting * frameBytes)
        assert.strictEqual(buffer.offerUnsafe(new Uint8Array(2 * frameBytes - waiting * frameBytes + 2)), false)
      }
      // what was read by one is still there for the other
      assert.deepStrictEqual(rest(first), [[2 * frame, 3 * frame], [3 * frame, 4 * frame]])
      assert.strictEqual(buffer.bytes(), 0)
    }))

  it.effect("passes over what was dropped, and over what was muted", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ limit: 2 * frameBytes, policy: "drop-oldest", keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const first = buffer.reader(noop)
      buffer.offer(frame)
      rest(first)
      // two of these are dropped
      buffer.offer(4 * frame)
      assert.deepStrictEqual(buffer.takeDropped(), [{ from: frame, to: 3 * frame }])
      assert.deepStrictEqual(buffer.takeDropped(), [])
      buffer.setMuted(true)
      buffer.offerUnsafe(new Uint8Array(7))
      buffer.setMuted(false)
      assert.deepStrictEqual(rest(buffer.reader(noop, 0)), [[0, frame], [3 * frame, 4 * frame], [4 * frame, 5 * frame]])
      assert.deepStrictEqual(first.bytes(), 2 * frameBytes)
      assert.deepStrictEqual(rest(first), [[3 * frame, 4 * frame], [4 * frame, 5 * frame]])
    }))

  it.effect("is told of what there may be to read, until it closes", () =>
    Effect.gen(function*() {
      const buffer = yield* make()
      let calls = 0
      const reader = buffer.reader(() => calls++)
      buffer.offer(1)
      assert.strictEqual(calls, 1)
      buffer.setMuted(true)
      buffer.offer(1)
      assert.strictEqual(calls, 2)
      buffer.finish()
      assert.strictEqual(calls, 3)
      reader.close()
      buffer.finish()
      assert.strictEqual(calls, 3)
    }))
})

describe("a place", () => {
  it.effect("is that of the first frame that begins at a sample or after it", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      buffer.keep(0)
      buffer.offer(3 * frame)
      assert.deepStrictEqual([0, 1, frame, frame + 1, 2 * frame, 2 * frame + 1, 9 * frame].map(buffer.placeOf), [0, 1, 1, 2, 2, 3, 3])
      assert.strictEqual(buffer.end(), 3)
      rest(buffer.reader(noop))
      buffer.keep(2 * frame)
      // what is forgotten has none
      assert.strictEqual(buffer.placeOf(0), 2)
    }))
})

const Act = Schema.Union([
  Schema.Struct({ act: Schema.tag("send"), samples: Schema.Literals([1, 320, 1279, 1280, 1281, 4000]) }),
  Schema.Struct({ act: Schema.tag("send"), samples: Schema.Literals([1, 320, 1279, 1280, 1281, 4000]) }),
  Schema.Struct({ act: Schema.tag("take"), reader: Schema.Literals([0, 1, 2]), frames: Schema.Literals([1, 2, 5]) }),
  Schema.Struct({ act: Schema.tag("take"), reader: Schema.Literals([0, 1, 2]), frames: Schema.Literals([1, 2, 5]) }),
  Schema.Struct({ act: Schema.tag("mute"), on: Schema.Boolean }),
  Schema.Struct({ act: Schema.tag("flush") }),
  /** Samples before what was read last; the audio from there on is to be kept. */
  Schema.Struct({ act: Schema.tag("keep"), back: Schema.Literals([0, 1, 1280, 3000, 20_000]) }),
  /** The same as the place of a reader; -1 for one of what nobody has read. */
  Schema.Struct({ act: Schema.tag("open"), reader: Schema.Literals([1, 2]), back: Schema.Literals([-1, 0, 1, 1280, 3000, 20_000]) }),
  Schema.Struct({ act: Schema.tag("close"), reader: Schema.Literals([1, 2]) })
])

describe("any interleaving", () => {
  for (const policy of ["suspend", "drop-oldest"] as const) {
    it.effect.prop(`${policy}: every reader from a kept place on has exactly the samples from there on, and what is kept is bounded`, {
      acts: Schema.Array(Act),
      keepLimit: Schema.Literals([0, frameBytes, 3 * frameBytes + 2, 20 * frameBytes]),
      limit: Schema.Literals([frameBytes, 4 * frameBytes])
    }, ({ acts, keepLimit, limit }) =>
      Effect.gen(function*() {
        const buffer = yield* make({ policy, limit, keepLimit })
        /** Samples that came in and are to be heard: not muted, not dropped. */
        const inside: Array<boolean> = []
        /** Readers, with the sample up to which each has had all; the first one is there from the start. */
        const readers = new Map([[0, { reader: buffer.reader(noop), at: 0 }]])
        let [muted, read, keepFrom] = [false, 0, Number.POSITIVE_INFINITY]
        /** Up to where all had read when something was last forgotten: one that lags behind forgets nothing as it reads. */
        let settled = 0
        /** Before this sample something was forgotten because it was not to be kept then. */
        let gone = 0
        const forgets = (): void => {
          settled = Math.min(read, ...[...readers.values()].map(({ at }) => at))
          gone = Math.max(gone, Math.min(keepFrom, settled))
        }

        const firstInside = (from: number): number | undefined => {
          const at = inside.indexOf(true, from)
          return at < 0 ? undefined : at
        }
        const bytesInside = (from: number, to: number): number => 2 * inside.slice(from, to).filter(Boolean).length
        const takeOne = (one: { readonly reader: replayBuffers.Reader; at: number }): boolean => {
          const got = next(one.reader)
          if (got === undefined) {
            // less than a frame waits for the rest of it
            assert.isAtMost(bytesInside(one.at, inside.length), buffer.partial())
            return false
          }
          const [from, to] = got
          assert.strictEqual(from, firstInside(one.at), "nothing is left out, nothing comes twice")
          assert.isTrue(inside.slice(from, to).every(Boolean), "what is muted, or was dropped, is not heard")
          one.at = to
          if (to <= read) return true
          read = to
          forgets()
          return true
        }
        const close = (which: number): void => {
          readers.get(which)?.reader.close()
          if (readers.delete(which)) forgets()
        }
        const check = (): void => {
          for (const { from, to } of buffer.takeDropped()) {
            assert.isAtLeast(from, read, "what was read is not dropped")
            assert.isTrue(inside.slice(from, to).every(Boolean))
            inside.fill(false, from, to)
          }
          assert.strictEqual(buffer.position(), inside.length)
          assert.strictEqual(buffer.bytes(), bytesInside(read, inside.length))
          assert.isAtMost(buffer.bytes(), limit)
          for (const { at, reader } of readers.values()) assert.strictEqual(reader.bytes(), bytesInside(at, inside.length) - buffer.partial())
          const kept = buffer.goneTo()
          // a reader may begin within the first frame, and what was dropped is not there
          if (kept + frame <= settled && bytesInside(kept, settled) > 0) {
            // the frames before may have been dropped, and not all of the last one be gone
            assert.isAtMost(bytesInside(kept, settled), keepLimit + frameBytes)
            assert.isAbove((firstInside(kept) ?? settled) + frame, keepFrom, "nothing that is not to be kept")
          }
        }

        for (const step of acts) {
          switch (step.act) {
            case "send": {
              const fits = muted || 2 * step.samples <= limit - buffer.bytes()
              const taken = buffer.offerUnsafe(stamped(buffer.position(), step.samples))
              assert.strictEqual(taken, fits || policy === "drop-oldest")
              if (taken) for (let i = 0; i < step.samples; i++) inside.push(!muted)
              break
            }
            case "take": {
              const one = readers.get(step.reader)
              if (one === undefined) break
              for (let i = 0; i < step.frames && takeOne(one); i++) check()
              break
            }
            case "mute":
              muted = step.on
              buffer.setMuted(step.on)
              break
            case "flush":
              buffer.flush()
              break
            case "keep":
              keepFrom = Math.max(0, read - step.back)
              buffer.keep(keepFrom)
              forgets()
              break
            case "open": {
              close(step.reader)
              // as who takes over does: from where it is needed, if that is kept
              const wanted = Math.max(0, read - Math.max(0, step.back))
              const from = Math.max(wanted, Math.min(read, buffer.goneTo()))
              const reader = step.back < 0 ? buffer.reader(noop) : buffer.reader(noop, from)
              readers.set(step.reader, { reader, at: from })
              // what was to be kept, is: as far as it goes into the bound, but for a part of a frame
              const due = Math.max(wanted, gone)
              if (bytesInside(due, read) <= keepLimit - frameBytes) assert.strictEqual(firstInside(Math.max(from, due)), firstInside(due))
              break
            }
            case "close":
              close(step.reader)
          }
          check()
        }
        buffer.flush()
        for (const one of readers.values()) {
          while (takeOne(one));
          assert.isUndefined(firstInside(one.at), "all of it")
        }
        check()
      }), { arbitrary: { runs: 300, size: 60, seed: "flux" } })
  }
})

describe("memory of frames", () => {
  const taken = (reader: replayBuffers.Reader): Uint8Array => {
    const got = reader.next(noop)
    assert.isDefined(got)
    return got?.bytes ?? new Uint8Array()
  }
  /** Many more frames come and go. */
  const churn = (buffer: { readonly offer: (samples: number) => void }, reader: replayBuffers.Reader): ReadonlyArray<Uint8Array> =>
    Array.from({ length: 30 }, () => {
      buffer.offer(frame)
      return taken(reader)
    })

  it.effect("is used again once a frame was sent, and nobody keeps it", () =>
    Effect.gen(function*() {
      const buffer = yield* make()
      const reader = buffer.reader(noop, 0)
      const all = churn(buffer, reader)
      assert.isAtMost(new Set(all.map(({ buffer }) => buffer)).size, 3)
    }))

  it.effect("is left alone while the frame is in hand, although it is forgotten", () =>
    Effect.gen(function*() {
      const buffer = yield* make()
      const [slow, fast] = [buffer.reader(noop, 0), buffer.reader(noop, 0)]
      buffer.offer(frame)
      const inHand = taken(slow)
      taken(fast)
      churn(buffer, fast)
      assert.strictEqual(buffer.goneTo(), frame)
      assert.deepStrictEqual(inHand, stamped(0, frame))
    }))

  it.effect("is left alone for ever where a reader was closed with the frame in hand", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const [first, second] = [buffer.reader(noop, 0), buffer.reader(noop, 0)]
      buffer.offer(frame)
      const inHand = taken(first)
      taken(second)
      first.close()
      buffer.keep(10 * frame)
      churn(buffer, second)
      assert.deepStrictEqual(inHand, stamped(0, frame))
    }))

  it.effect("is left alone while the frame is kept", () =>
    Effect.gen(function*() {
      const buffer = yield* make({ keepLimit: 100 * frameBytes })
      buffer.keep(0)
      const reader = buffer.reader(noop, 0)
      churn(buffer, reader)
      assert.lengthOf(rest(buffer.reader(noop, 0)), 30)
    }))
})
