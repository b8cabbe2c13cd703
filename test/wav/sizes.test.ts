/** Sizes in a WAV file that are wrong, unknown or missing: the audio is read whole, and what was odd is told. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { assertTone, chunk, join8, le, pcm16, read, text, tone, wav } from "../support/wav.ts"

const audio = pcm16(tone())
const unpadded = (id: string, body: Uint8Array, declared = body.length) => join8(text(id), le(declared, 4), body)
const tags = unpadded("LIST", text("INFOISFT\x0e\x00\x00\x00Lavf58.76.100\x00"))
const endless = "the WAV header does not say how long its audio is: it is read to the end of the input"
const ds64 = (size: number, body = 28) => chunk("ds64", join8(le(0, 8), le(size, 8), le(0, 12)).slice(0, body))
const rf64 = (...before: ReadonlyArray<Uint8Array>) => wav(audio, { container: "RF64", declared: 2 ** 32 - 1, before, riffBytes: 2 ** 32 - 1 })

describe("sizes", () => {
  describe("of chunks before the audio", () => {
    const fmt = wav(audio).subarray(12, 36)
    const file = (...parts: ReadonlyArray<Uint8Array>) => {
      const body = join8(text("WAVE"), ...parts)
      return join8(text("RIFF"), le(body.length, 4), body)
    }
    const data = chunk("data", audio)
    const wrong = (name: string, declared: number, has: number) =>
      `the size of the WAV file's ${name} chunk is wrong: it declares ${declared} bytes and has ${has}`
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, said: ReadonlyArray<string>]> = [
      ["odd, without the padding", file(fmt, unpadded("LIST", text("INFOodd")), data), []],
      ["odd, with it", file(fmt, chunk("LIST", text("INFOodd")), data), []],
      ["odd, with padding that is no zero", file(fmt, unpadded("LIST", text("INFOodd")), text(" "), data), []],
      ["odd, several in a row", file(unpadded("JUNK", text("x")), unpadded("junk", text("abc")), fmt, unpadded("bext", new Uint8Array(603)), data), []],
      ["odd, before one that nobody knows", file(fmt, unpadded("abcd", text("x")), unpadded("wxyz", text("xx")), data), []],
      ["too large", file(fmt, unpadded("LIST", text("INFOeven"), 100), data), [wrong("LIST", 100, 8)]],
      ["far too large", file(fmt, unpadded("LIST", text("INFOeven"), 2 ** 32 - 2), data), [wrong("LIST", 2 ** 32 - 2, 8)]],
      [
        "too small",
        file(fmt, unpadded("LIST", new Uint8Array(20), 4), data),
        ["the size of the WAV file's LIST chunk is wrong: the next chunk begins 16 bytes later"]
      ],
      ["of fmt: 18 for 16", file(unpadded("fmt ", fmt.subarray(8), 18), data), ["the WAV file's fmt chunk declares 18 bytes and has 16"]],
      ["of fmt: 16 for 18", file(unpadded("fmt ", join8(fmt.subarray(8), le(0, 2)), 16), data), [
        "the size of the WAV file's fmt chunk is wrong: the next chunk begins 2 bytes later"
      ]],
      ["of fmt: all ones", file(unpadded("fmt ", fmt.subarray(8), 2 ** 32 - 1), data), [`the WAV file's fmt chunk declares ${2 ** 32 - 1} bytes and has 16`]],
      ["of fmt: none", file(unpadded("fmt ", fmt.subarray(8), 0), data), ["the WAV file's fmt chunk declares 0 bytes and has 16"]],
      ["of data, before fmt", file(data, fmt), ["the WAV file's data chunk comes before its fmt chunk"]],
      ["of two fmt chunks", file(fmt, wav(audio, { sampleRate: 8000 }).subarray(12, 36), data), [
        "the WAV file has two fmt chunks that differ: the first is believed"
      ]]
    ]
    for (const [name, bytes, said] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          for (const sizes of [[1_000_000], [1, 7]]) {
            const file = yield* read(bytes, { sizes })
            assertTone(file)
            assert.deepStrictEqual([...file.early, ...file.late], said)
          }
        }))
    }

    it.effect("and nothing is waited for that the header does not need", () =>
      Effect.gen(function*() {
        const head = file(fmt, unpadded("LIST", text("INFOodd")), text("data"), le(audio.length, 4))
        const parts = Stream.concat(Stream.make(head, audio), Stream.never)
        assertTone(yield* read(parts))
      }))
  })

  describe("of the audio", () => {
    for (const declared of [0, 2 ** 32 - 1]) {
      for (const riffBytes of [0, 36, 2 ** 32 - 1]) {
        it.effect(`${declared} in a file of ${riffBytes}: to the end of the input`, () =>
          Effect.gen(function*() {
            const file = yield* read(wav(audio, { declared, riffBytes }))
            assertTone(file)
            assert.deepStrictEqual([file.early, file.late], [[endless], []])
          }))
      }
    }

    for (const [declared, gigabytes] of [[0x7ffff000, 2], [2 ** 31 - 1, 2], [2 ** 31 + 36, 2], [2 ** 32 - 37, 4]] as const) {
      it.effect(`${declared}, as pipes declare: to the end of the input`, () =>
        Effect.gen(function*() {
          const file = yield* read(wav(audio, { declared, riffBytes: declared + 36 }))
          assertTone(file)
          assert.isUndefined(file.seconds)
          assert.deepStrictEqual(file.late, [
            `the WAV header declares ${gigabytes} GiB of audio, as a pipe does: it was read to the end of the input`
          ])
        }))
    }

    for (const declared of [2, 44, 31_999, 32_000, 63_000]) {
      it.effect(`${declared} of 64000: the rest is audio too`, () =>
        Effect.gen(function*() {
          for (const sizes of [[1_000_000], [1000], [declared + 44, 5]]) {
            const file = yield* read(wav(audio, { declared }), { sizes })
            assertTone(file)
            assert.deepStrictEqual(file.late, [
              `the size of the WAV file's data chunk is wrong: audio goes on after the ${declared} bytes that it declares`
            ])
          }
        }))
    }

    it.effect("more than there is: the tags behind it are no audio", () =>
      Effect.gen(function*() {
        const file = yield* read(wav(audio, { declared: 100_000, after: [tags] }))
        assert.deepStrictEqual(file.bytes, audio)
        assert.match(file.late.join(), /shorter than its header declares \(64000 of 100000 bytes/)
      }))

    it.effect("none, with tags behind it: no audio, and no more", () =>
      Effect.gen(function*() {
        for (const after of [[tags], [chunk("fact", le(0, 4)), tags], [chunk("PEAK", new Uint8Array(16))], [chunk("LIST", new Uint8Array(3000).fill(77))]]) {
          for (const sizes of [[1_000_000], [45], [1]]) {
            const file = yield* read(wav(new Uint8Array(0), { after }), { sizes })
            assert.strictEqual(file.bytes.length, 0)
            assert.deepStrictEqual(file.late, ["the WAV file holds no audio"])
            if (sizes[0] !== 45) assert.deepStrictEqual([file.early, file.seconds], [[], 0])
          }
        }
      }))

    it.effect("none, with tags behind the audio of a pipe: they are no audio", () =>
      Effect.gen(function*() {
        for (const sizes of [[1_000_000], [1], [64_044 + 6, 100]]) {
          const file = yield* read(join8(wav(audio, { declared: 0 }), tags), { sizes })
          assert.deepStrictEqual(file.bytes, audio)
          assert.deepStrictEqual([file.early, file.late], [[endless], []])
        }
      }))
  })

  describe("in ds64, which RF64 has them in", () => {
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, said: ReadonlyArray<string>]> = [
      ["filled in", rf64(ds64(64_000)), []],
      ["filled in, where the data chunk says 0", wav(audio, { container: "BW64", declared: 0, before: [ds64(64_000)] }), []],
      ["zeros", rf64(ds64(0)), ["the WAV file's ds64 chunk was never filled in: it declares 0 bytes of audio", endless]],
      ["still JUNK", rf64(chunk("JUNK", new Uint8Array(28))), ["the WAV file has no ds64 chunk, which RF64 files need", endless]],
      ["missing", rf64(), ["the WAV file has no ds64 chunk, which RF64 files need", endless]],
      ["cut off", rf64(ds64(64_000, 12)), ["the WAV file's ds64 chunk has 12 bytes, it needs 28", endless]],
      ["all ones", rf64(chunk("ds64", new Uint8Array(28).fill(255))), [
        `the WAV file's ds64 chunk declares ${2n ** 64n - 1n} bytes of audio`,
        endless
      ]],
      ["too small", rf64(ds64(32_000)), ["the size of the WAV file's data chunk is wrong: audio goes on after the 32000 bytes that it declares"]]
    ]
    for (const [name, bytes, said] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          const file = yield* read(bytes)
          assertTone(file)
          assert.deepStrictEqual([...file.early, ...file.late], said)
        }))
    }
  })
})
