/**
 * WAV audio in any coding to linear16 mono at another rate, piece by piece: a live pipe is converted as it flows, and
 * an hour of audio takes no more memory than a second of it. `wavefile` decodes and resamples; this cuts its work.
 */
import type { WaveFile } from "wavefile"
import { concat, copy } from "./bytes.ts"
import * as wavContainer from "./wavContainer.ts"
import type { WavFormat } from "./wavFormat.ts"
import * as wavLooks from "./wavLooks.ts"
import * as wavMix from "./wavMix.ts"

interface Library {
  readonly WaveFile: typeof WaveFile
}
/**
 * Loads wavefile. Called only where a file is converted, as loading it costs start-up time. Its type declarations
 * promise both forms of the module at once, but each loader gives one: Node has the CommonJS build, whose exports are
 * in `default`; webpack and rollup take the package's `module` field, an ES module without a `default`.
 */
export const load = async (): Promise<typeof WaveFile> => {
  const module: Library | { readonly default: Library } = await import("wavefile")
  return "default" in module ? module.default.WaveFile : module.WaveFile
}

/** Converts chunks of any size. */
export interface Converter {
  /** What can be given out after this chunk, in order. */
  readonly push: (chunk: Uint8Array) => Array<Uint8Array>
  /** What is left at the end. */
  readonly flush: () => Array<Uint8Array>
  /** What has been found odd in the audio since this was asked last, for people. */
  readonly notes: () => ReadonlyArray<string>
}

/** What to convert to: linear16 of one channel, or of all, at a rate in Hz. */
export interface Target {
  readonly sampleRate: number
  readonly channel: wavMix.Channel
}

/** A {@link Converter} of audio in this format. */
export const make = (wavefile: typeof WaveFile, wav: WavFormat, { channel, sampleRate }: Target): Converter => {
  let noted: Array<string> = []
  const note = (text: string): void => void noted.push(text)
  const decoder = makeDecoder(wavefile, wav, note)
  const mixer = wavMix.make({ ...wav, channel }, note)
  const out = sampleRate === wav.sampleRate
    ? { push: pack, flush: () => [] }
    : makeResampler(wavefile, wav.sampleRate, sampleRate)
  return {
    push: (chunk) => out.push(mixer.push(decoder.push(chunk))),
    flush: () => [...out.push(mixer.push(decoder.flush())), ...out.push(mixer.flush()), ...out.flush()],
    notes: () => {
      const since = noted
      noted = []
      return since
    }
  }
}

interface Decoder {
  /** Samples in units of 16 bits, one channel after the other. */
  readonly push: (chunk: Uint8Array) => Float64Array
  readonly flush: () => Float64Array
}

const makeDecoder = (wavefile: typeof WaveFile, wav: WavFormat, note: (text: string) => void): Decoder => {
  const toSamples = wav.codec === "ima-adpcm" ? decodeAdpcm : decode
  const container = wavContainer.make(wav, note)
  const look = wavLooks.make(wav, note)
  let carried: Uint8Array = new Uint8Array(0)
  const decodeWhole = (chunk: Uint8Array): Float64Array => {
    const bytes = concat(carried, chunk)
    const stored = container.format()
    const whole = bytes.length - (bytes.length % stored.frameBytes)
    carried = copy(bytes.subarray(whole))
    if (whole === 0) return new Float64Array(0)
    look(bytes.subarray(0, whole))
    return toSamples(wavefile, stored, bytes.subarray(0, whole))
  }
  return {
    push: (chunk) => decodeWhole(container.push(chunk)),
    flush: () => decodeWhole(container.flush())
  }
}

const decode = (wavefile: typeof WaveFile, wav: WavFormat, data: Uint8Array): Float64Array => {
  const file = new wavefile(asWav(wav, data))
  if (wav.codec === "alaw") file.fromALaw()
  if (wav.codec === "mulaw") file.fromMuLaw()
  const samples = file.getSamples(true)
  // wavefile's own change of bit depth is wrong for very small floats, and clips nothing
  if (wav.codec === "float") return samples.map((sample) => sample * 32_768)
  if (wav.codec === "pcm" && wav.sampleBytes === 1) return samples.map((sample) => (sample - 128) * 256)
  if (wav.codec === "pcm") return samples.map((sample) => sample / 256 ** (wav.sampleBytes - 2))
  return samples
}

