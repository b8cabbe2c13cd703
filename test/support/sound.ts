/** Synthetic audio whose turns can be told by arithmetic. */
import type { Format } from "../../src/Audio.ts"

/** CommonJS behind a dynamic import, whose default export linters do not see. */
export const { default: { WaveFile } } = await import("wavefile")

export const pcm16: Format = { encoding: "linear16", sampleRate: 16_000 }

/** Signed 16-bit samples as Flux takes them; G.711 by the codecs of wavefile. */
export const encode = (samples: Int16Array, format: Format): Uint8Array => {
  if (format.encoding === "linear16") {
    const bytes = new Uint8Array(samples.length * 2)
    const view = new DataView(bytes.buffer)
    samples.forEach((sample, at) => view.setInt16(at * 2, sample, true))
    return bytes
  }
  const wav = new WaveFile()
  wav.fromScratch(1, format.sampleRate, "16", samples)
  if (format.encoding === "mulaw") wav.toMuLaw()
  else wav.toALaw()
  return Uint8Array.from(wav.getSamples(false, Uint8Array))
}

/** A square tone: its RMS is its amplitude. */
export const tone = (samples: number, amplitude: number): Int16Array =>
  Int16Array.from({ length: samples }, (_, at) => (at % 20 < 10 ? amplitude : -amplitude))

/** Audio drawn in frames of 80 ms: `v` is voiced, `.` is silent, anything else is there to be read. */
export const draw = (pattern: string, format: Format = pcm16): Uint8Array => {
  const frames = [...pattern].filter((mark) => mark === "v" || mark === ".")
  const size = (format.sampleRate * 80) / 1000
  const samples = new Int16Array(frames.length * size)
  frames.forEach((mark, at) => {
    if (mark === "v") samples.set(tone(size, 8000), at * size)
  })
  return encode(samples, format)
}

/** Cuts bytes into pieces of the given sizes, over and over. */
export const cut = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const size = sizes[pieces.length % sizes.length] ?? bytes.length
    pieces.push(bytes.slice(at, at + size))
    at += size
  }
  return pieces
}
