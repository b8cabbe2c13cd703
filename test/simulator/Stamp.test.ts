import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Range } from "../../src/simulator/Ledger.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import { cut, encode, pcm16, tone } from "../support/sound.ts"

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Numbers of 0 to below 1, always the same ones (Numerical Recipes' generator). */
const random = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
/** White noise, up to a part of full scale. */
const noise = (seed: number, samples: number, loud = 1): Uint8Array => {
  const next = random(seed)
  return encode(Int16Array.from({ length: samples }, () => Math.floor((next() * 2 - 1) * 32_768 * loud)), pcm16)
}
const silence = (samples: number): Uint8Array => new Uint8Array(samples * 2)

/** What a reader finds, and how many samples besides. */
const read = (pieces: Iterable<Uint8Array>, limit?: number): readonly [ReadonlyArray<Range>, number] => {
  const reader = Stamp.reader(limit)
  for (const piece of pieces) reader.push(piece)
  return [reader.ranges(), reader.otherSamples()]
}

/** A piece of a test signal. What is stamped goes on where the piece before it stopped, or jumps by so many samples. */
const Piece = Schema.Union([
  // five samples always hold two whole pairs
  Schema.Struct({ stamped: Count(5, 400), jump: Schema.Literals([0, 0, 1, 2, 3, 77, 5000, -2, -3, -50, -333, 32_768, 32_766]) }),
  Schema.Struct({ silent: Count(1, 200) }),
  Schema.Struct({ noisy: Count(1, 200), seed: Count(0, 2 ** 32 - 1), loud: Schema.Literals([0.01, 0.3, 1]) })
])

/** A signal, and what there is in it by the list of what was put into it. */
const play = (
  start: number,
  pieces: ReadonlyArray<Exclude<typeof Piece.Type, { stamped: number }> | { readonly stamped: number; readonly jump: number }>
) => {
  const bytes: Array<Uint8Array> = []
  const ranges: Array<{ from: number; to: number }> = []
  let other = 0
  for (const piece of pieces) {
    if ("stamped" in piece) {
      const last = ranges.at(-1)
      const before = last?.to ?? start
      // such a jump within a pair cannot be told
      const from = Math.max(0, before + piece.jump + (piece.jump > 32_000 ? before % 2 : 0))
      const to = from + piece.stamped
      bytes.push(Stamp.audio(from, piece.stamped))
      if (last?.to === from) last.to = to
      else ranges.push({ from, to })
    } else {
      bytes.push("silent" in piece ? silence(piece.silent) : noise(piece.seed, piece.noisy, piece.loud))
      other += "silent" in piece ? piece.silent : piece.noisy
    }
  }
  return { bytes: Buffer.concat(bytes), ranges, other }
}

describe("Stamp", () => {
  it.prop("tells what arrived to the sample, whatever was dropped, repeated or put in between, and however it was cut", {
    // around the places where the halves of the index carry over
    start: Schema.Literals([0, 1, 32_700, 2 ** 28 + 32_001, Stamp.maxSamples - 2 ** 22]),
    pieces: Schema.Array(Piece).check(Schema.isBetweenLength(1, 40)),
    sizes: Schema.Array(Count(1, 700)).check(Schema.isBetweenLength(1, 6))
  }, ({ pieces, sizes, start }) => {
    const { bytes, other, ranges } = play(start, pieces)
    assert.deepStrictEqual(read(cut(bytes, sizes)), [ranges, other])
  }, { arbitrary: { runs: 1000, size: 40, seed: "stamp" } })

  it.prop("does not care how audio is cut, also where pieces are too short to be told", {
    pieces: Schema.Array(Schema.Struct({ stamped: Count(1, 9), jump: Count(-3, 3) })).check(Schema.isBetweenLength(1, 40)),
    sizes: Schema.Array(Count(1, 50)).check(Schema.isBetweenLength(1, 6))
  }, ({ pieces, sizes }) => {
    const { bytes } = play(1000, pieces)
    assert.deepStrictEqual(read(cut(bytes, sizes)), read(cut(bytes, [1])))
  }, { arbitrary: { runs: 300, size: 40, seed: "stamp" } })

  it("tells what arrived while it arrives", () => {
    const reader = Stamp.reader()
    const seen: Array<ReadonlyArray<Range>> = []
    const expected: Array<ReadonlyArray<Range>> = []
    for (let to = 5; to < 200; to += 5) {
      reader.push(Stamp.audio(1001 + to - 5, 5))
      seen.push(reader.ranges())
      expected.push([{ from: 1001, to: 1001 + to }])
      assert.strictEqual(reader.otherSamples(), 0)
    }
    assert.deepStrictEqual(seen, expected)
  })

  it("is not misled by a sample that looks like the next or the last one", () => {
    const [before, after] = [Stamp.audio(0, 100), Stamp.audio(100, 100)]
    assert.deepStrictEqual(read([before, Stamp.audio(100, 1), silence(9), after]), [[{ from: 0, to: 200 }], 10])
    assert.deepStrictEqual(read([before, silence(9), Stamp.audio(99, 1), after]), [[{ from: 0, to: 200 }], 10])
    for (const from of [99, 100]) {
      assert.deepStrictEqual(read([Stamp.audio(0, from + 1), Stamp.audio(from, 200 - from)]), [[{ from: 0, to: 200 }], 1])
    }
  })

  it("does not take other audio for stamps", () => {
    const clipped = encode(Int16Array.from({ length: 1000 }, (_, at) => (at % 2 === 0 ? 32_767 : -32_768)), pcm16)
    const others = [silence(1000), encode(tone(1000, 8000), pcm16), encode(tone(1000, 32_767), pcm16), clipped, noise(7, 480_000)]
    for (const audio of others) assert.deepStrictEqual(read([audio]), [[], audio.length / 2])
  })

  it("needs two pairs in sequence", () => {
    assert.deepStrictEqual(read([Stamp.audio(100, 3)]), [[], 3])
    assert.deepStrictEqual(read([Stamp.audio(101, 4)]), [[], 4])
    assert.deepStrictEqual(read([Stamp.audio(2, 2)]), [[], 2])
    assert.deepStrictEqual(read([Stamp.audio(100, 2), silence(1), Stamp.audio(102, 2)]), [[], 5])
    assert.deepStrictEqual(read([Stamp.audio(100, 4)]), [[{ from: 100, to: 104 }], 0])
    assert.deepStrictEqual(read([Stamp.audio(101, 5)]), [[{ from: 101, to: 106 }], 0])
  })

  it("counts half a sample only with its other half", () => {
    const reader = Stamp.reader()
    const audio = Stamp.audio(0, 101)
    reader.push(audio.subarray(0, 201))
    reader.push(new Uint8Array(0))
    assert.deepStrictEqual([reader.ranges(), reader.otherSamples()], [[{ from: 0, to: 100 }], 0])
    reader.push(audio.subarray(201))
    assert.deepStrictEqual([reader.ranges(), reader.otherSamples()], [[{ from: 0, to: 101 }], 0])
  })

  it("keeps the first ranges and the latest", () => {
    const jumps = Array.from({ length: 6 }, (_, at) => Stamp.audio(at * 1000, 10))
    const reader = Stamp.reader(3)
    for (const piece of [...jumps, Stamp.audio(5010, 10)]) reader.push(piece)
    assert.deepStrictEqual(reader.ranges(), [{ from: 0, to: 10 }, { from: 1000, to: 1010 }, { from: 5000, to: 5020 }])
    assert.strictEqual(reader.omitted(), 3)
    assert.strictEqual(reader.otherSamples(), 0)
  })

  it("has stamps for 2^29 samples and no others", () => {
    const end = Stamp.maxSamples
    assert.deepStrictEqual(read([Stamp.audio(end - 101, 101)]), [[{ from: 536_870_811, to: 536_870_912 }], 0])
    for (const [from, samples] of [[end - 10, 11], [-1, 5], [0, -1], [0.5, 5], [0, 1.5]] as const) {
      assert.throws(() => Stamp.audio(from, samples), RangeError)
    }
  })

  it.effect("streams in chunks until the stamps are used up", () =>
    Effect.gen(function*() {
      const three = yield* Stream.runCollect(Stream.take(Stamp.stream(640), 3))
      assert.deepStrictEqual(three.map((chunk) => chunk.length), [1280, 1280, 1280])
      assert.deepStrictEqual(read(three), [[{ from: 0, to: 1920 }], 0])
      const last = yield* Stream.runCollect(Stamp.stream(10, Stamp.maxSamples - 15))
      assert.deepStrictEqual(last.map((chunk) => chunk.length), [20, 10])
    }))
})
