/** Which channel of a WAV file with several is taken, and how they are mixed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as AudioFile from "../../src/AudioFile.ts"
import { assertTone, detailOf, heard, join8, pcm16, read, samplesOf, sine, tone, wav } from "../support/wav.ts"

type Voice = ReadonlyArray<number>
const left = tone()
const other = sine(32_000, 16_000, 1030, 8000)
const inverted = left.map((sample) => -sample)
const quiet = left.map(() => 0)

const interleaved = (voices: ReadonlyArray<Voice>): Array<number> =>
  Array.from({ length: voices[0]?.length ?? 0 }, (_, frame) => voices.map((voice) => Math.round(voice[frame] ?? 0))).flat()
const call = (...voices: ReadonlyArray<Voice>) => wav(pcm16(interleaved(voices)), { channels: voices.length })
const outOf = (channels: string) => `the channels of the WAV file cancel each other out: the mix leaves out ${channels}`
/** How much of a tone is in audio, as its amplitude. */
const amplitude = (samples: Voice, hertz: number): number => {
  const [sin, cos] = samples.reduce(([sin, cos], sample, at) => {
    const angle = (2 * Math.PI * hertz * at) / 16_000
    return [sin + sample * Math.sin(angle), cos + sample * Math.cos(angle)]
  }, [0, 0])
  return (2 * Math.hypot(sin, cos)) / samples.length
}

