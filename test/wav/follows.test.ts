/** What follows the audio that a header declares: more audio, tags, or what somebody has to be told of. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as AudioFile from "../../src/AudioFile.ts"
import { assertTone, chunk, join8, le, pcm16, read, samplesOf, text, tone, type Wav, wav } from "../support/wav.ts"

const whole = tone()
const half = (index: 0 | 1): Uint8Array => pcm16(whole.slice(index * 16_000, (index + 1) * 16_000))
const goesOn = "another WAV file follows in the same input: its audio goes on"
const endless = "the WAV header does not say how long its audio is: it is read to the end of the input"
const tags = chunk("LIST", text("INFOISFT\x04\x00\x00\x00abc\x00"))
/** One byte at a time where the first audio ends. */
const around = (end: number): ReadonlyArray<number> => [end - 30, ...Array.from({ length: 120 }, () => 1), 1_000_000]
const inPieces = [[1_000_000], around(32_044), around(64_044), [32_044, 700], [32_043], [32_050, 3000]]

describe("what follows the audio", () => {
  describe("another file of the same format goes on as audio", () => {
    const two = (first: Wav, second: Wav = first): Uint8Array => join8(wav(half(0), first), wav(half(1), second))
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, said: ReadonlyArray<string>]> = [
      ["two files", two({}), [goesOn]],
      ["with tags between them", two({ after: [tags] }), [goesOn]],
      ["with tags of MP3 between them", join8(wav(half(0)), text("TAG"), new Uint8Array(125), wav(half(1))), [goesOn]],
      ["with tags between them that say to be longer", two({ after: [chunk("LIST", text("INFOISFTabcd"), 2 ** 31)] }), [goesOn]],
      ["sizes of 0", two({ declared: 0, riffBytes: 0 }), [endless, goesOn]],
      ["sizes of all ones", two({ declared: 2 ** 32 - 1, riffBytes: 2 ** 32 - 1 }), [endless, goesOn]],
      ["the first without a size", two({ declared: 0 }, {}), [endless, goesOn]],
      ["zeros between them", join8(wav(half(0)), new Uint8Array(3), wav(half(1))), [goesOn]],
      ["a recording that never began before them", join8(wav(new Uint8Array(0)), wav(half(0)), wav(half(1))), [endless, goesOn]]
    ]
    for (const [name, bytes, said] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          for (const sizes of inPieces) {
            const file = yield* read(bytes, { sizes })
            assertTone(file)
            assert.deepStrictEqual([...file.early, ...file.late].toSorted(), said.toSorted())
          }
        }))
    }

    it.effect("behind what is no chunk, too", () =>
      Effect.gen(function*() {
        const file = yield* read(join8(wav(half(0), { after: [tags] }), new Uint8Array(600).fill(200), wav(half(1))))
        assertTone(file)
        assert.match(file.late.join("\n"), /goes on after its last chunk with what is no chunk: that is not read\nanother WAV file follows/)
      }))

    it.effect("the first one cut off, in the middle of a sample", () =>
      Effect.gen(function*() {
        const cut = wav(half(0)).subarray(0, -1)
        for (const sizes of inPieces) {
          const file = yield* read(join8(cut, wav(half(1))), { sizes })
          assertTone(file)
          assert.deepStrictEqual(file.late, [
            "the WAV file is shorter than its header declares (31999 of 32000 bytes of audio): it was read to its end",
            goesOn
          ])
        }
      }))

    it.effect("a header with each chunk of a server: told once", () =>
      Effect.gen(function*() {
        for (const declared of [undefined, 0, 2 ** 32 - 1, 2 ** 31 - 1]) {
          const parts = Array.from({ length: 20 }, (_, index) =>
            wav(pcm16(whole.slice(index * 1600, (index + 1) * 1600)), declared === undefined ? {} : { declared }))
          const file = yield* read(Stream.fromIterable(parts))
          assertTone(file)
          assert.strictEqual(file.late.filter((warning) => warning === goesOn).length, 1)
          assert.isAtMost(file.late.length, 2)
        }
      }))

    it.effect("converted as one", () =>
      Effect.gen(function*() {
        const stereo = tone(22_050).flatMap((sample) => [sample, sample])
        const part = (index: number) => wav(pcm16(stereo.slice(index * 44_100, (index + 1) * 44_100)), { channels: 2, sampleRate: 22_050 })
        // cut in the middle of a frame
        const file = yield* read(join8(part(0).subarray(0, -3), part(1)), { sizes: [1013] })
        assertTone(file)
      }))
  })

  describe("is told and not read", () => {
    const cases: ReadonlyArray<readonly [name: string, after: ReadonlyArray<Uint8Array>, says: RegExp]> = [
      ["a file of another rate", [wav(half(1), { sampleRate: 8000 })], /^another WAV file follows .*, which is mono 16-bit PCM at 8000 Hz: it is not read$/],
      ["a file of another codec", [wav(half(1), { tag: 0x31 })], /^another WAV file follows .* cannot be read: .*GSM 6\.10/],
      ["a file that is cut off", [wav(half(1)).subarray(0, 30)], /^another WAV file follows .* cannot be read: .*cut off in its header/],
      ["a large chunk that nobody knows", [join8(text("abcd"), le(9000, 4), new Uint8Array(9000))], /^after its audio the WAV file has a chunk "abcd" of 9000 bytes/],
      ["bytes behind the last chunk that are no chunk", [tags, new Uint8Array(600).fill(200)], /^the WAV file goes on after its last chunk with what is no chunk/],
      ["a second data chunk of another format", [wav(half(1), { sampleRate: 8000 }).subarray(12)], /^a second data chunk follows .* 8000 Hz: it is not read/]
    ]
    for (const [name, after, says] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          for (const sizes of inPieces) {
            const body = join8(wav(pcm16(whole), { riffBytes: 1_000_000 }), ...after)
            const file = yield* read(body, { sizes })
            assertTone(file)
            assert.strictEqual(file.late.length, 1, file.late.join("\n"))
            assert.match(file.late.join(), says)
          }
        }))
    }
  })

  it.effect("a second data chunk goes on as audio, and is told", () =>
    Effect.gen(function*() {
      const file = yield* read(wav(half(0), { after: [tags, chunk("data", half(1))] }))
      assertTone(file)
      assert.deepStrictEqual(file.late, ["a second data chunk follows in the WAV file: its audio goes on"])
    }))

  describe("is no audio and not worth a word", () => {
    const cases: ReadonlyArray<readonly [name: string, after: ReadonlyArray<Uint8Array>]> = [
      ["tags", [tags, chunk("id3 ", text("ID3\x04\x00\x00\x00\x00\x00\x00"))]],
      ["chunks that are known", [chunk("cue ", new Uint8Array(28)), chunk("bext", new Uint8Array(603)), chunk("_PMX", new Uint8Array(9000))]],
      ["a small chunk that nobody knows", [chunk("abcd", new Uint8Array(20))]],
      ["tags of MP3 behind the file", [join8(text("TAG"), new Uint8Array(125))]],
      ["a tag of APE behind the file", [join8(text("APETAGEX"), new Uint8Array(60))]],
      ["a tag that is cut off", [tags.subarray(0, 15)]],
      ["a few zeros", [new Uint8Array(9)]]
    ]
    for (const [name, after] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          const law = new Uint8Array(8001).fill(0x55)
          for (const sizes of [[1_000_000], around(64_044), around(8045), [64_044], [8046]]) {
            const even = yield* read(wav(pcm16(whole), { after }), { sizes })
            assertTone(even)
            assert.deepStrictEqual(even.late, [])
            const odd = yield* read(wav(law, { tag: 7, bits: 8, sampleRate: 8000, after }), { sizes })
            assert.deepStrictEqual(odd.bytes, law)
            assert.deepStrictEqual(odd.late, [])
            // without the padding
            const bare = yield* read(join8(wav(law, { tag: 7, bits: 8, sampleRate: 8000, riffBytes: 20_000 }).subarray(0, -1), ...after), { sizes })
            assert.deepStrictEqual(bare.bytes, law)
            assert.deepStrictEqual(bare.late, [])
          }
        }))
    }
  })

  describe("in a pipe that stays open", () => {
    const openPipe = Effect.fnUntraced(function*(linger?: AudioFile.Options["linger"]) {
      const input = yield* Queue.unbounded<Uint8Array>()
      const warnings: Array<string> = []
      yield* Queue.offer(input, wav(half(0)))
      const file = yield* AudioFile.openWav(Stream.fromQueue(input), {
        linger,
        onWarning: (warning) => Effect.sync(() => void warnings.push(warning))
      })
      const out: Array<Uint8Array> = []
      const reading = yield* Effect.forkScoped(
        Stream.runForEach(file.audio, (piece) => Effect.sync(() => void out.push(piece))),
        { startImmediately: true }
      )
      return { input, out, reading, warnings }
    })

    it.effect("audio passes at once, and more of it is waited for as long as was said", () =>
      Effect.gen(function*() {
        const { input, out, reading, warnings } = yield* openPipe("1 second")
        yield* TestClock.adjust("900 millis")
        // more turns than a reader has that does not wait
        yield* Effect.repeat(Effect.yieldNow, { times: 100 })
        assert.deepStrictEqual(join8(...out), half(0))
        assert.isUndefined(reading.pollUnsafe())
        yield* Queue.offer(input, wav(half(1)))
        yield* TestClock.adjust("900 millis")
        assertTone({ format: { sampleRate: 16_000 }, samples: samplesOf(join8(...out)) })
        assert.deepStrictEqual(warnings, [goesOn])
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(reading)
      }))

    it.effect("a header that does not know the size is enough to open", () =>
      Effect.gen(function*() {
        for (const declared of [0, 2 ** 32 - 1]) {
          const warnings: Array<string> = []
          const header = wav(new Uint8Array(0), { declared, riffBytes: declared })
          const file = yield* AudioFile.openWav(Stream.concat(Stream.make(header), Stream.never), {
            onWarning: (warning) => Effect.sync(() => void warnings.push(warning))
          })
          assert.isUndefined(file.seconds)
          assert.deepStrictEqual(warnings, [endless])
        }
      }))

    it.effect("what comes later is told", () =>
      Effect.gen(function*() {
        for (const [late, says] of [[wav(half(1)), /^another WAV file came long after/], [half(1), /^more came long after/]] as const) {
          const { input, out, reading, warnings } = yield* openPipe()
          yield* Fiber.join(reading)
          assert.deepStrictEqual(warnings, [])
          yield* Queue.offer(input, late)
          yield* TestClock.adjust(0)
          assert.strictEqual(warnings.length, 1)
          assert.match(warnings.join(), says)
          assert.deepStrictEqual(join8(...out), half(0))
        }
      }))

    it.effect("an input that fails after the audio declared has failed nobody", () =>
      Effect.gen(function*() {
        const bytes = Stream.concat(Stream.make(wav(half(0))), Stream.fail("gone"))
        const file = yield* AudioFile.openWav(bytes)
        assert.deepStrictEqual(join8(...yield* Stream.runCollect(file.audio)), half(0))
      }))

    it.effect("an end of the audio that looks like the beginning of a file is waited beyond by nobody", () =>
      Effect.gen(function*() {
        const audio = join8(half(0), text("RIFF"))
        const file = yield* read(Stream.concat(Stream.make(wav(audio)), Stream.never))
        assert.deepStrictEqual(file.bytes, audio)
      }))
  })
})
