import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as stampClock from "../../../src/simulator/model/stampClock.ts"
import * as Stamp from "../../../src/simulator/Stamp.ts"
import { cut, encode, pcm16, tone } from "../../support/sound.ts"

const frame = 1280
const silence = (samples: number): Uint8Array => new Uint8Array(samples * 2)
const frames = (pieces: Iterable<Uint8Array>): ReadonlyArray<stampClock.Frame> => {
  const clock = stampClock.make(pcm16)
  return [...[...pieces].flatMap((piece) => clock.push(piece)), ...clock.flush()]
}
const passages = (...pieces: ReadonlyArray<Uint8Array>) =>
  frames(pieces).map(({ passages }) => passages.map(({ at, from, to }) => [from, to, at]))

const Count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Piece = Schema.Union([
  Schema.Struct({ stamped: Count(5, 4000), jump: Schema.Literals([0, 0, 1, 2, 77, 5000, -2, -3, -333, 32_768]) }),
  Schema.Struct({ silent: Count(1, 3000) })
])

describe("the clock of stamps", () => {
  it.prop("knows the part of the call in every frame, and where in the session it is, however the audio is cut", {
    start: Schema.Literals([0, 1, 32_700, 2 ** 28 + 32_001]),
    pieces: Schema.Array(Piece).check(Schema.isBetweenLength(1, 20)),
    sizes: Schema.Array(Count(1, 6000)).check(Schema.isBetweenLength(1, 5))
  }, ({ pieces, sizes, start }) => {
    const bytes: Array<Uint8Array> = []
    const expected: Array<{ from: number; to: number; readonly at: number }> = []
    let heard = 0
    let next = start
    for (const piece of pieces) {
      if ("silent" in piece) bytes.push(silence(piece.silent))
      else {
        // as far as the low half of a pair counts cannot be told within a pair, nor at once at the end of a frame
        const far = piece.jump > 32_000
        const from = far && heard % frame > frame - 4 ? next : Math.max(0, next + piece.jump + (far ? next % 2 : 0))
        next = from + piece.stamped
        bytes.push(Stamp.audio(from, piece.stamped))
        const last = expected.at(-1)
        if (last?.to === from && last.at + last.to - last.from === heard) last.to = next
        else expected.push({ from, to: next, at: heard })
      }
      heard += "silent" in piece ? piece.silent : piece.stamped
    }
    const found = frames(cut(Buffer.concat(bytes), sizes))

    const runs: Array<{ from: number; to: number; at: number }> = []
    for (const { at, from, to } of found.flatMap(({ passages }) => passages)) {
      const last = runs.at(-1)
      if (last?.to === from && last.at + last.to - last.from === at) last.to = to
      else runs.push({ from, to, at })
    }
    assert.deepStrictEqual(runs, expected)
    found.forEach(({ endMillis, passages }, index) => {
      assert.strictEqual(endMillis, Math.min((index + 1) * frame, heard) / 16)
      for (const { at, from, to } of passages) {
        assert.isAtLeast(at, index * frame - 4)
        assert.isAtMost(at + to - from, (index + 1) * frame)
      }
    })
  }, { arbitrary: { runs: 300, size: 30, seed: "stamp clock" } })

  it("gives each frame its part", () => {
    assert.deepStrictEqual(passages(Stamp.audio(7001, 3000)), [[[7001, 8281, 0]], [[8281, 9561, 1280]], [[9561, 10_001, 2560]]])
    // silence, a gap and a repeat within a frame
    assert.deepStrictEqual(passages(silence(100), Stamp.audio(500, 50), silence(1), Stamp.audio(550, 50), Stamp.audio(900, 40), Stamp.audio(500, 1039)), [
      [[500, 550, 100], [550, 600, 151], [900, 940, 201], [500, 1539, 241]]
    ])
  })

  it("gives silence and other audio no part", () => {
    assert.deepStrictEqual(passages(silence(frame), encode(tone(frame, 30_000), pcm16), silence(10)), [[], [], []])
    assert.deepStrictEqual(passages(Stamp.audio(0, frame), silence(frame), Stamp.audio(frame, frame)), [[[0, 1280, 0]], [], [[1280, 2560, 2560]]])
  })

  it("gives a run that begins at the end of a frame to the next one", () => {
    assert.deepStrictEqual(passages(silence(frame - 4), Stamp.audio(200, 54)), [[[200, 204, 1276]], [[204, 254, 1280]]])
    assert.deepStrictEqual(passages(silence(frame - 3), Stamp.audio(200, 54)), [[], [[200, 254, 1277]]])
    // fewer are none
    assert.deepStrictEqual(passages(silence(frame), Stamp.audio(200, 3), silence(frame)), [[], [], []])
  })

  it("finds no stamps in G.711", () => {
    const clock = stampClock.make({ encoding: "mulaw", sampleRate: 16_000 })
    assert.deepStrictEqual(clock.push(Stamp.audio(0, 640)), [{ passages: [], endMillis: 80 }])
  })
})
