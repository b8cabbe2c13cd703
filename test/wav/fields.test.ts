/** Fields of a fmt chunk that contradict each other: players believe channels, rate and bits; the audio shows the rest. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { assertTone, detailOf, floats, join8, le, pcm16, read, subformat, tone, type Wav, wav } from "../support/wav.ts"

const samples = tone()
const audio = pcm16(samples)
/** The tone as whole numbers of so many bytes, `shift` bits up and a little more. */
const whole = (bytes: number, shift: number, more = 0): Uint8Array => {
  const out = new Uint8Array(samples.length * bytes)
  const view = new DataView(new ArrayBuffer(8))
  samples.forEach((sample, at) => {
    view.setInt32(0, sample * 2 ** shift + more, true)
    out.set(new Uint8Array(view.buffer, 0, bytes), at * bytes)
  })
  return out
}
const contradiction = (wrong: string, bits = 16) =>
  `the WAV header contradicts itself: its ${wrong}; channels (1), sample rate (16000) and bits (${bits}) are believed`
const width = (align: number, bits: number, agrees: "bits" | "block align") =>
  `the WAV header contradicts itself: its block align is ${align}, and 1 channels of ${bits} bits make ${bits / 8}; the audio agrees with the ${agrees}`
const noGuid = "the WAV header's codec is WAVE_FORMAT_EXTENSIBLE (0xfffe) without the GUID that says which: it is read as PCM"
const validBits = (bits: number) => join8(le(22, 2), le(bits, 2), subformat(1).subarray(4))