/** wavefile leaves the last block out, gives each block's first sample twice, and pads the end with zeros. */
const decodeAdpcm = (wavefile: typeof WaveFile, wav: WavFormat, data: Uint8Array): Float64Array => {
  const blocks = data.length / wav.frameBytes
  const padded = new Uint8Array(data.length + 1)
  padded.set(data)
  const file = new wavefile(asWav(wav, padded))
  file.fromIMAADPCM()
  const blockSamples = (wav.frameBytes - 4) * 2 + 2
  return file.getSamples(true).subarray(0, blocks * blockSamples).filter((_, index) => index % blockSamples !== 0)
}

const pack = (samples: Float64Array): Array<Uint8Array> => {
  if (samples.length === 0) return []
  const out = new DataView(new ArrayBuffer(samples.length * 2))
  samples.forEach((sample, index) => {
    out.setInt16(index * 2, Math.max(-32_768, Math.min(32_767, Math.round(sample))), true)
  })
  return [new Uint8Array(out.buffer)]
}

/** Audio that a block is resampled from, apart from its margins. Short, since it is what a live pipe waits for. */
const blockSeconds = 0.1
/** Margin on either side of a block, long enough for the low-pass filter to ring out. */
const marginSeconds = 0.02

/**
 * Resamples in blocks with margins that are cut off again, so that the seams do not show. Blocks and margins are
 * whole multiples of the shortest stretch that has whole samples at both rates.
 */
const makeResampler = (
  wavefile: typeof WaveFile,
  from: number,
  to: number
): { readonly push: (samples: Float64Array) => Array<Uint8Array>; readonly flush: () => Array<Uint8Array> } => {
  const divisor = greatestCommonDivisor(from, to)
  const stepIn = from / divisor
  const stepOut = to / divisor
  const block = Math.ceil((blockSeconds * from) / stepIn)
  const margin = Math.ceil((marginSeconds * from) / stepIn)
  const steps = block + 2 * margin
  // wavefile lays its first output sample on the first input sample, and its last one short of the last
  const window = steps * stepIn + 1
  let held = new Float64Array(margin * stepIn)
  let received = 0
  let given = 0

  const take = (): Array<Uint8Array> => {
    const out: Array<Uint8Array> = []
    let at = 0
    for (; held.length - at >= window; at += block * stepIn) {
      const file = new wavefile()
      // lengths stand for the rates: their ratio is what wavefile takes from these, and so it is exact for a window
      file.fromScratch(1, window, "16", held.subarray(at, at + window))
      file.toSampleRate(steps * stepOut + 0.5, { method: "sinc", LPF: true })
      out.push(...pack(file.getSamples(true).subarray(margin * stepOut, (margin + block) * stepOut)))
      given += block * stepOut
    }
    if (at > 0) held = held.slice(at)
    return out
  }
  const append = (samples: Float64Array): void => {
    const joined = new Float64Array(held.length + samples.length)
    joined.set(held)
    joined.set(samples, held.length)
    held = joined
  }

  return {
    push: (samples) => {
      received += samples.length
      append(samples)
      return take()
    },
    flush: () => {
      let left = Math.round((received * to) / from) - given
      const blocks = Math.ceil(left / (block * stepOut))
      if (blocks <= 0) return []
      append(new Float64Array(window + (blocks - 1) * block * stepIn - held.length))
      return take().flatMap((piece) => {
        const kept = piece.subarray(0, Math.max(0, left) * 2)
        left -= piece.length / 2
        return kept.length === 0 ? [] : [kept]
      })
    }
  }
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b))

const formatTags = { pcm: 1, float: 3, alaw: 6, mulaw: 7, "ima-adpcm": 0x11 }

/** A WAV file of a piece of audio, for wavefile to read. */
const asWav = (wav: WavFormat, data: Uint8Array): Uint8Array => {
  // not padded to an even length: wavefile would take the padding for a sample
  const file = new Uint8Array(44 + data.length)
  const fields = new DataView(file.buffer)
  const text = (at: number, id: string): void => void new TextEncoder().encodeInto(id, file.subarray(at))
  text(0, "RIFF")
  fields.setUint32(4, file.length - 8, true)
  text(8, "WAVEfmt ")
  fields.setUint32(16, 16, true)
  fields.setUint16(20, formatTags[wav.codec], true)
  fields.setUint16(22, wav.channels, true)
  fields.setUint32(24, wav.sampleRate, true)
  fields.setUint32(28, wav.sampleRate * wav.frameBytes, true)
  fields.setUint16(32, wav.frameBytes, true)
  fields.setUint16(34, wav.sampleBytes === 0 ? 4 : wav.sampleBytes * 8, true)
  text(36, "data")
  fields.setUint32(40, data.length, true)
  file.set(data, 44)
  return file
}
