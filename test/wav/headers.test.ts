/**
 * A header whose fields are at random, around a tone that everybody knows. Either the tone comes out, or somebody is told
 * of a field; never other audio without a word.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AudioFile from "../../src/AudioFile.ts"
import { chunk, detailOf, heard, join8, le, pieces, samplesOf, subformat, text, tone, type Wav, wav } from "../support/wav.ts"

const seconds = 0.25

/** The tone as each coding stores it. */
const stored = {
  "8-bit": { bits: 8, tag: 1, of: (sample: number) => Uint8Array.of(Math.round(sample / 256) + 128) },
  "16-bit": { bits: 16, tag: 1, of: (sample: number) => le(sample + 2 ** 16, 2) },
  "24-bit": { bits: 24, tag: 1, of: (sample: number) => le(sample * 256 + 2 ** 24, 3) },
  "32-bit": { bits: 32, tag: 1, of: (sample: number) => le(sample * 65_536 + 2 ** 32, 4) },
  float: { bits: 32, tag: 3, of: (sample: number) => new Uint8Array(Float32Array.of(sample / 32_768).buffer) }
}
const codings = ["8-bit", "16-bit", "24-bit", "32-bit", "float"] as const
type Coding = typeof codings[number]

const recordings = new Map<string, Uint8Array>()
const recorded = (coding: Coding, channels: number, sampleRate: number): Uint8Array => {
  const key = [coding, channels, sampleRate].join()
  const audio = recordings.get(key) ??
    join8(...tone(sampleRate, seconds).flatMap((sample) => Array.from({ length: channels }, () => stored[coding].of(sample))))
  recordings.set(key, audio)
  return audio
}

const sizes = [0, 1, 2, 3, 4, 8, 15, 16, 17, 18, 20, 36, 40, 44, 100, 3999, 16_000, 2 ** 16, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 0x7ffff000, 2 ** 32 - 37, 2 ** 32 - 1]
const rates = [0, 1, 999, 8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 2 ** 31, 2 ** 32 - 1]
const fields = {
  tag: [0, 1, 2, 3, 6, 7, 0x11, 0x31, 0x55, 0xfffe, 0xffff],
  channels: [0, 1, 2, 3, 4, 6, 8, 255, 65_535],
  sampleRate: rates,
  byteRate: [...rates, 64_000, 88_200, 128_000, 176_400, 192_000],
  blockAlign: [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 256, 65_535],
  bits: [0, 1, 4, 7, 8, 9, 12, 15, 16, 17, 20, 23, 24, 25, 31, 32, 33, 48, 64, 65_535],
  declared: sizes,
  fmtBytes: sizes,
  riffBytes: sizes,
  listBytes: sizes
}
type Field = keyof typeof fields

/** What a message about a field may call it, or what it contradicts. */
const names: Readonly<Record<Field, RegExp>> = {
  tag: /codec|bits|GUID|block align/,
  channels: /channels|block align/,
  sampleRate: /sample rate|byte rate/,
  byteRate: /byte rate/,
  blockAlign: /block align/,
  bits: /bits|block align/,
  declared: /size|declare|say how long|no audio/,
  fmtBytes: /fmt|no data chunk|cut off/,
  riffBytes: /RIFF|size/,
  listBytes: /LIST|before its data chunk|no data chunk|cut off/
}

const change = Schema.Union(
  // each with the name of its own field
  (Object.keys(fields) as Array<Field>).map((field) =>
    Schema.Struct({ field: Schema.Literal(field), value: Schema.Literals(fields[field]) })
  )
)

describe("a header whose fields are at random", () => {
  it.effect.prop(
    "gives the tone, or tells of a field",
    {
      coding: Schema.Literals(codings),
      channels: Schema.Literals([1, 2]),
      sampleRate: Schema.Literals([8000, 16_000, 48_000]),
      shape: Schema.Literals(["plain", "plain", "extensible", "with an odd LIST", "with a LIST after it", "RF64"]),
      changes: Schema.Array(change).check(Schema.isMaxLength(2)),
      pieceBytes: Schema.Literals([999, 4096, 1_000_000])
    },
    ({ changes, channels, coding, pieceBytes, sampleRate, shape }) =>
      Effect.gen(function*() {
        const how = stored[coding]
        const audio = recorded(coding, channels, sampleRate)
        const list = chunk("LIST", text("INFOIKEYx"))
        const good: Wav & { listBytes?: number } = {
          tag: how.tag,
          bits: how.bits,
          channels,
          sampleRate,
          blockAlign: (channels * how.bits) / 8,
          byteRate: (sampleRate * channels * how.bits) / 8,
          ...(shape === "extensible" ? { tag: 0xfffe, fmtTail: subformat(how.tag) } : {}),
          ...(shape === "RF64" ? { container: "RF64", declared: 2 ** 32 - 1 } : {})
        }
        const given = { ...good, ...Object.fromEntries(changes.map(({ field, value }) => [field, value])) }
        const ds64 = chunk("ds64", join8(le(0, 8), le(audio.length, 8), le(0, 12)))
        const bytes = wav(audio, {
          ...given,
          before: shape === "RF64" ? [ds64] : shape === "with an odd LIST" ? [join8(text("LIST"), le(given.listBytes ?? 9, 4), list.subarray(8))] : [],
          after: shape === "with a LIST after it" ? [list] : []
        })

        // a file of another kind, of which every field says the same: nobody can know
        const isAnother = given.blockAlign === (given.channels ?? 0) * Math.ceil((given.bits ?? 0) / 8) &&
          given.byteRate === (given.sampleRate ?? 0) * given.blockAlign &&
          changes.some(({ field }) => field === "channels" || field === "sampleRate" || field === "bits" || (field === "tag" && coding === "8-bit"))
        if (isAnother) return

        const said: Array<string> = []
        const isTold = () => changes.some(({ field }) => said.some((text) => names[field].test(text)))
        const onWarning = (warning: string) => Effect.sync(() => void said.push(warning))
        const opened = yield* Effect.result(AudioFile.openWav(pieces(bytes, [pieceBytes]), { onWarning }))
        if (Result.isFailure(opened)) said.push(detailOf(opened.failure))
        if (isTold()) return
        assert.isTrue(Result.isSuccess(opened), said.join("\n"))
        if (!Result.isSuccess(opened)) return
        const { audio: converted, format } = opened.success
        const samples = samplesOf(join8(...yield* Stream.runCollect(converted)))
        if (isTold()) return
        const found = heard({ format, samples })
        assert.closeTo(found.seconds, seconds, 0.01, said.join("\n"))
        assert.closeTo(found.hertz, 440, 6)
        assert.closeTo(found.rms, 5657, 60)
      }),
    { arbitrary: { runs: 300, seed: "headers" }, timeout: 60_000 }
  )
})