describe("fields that contradict each other", () => {
  const cases: ReadonlyArray<readonly [name: string, data: Uint8Array, fields: Wav, said: ReadonlyArray<string>]> = [
    ["a byte rate of 0", audio, { byteRate: 0 }, [contradiction("byte rate is 0 in place of 32000")]],
    ["a byte rate in bits", audio, { byteRate: 256_000 }, [contradiction("byte rate is 256000 in place of 32000")]],
    ["a block align of 0", audio, { blockAlign: 0, byteRate: 32_000 }, [contradiction("block align is 0 in place of 2")]],
    ["a block align of 1", audio, { blockAlign: 1 }, [contradiction("block align is 1 in place of 2, and its byte rate is 16000 in place of 32000")]],
    ["a block align of 16 bits in 4 bytes, which are in 2", audio, { blockAlign: 4 }, [width(4, 16, "bits")]],
    ["24 bits, a block align of 4, in 3 bytes", whole(3, 8), { bits: 24, blockAlign: 4 }, [width(4, 24, "bits")]],
    ["24 bits, a block align of 4, in the high bytes of 4", whole(4, 16), { bits: 24, blockAlign: 4 }, [width(4, 24, "block align")]],
    ["24 bits, a block align of 4, in the low bytes of 4", whole(4, 8, 77), { bits: 24, blockAlign: 4 }, [width(4, 24, "block align")]],
    ["16 bits in the high bytes of 4", whole(4, 16), { bits: 16, blockAlign: 4 }, [width(4, 16, "block align")]],
    ["16 bits in the low bytes of 3", whole(3, 0), { bits: 16, blockAlign: 3 }, [width(3, 16, "block align")]],
    ["20 bits in 3 bytes", whole(3, 8), { bits: 20, blockAlign: 3 }, []],
    ["20 bits in 4 bytes", whole(4, 16), { bits: 20, blockAlign: 4 }, [
      "the WAV header declares 20 bits a sample and a block align of 4: a sample is read as 32 bits"
    ]],
    ["12 bits in 2 bytes", audio, { bits: 12 }, []],
    ["0xFFFE in a fmt chunk of 16 bytes", audio, { tag: 0xfffe }, [noGuid]],
    ["0xFFFE in a fmt chunk of 18 bytes", audio, { tag: 0xfffe, fmtTail: le(0, 2) }, [noGuid]],
    ["0xFFFE in a fmt chunk that ends in its GUID", audio, { tag: 0xfffe, fmtTail: subformat(1).subarray(0, 12) }, [noGuid]],
    ["0xFFFE with a GUID of zeros", audio, { tag: 0xfffe, fmtTail: new Uint8Array(24) }, [noGuid]],
    ["0xFFFE with a wrong cbSize", audio, { tag: 0xfffe, fmtTail: join8(le(0, 2), subformat(1).subarray(2)) }, []],
    ["0xFFFE with 24 valid bits of 32", whole(4, 16), { tag: 0xfffe, bits: 32, fmtTail: validBits(24) }, []],
    ["0xFFFE with more valid bits than bits", audio, { tag: 0xfffe, fmtTail: validBits(24) }, []],
    ["0xFFFE with the GUID of Ambisonics", audio, {
      tag: 0xfffe,
      fmtTail: join8(subformat(1).subarray(0, 8), Buffer.from("010000002107d3118644c8c1ca000000", "hex"))
    }, []],
    ["PCM with a cbSize that says more", audio, { fmtTail: le(22, 2) }, []],
    ["PCM whose GUID says float", audio, { fmtTail: subformat(3) }, [
      "the WAV header's codec is 0x0001, and 0x0003 in its GUID: the first is believed"
    ]]
  ]
  for (const [name, data, fields, said] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        for (const sizes of [[1_000_000], [1001]]) {
          const file = yield* read(wav(data, fields), { sizes })
          assertTone(file)
          assert.deepStrictEqual([...file.early, ...file.late], said)
        }
      }))
  }

  it.effect("a width that silence does not show is looked for as long as it lasts", () =>
    Effect.gen(function*() {
      const silent = (bytes: number) => new Uint8Array(12 * 4000 * bytes)
      const narrow = yield* read(wav(join8(silent(3), whole(3, 8)), { bits: 24, blockAlign: 4 }), { sizes: [1013] })
      assertTone({ ...narrow, samples: narrow.samples.slice(48_000) })
      const wide = yield* read(wav(join8(silent(4), whole(4, 16)), { bits: 24, blockAlign: 4 }), { sizes: [1013] })
      assertTone({ ...wide, samples: wide.samples.slice(-32_000) })
      assert.isTrue(wide.samples.slice(0, -32_000).every((sample) => sample === 0))
    }))

  for (const [encoding, tag] of [["mulaw", 7], ["alaw", 6]] as const) {
    for (const bits of [0, 4, 16]) {
      it.effect(`${encoding} of ${bits} bits`, () =>
        Effect.gen(function*() {
          const law = Uint8Array.from({ length: 8000 }, (_, at) => at % 251)
          const file = yield* read(wav(law, { tag, bits, sampleRate: 8000, blockAlign: 1 }))
          assert.deepStrictEqual(file.format, { encoding, sampleRate: 8000 })
          assert.deepStrictEqual(file.bytes, law)
          assert.deepStrictEqual(file.early, [`the WAV header declares ${bits} bits a sample, and mu-law and A-law have 8: it is read as 8`])
        }))
    }
  }

  it.effect("a codec that mixes up whole numbers and floats of 32 bits", () =>
    Effect.gen(function*() {
      const float = floats(samples.map((sample) => sample / 32_768), 4)
      assert.match((yield* read(wav(float, { bits: 32 }))).late.join(), /codec is PCM, and the audio looks like 32-bit float/)
      assert.match((yield* read(wav(whole(4, 16), { tag: 3, bits: 32 }))).late.join(), /codec is float, and the audio looks like 32-bit PCM/)
      for (const loudness of [1, 0.001]) {
        const right = yield* read(wav(floats(samples.map((sample) => (sample / 32_768) * loudness), 4), { tag: 3, bits: 32 }))
        assert.deepStrictEqual(right.late, [])
      }
      for (const shift of [16, 8, 0]) assert.deepStrictEqual((yield* read(wav(whole(4, shift), { bits: 32 }))).late, [])
    }))

  it.effect("more channels than anybody has are refused", () =>
    Effect.gen(function*() {
      assert.strictEqual(detailOf(yield* Effect.flip(read(wav(audio, { channels: 65_535, blockAlign: 2 })))), "the WAV file declares 65535 channels")
    }))
})
