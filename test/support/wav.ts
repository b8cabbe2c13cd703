/** WAV files made byte by byte, and what {@link AudioFile} makes of them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as AudioFile from "../../src/AudioFile.ts"
import { FluxError } from "../../src/FluxError.ts"

export interface Wav {
  readonly tag?: number
  readonly channels?: number
  readonly sampleRate?: number
  readonly bits?: number
  readonly blockAlign?: number
  readonly byteRate?: number
  readonly container?: string
  readonly fmtTail?: Uint8Array
  readonly before?: ReadonlyArray<Uint8Array>
  readonly after?: ReadonlyArray<Uint8Array>
  /** What the data chunk says of its size, where that is not the truth. */
  readonly declared?: number
  /** What the fmt chunk and the file say of their sizes, where that is not the truth. */
  readonly fmtBytes?: number
  readonly riffBytes?: number
}

export const text = (id: string): Uint8Array => new TextEncoder().encode(id)
export const join8 = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))
export const le = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) % 256)
export const chunk = (id: string, body: Uint8Array, declared = body.length): Uint8Array =>
  join8(text(id), le(declared, 4), body, new Uint8Array(body.length % 2))

export const wav = (data: Uint8Array, options: Wav = {}): Uint8Array => {
  const { bits = 16, channels = 1, sampleRate = 16_000, tag = 1 } = options
  const blockAlign = options.blockAlign ?? channels * Math.ceil(bits / 8)
  const fmt = join8(
    le(tag, 2),
    le(channels, 2),
    le(sampleRate, 4),
    le(options.byteRate ?? (sampleRate * blockAlign) % 2 ** 32, 4),
    le(blockAlign, 2),
    le(bits, 2),
    options.fmtTail ?? new Uint8Array(0)
  )
  const body = join8(
    text("WAVE"),
    ...options.before ?? [],
    chunk("fmt ", fmt, options.fmtBytes),
    chunk("data", data, options.declared),
    ...options.after ?? []
  )
  return join8(text(options.container ?? "RIFF"), le(options.riffBytes ?? body.length, 4), body)
}

export const subformat = (tag: number): Uint8Array =>
  join8(le(22, 2), le(16, 2), le(4, 4), le(tag, 2), Buffer.from("000000001000800000aa00389b71", "hex"))

/** Cuts bytes into pieces whose lengths go round through `sizes`. */
export const pieces = (bytes: Uint8Array, sizes: ReadonlyArray<number> = [4096]): Stream.Stream<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    out.push(bytes.subarray(at, at + size))
    at += size
  }
  return Stream.fromIterable(out)
}

export const read = Effect.fnUntraced(function*(
  bytes: Uint8Array | Stream.Stream<Uint8Array>,
  options: AudioFile.Options & { readonly sizes?: ReadonlyArray<number> } = {}
) {
  const warnings: Array<string> = []
  const { sizes, ...rest } = options
  const file = yield* AudioFile.openWav(bytes instanceof Uint8Array ? pieces(bytes, sizes) : bytes, {
    ...rest,
    onWarning: (warning) => Effect.sync(() => void warnings.push(warning))
  })
  const early = warnings.length
  const audio = join8(...yield* Stream.runCollect(file.audio))
  return { ...file, bytes: audio, samples: samplesOf(audio), early: warnings.slice(0, early), late: warnings.slice(early) }
})

export const samplesOf = (bytes: Uint8Array): Array<number> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / 2) }, (_, index) => view.getInt16(index * 2, true))
}

export const pcm16 = (samples: ReadonlyArray<number>): Uint8Array =>
  new Uint8Array(Int16Array.from(samples).buffer)

export const floats = (values: ReadonlyArray<number>, bytes: 4 | 8): Uint8Array =>
  new Uint8Array((bytes === 4 ? Float32Array.from(values) : Float64Array.from(values)).buffer)

export const sine = (count: number, sampleRate: number, hertz: number, amplitude: number): Array<number> =>
  Array.from({ length: count }, (_, index) => amplitude * Math.sin((2 * Math.PI * hertz * index) / sampleRate))

/** Samples of 16 bits of a tone of 440 Hz that everybody knows when they hear it: two seconds, an amplitude of 8000. */
export const tone = (sampleRate = 16_000, seconds = 2): Array<number> =>
  sine(sampleRate * seconds, sampleRate, 440, 8000).map(Math.round)

/** Seconds, loudness (8000 / sqrt 2 is 5657) and pitch of linear16, by its zero crossings. */
export const heard = (
  { format, samples }: { readonly format: { readonly sampleRate: number }; readonly samples: ReadonlyArray<number> }
): { readonly seconds: number; readonly rms: number; readonly hertz: number } => {
  const seconds = samples.length / format.sampleRate
  const power = samples.reduce((sum, sample) => sum + sample ** 2, 0)
  const crossings = samples.filter((sample, at) => at > 0 && (sample >= 0) !== ((samples[at - 1] ?? 0) >= 0)).length
  return { seconds, rms: Math.round(Math.sqrt(power / samples.length)), hertz: Math.round(crossings / 2 / seconds) }
}

/** That this is the {@link tone}, whole: 2.00 s, rms 5657, 440 Hz. */
export const assertTone = (file: Parameters<typeof heard>[0], seconds = 2): void => {
  const found = heard(file)
  assert.closeTo(found.seconds, seconds, 0.01)
  assert.closeTo(found.rms, 5657, 60)
  assert.closeTo(found.hertz, 440, 2)
}

/** What an `UnsupportedAudio` says. */
export const detailOf = (error: unknown): string => {
  assert.instanceOf(error, FluxError)
  assert.strictEqual(error.stage, "settings")
  assert.strictEqual(error.reason._tag, "UnsupportedAudio")
  return error.reason._tag === "UnsupportedAudio" ? error.reason.detail : ""
}

