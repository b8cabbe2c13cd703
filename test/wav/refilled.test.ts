/** A source that fills one buffer again and again: what is carried from one chunk to the next is copied before the next pull. */
import { assert, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as AudioFile from "../../src/AudioFile.ts"
import { chunk, join8, le, pcm16, pieces, text, tone, wav } from "../support/wav.ts"

/** Gives views of one Buffer, whose `slice` shares memory; each pull writes over what the one before gave. */
const refilled = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Stream.Stream<Uint8Array> =>
  Stream.suspend(() => {
    const buffer = Buffer.alloc(Math.max(...sizes))
    let at = 0
    let turn = 0
    return Stream.fromEffectRepeat(Effect.suspend(() => {
      if (at >= bytes.length) return Cause.done()
      const size = Math.min(sizes[turn++ % sizes.length] ?? 1, bytes.length - at)
      buffer.fill(0xa5)
      buffer.set(bytes.subarray(at, at + size))
      at += size
      return Effect.succeed(buffer.subarray(0, size))
    }))
  })

const audioOf = (source: Stream.Stream<Uint8Array>) =>
  Effect.gen(function*() {
    const file = yield* AudioFile.openWav(source, { onWarning: () => Effect.void })
    return Buffer.concat(yield* Stream.runCollect(Stream.map(file.audio, (chunk) => Uint8Array.from(chunk))))
  }).pipe(Effect.scoped)

const samples = tone(16_000, 0.25)
/** 24 bits in 32, from the first sample on that is not zero; the lowest byte of the 24 is not zero either. */
const wide = (shift: number): Uint8Array =>
  new Uint8Array(Int32Array.from(samples.slice(1).map((sample) => (sample * 2 ** 8 + 37) * 2 ** shift)).buffer)
const files: Readonly<Record<string, Uint8Array>> = {
  "as it is": wav(pcm16(samples)),
  "behind odd chunks": wav(pcm16(samples), { before: [join8(text("LIST"), le(7, 4), text("INFOodd")), chunk("JUNK", new Uint8Array(33))] }),
  "two files in a row": join8(wav(pcm16(samples)), wav(pcm16(samples))),
  stereo: wav(pcm16(samples.flatMap((sample) => [sample, sample >> 1])), { channels: 2 }),
  "at another rate": wav(pcm16(samples), { sampleRate: 22_050 }),
  "24 bits in the high bytes of 32": wav(wide(8), { bits: 24, blockAlign: 4 }),
  "24 bits in the low bytes of 32": wav(wide(0), { bits: 24, blockAlign: 4 })
}
for (const [name, bytes] of Object.entries(files)) {
  it.effect(name, () =>
    Effect.gen(function*() {
      const whole = yield* audioOf(pieces(bytes, [1_000_000]))
      assert.isAbove(whole.length, 4000)
      for (const sizes of [[1], [3, 5, 7], [11, 45], [333]]) assert.deepStrictEqual(yield* audioOf(refilled(bytes, sizes)), whole)
    }))
}