describe("channels", () => {
  describe("that cancel each other out are not averaged, and it is told", () => {
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, said: string]> = [
      ["one the other upside down", call(left, inverted), outOf("the right one")],
      ["not quite as loud", call(left, inverted.map((sample) => sample * 0.8)), outOf("the right one")],
      ["the second the louder", call(inverted.map((sample) => sample * 0.7), left), outOf("the left one")],
      ["with a little noise of its own", call(left, inverted.map((sample, at) => sample * 0.95 + ((at * 7919) % 251) - 125)), outOf("the right one")],
      ["at another rate", wav(pcm16(interleaved([tone(22_050), tone(22_050).map((sample) => -sample)])), { channels: 2, sampleRate: 22_050 }), outOf("the right one")],
      ["two pairs", call(left, inverted, left, inverted), outOf("channel 2, channel 4")],
      ["three of which two make up the third", call(left, left.map((sample) => -sample / 2), left.map((sample) => -sample / 2)), outOf("channel 2, channel 3")]
    ]
    for (const [name, bytes, said] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          for (const sizes of [[1_000_000], [999]]) {
            const file = yield* read(bytes, { sizes })
            assertTone(file)
            assert.deepStrictEqual([...file.early, ...file.late], [said])
          }
        }))
    }

    it.effect("for as long as they do, without a loss before or after", () =>
      Effect.gen(function*() {
        const part = (voice: Voice, from: number) => voice.slice(from, from + 8000)
        const right = [...part(left, 0), ...part(inverted, 8000), ...part(other, 16_000), ...part(quiet, 24_000)]
        const { late, samples } = yield* read(call(left, right))
        const levels = [0, 8000, 16_000].map((from) => amplitude(samples.slice(from + 400, from + 7600), 440))
        for (const [at, level] of [8000, 8000, 4000].entries()) assert.closeTo(levels[at] ?? 0, level, 20)
        assert.closeTo(amplitude(samples.slice(16_400, 23_600), 1030), 4000, 20)
        // from 2 ms on, the channel that stays is all there
        assert.deepStrictEqual(pcm16(samples.slice(8032, 16_000)), pcm16(left.slice(8032, 16_000)))
        assert.deepStrictEqual(late, [outOf("the right one")])
      }))

    it.effect("without a click where they begin to", () =>
      Effect.gen(function*() {
        // they come to do so little by little; blocks begin near a peak, and a sudden weight would be a step of thousands
        const right = inverted.map((sample, at) => sample * Math.min(1, Math.max(0, (at - 8000) / 1600)))
        const { late, samples } = yield* read(call(left, right))
        assert.strictEqual(late.length, 1)
        // the tone's own steps are up to 1382
        assert.isBelow(Math.max(...samples.slice(1).map((sample, at) => Math.abs(sample - (samples[at] ?? 0)))), 1900)
      }))

    it.effect("of several, those that do not stay in the mix", () =>
      Effect.gen(function*() {
        const { late, samples } = yield* read(call(left, inverted, other))
        assert.closeTo(amplitude(samples, 440), 4000, 40)
        assert.closeTo(amplitude(samples, 1030), 4000, 40)
        assert.deepStrictEqual(late, [outOf("channel 2")])
      }))

    it.effect("a recording of 30 ms, too", () =>
      Effect.gen(function*() {
        const file = yield* read(call(left.slice(0, 480), inverted.slice(0, 480)))
        assert.isAbove(heard(file).rms, 5000)
        assert.deepStrictEqual(file.late, [outOf("the right one")])
      }))
  })

  describe("that do not cancel out are averaged", () => {
    const cases: ReadonlyArray<readonly [name: string, voices: ReadonlyArray<Voice>]> = [
      ["the same", [left, left]],
      ["two voices", [left, other]],
      ["one that is silent", [left, quiet]],
      ["a leg after the other", [[...left.slice(0, 16_000), ...quiet.slice(16_000)], [...quiet.slice(0, 16_000), ...inverted.slice(16_000)]]],
      ["a quarter of a turn apart", [left, sine(32_000 + 9, 16_000, 440, 8000).slice(9)]],
      ["one of eight that speaks", [quiet, quiet, left, quiet, quiet, quiet, quiet, quiet]],
      ["too faint to be heard, upside down", [left.map((sample) => sample / 4000), inverted.map((sample) => sample / 4000)]]
    ]
    for (const [name, voices] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          const { late, samples } = yield* read(call(...voices))
          const rounded = voices.map((voice) => voice.map(Math.round))
          const means = left.map((_, frame) => rounded.reduce((sum, voice) => sum + (voice[frame] ?? 0), 0) / voices.length)
          assert.isAtMost(Math.max(...samples.map((sample, at) => Math.abs(sample - (means[at] ?? 0)))), 0.51)
          assert.strictEqual(samples.length, left.length)
          assert.deepStrictEqual(late, [])
        }))
    }
  })

  it.effect("are mixed the same however the bytes arrive", () =>
    Effect.gen(function*() {
      const bytes = call(left, [...inverted.slice(0, 5000), ...other.slice(5000)])
      const whole = yield* read(bytes, { sizes: [1_000_000] })
      for (const sizes of [[1000, 3], [641, 1279]]) assert.deepStrictEqual((yield* read(bytes, { sizes })).bytes, whole.bytes)
    }))

  it.effect("are mixed as they come: 20 ms may wait for what follows", () =>
    Effect.gen(function*() {
      const bytes = call(left, inverted).subarray(0, 44 + 16_000 * 4 - 4)
      const file = yield* AudioFile.openWav(Stream.concat(Stream.make(bytes), Stream.never), { onWarning: () => Effect.void })
      const pieces = yield* file.audio.pipe(
        Stream.mapAccum(() => 0, (sum: number, piece) => [sum + piece.length, [[sum + piece.length, piece] as const]]),
        Stream.takeUntil(([sum]) => sum >= (16_000 - 320) * 2),
        Stream.runCollect
      )
      assert.isAbove(heard({ format: file.format, samples: samplesOf(join8(...pieces.map(([, piece]) => piece))) }).rms, 5500)
    }))

  describe("one of them", () => {
    for (const [channel, level] of [["left", [8000, 0]], ["right", [0, 8000]], ["mix", [4000, 4000]]] as const) {
      it.effect(channel, () =>
        Effect.gen(function*() {
          const { late, samples } = yield* read(call(left, other), { channel })
          assert.deepStrictEqual([440, 1030].map((hertz) => Math.round(amplitude(samples, hertz) / 100) * 100), [...level])
          assert.deepStrictEqual(late, [])
        }))
    }

    it.effect("of those that cancel out is not worth a word", () =>
      Effect.gen(function*() {
        const file = yield* read(call(inverted, left), { channel: "right" })
        assert.deepStrictEqual(file.bytes, pcm16(left))
        assert.deepStrictEqual(file.late, [])
      }))

    it.effect("mono has a left one and no right one", () =>
      Effect.gen(function*() {
        const mono = wav(pcm16(left))
        assert.deepStrictEqual((yield* read(mono, { channel: "left" })).bytes, pcm16(left))
        assert.strictEqual(
          detailOf(yield* Effect.flip(read(mono, { channel: "right" }))),
          "the WAV file is mono: it has no right channel"
        )
      }))
  })
})
