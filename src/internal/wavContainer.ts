/**
 * How wide samples are stored where a header says two things: 24 bits, say, and a block align of 4 bytes. Players
 * disagree; the audio shows it, as soon as it is more than zeros.
 */
import { concat, copy } from "./bytes.ts"
import type { WavFormat } from "./wavFormat.ts"

/** Passes audio through, and holds it back while its width is not known. */
export interface Container {
  /** Audio that can be read by {@link Container.format}. */
  readonly push: (chunk: Uint8Array) => Uint8Array
  /** What was held back; its width is decided by what there was. */
  readonly flush: () => Uint8Array
  /** How the audio that was given out last is stored. */
  readonly format: () => WavFormat
}

/** Samples that show their width. */
const enough = 64

/** A {@link Container} for audio of this format; `note` is told how it was decided, if there was a doubt. */
export const make = (wav: WavFormat, note: (text: string) => void): Container => {
  const { channels, sampleBytes, widerBytes } = wav
  let format = wav
  const through: Container = { push: (chunk) => chunk, flush: () => empty, format: () => format }
  if (widerBytes === undefined) return through

  const unit = sampleBytes * widerBytes * channels
  let held: Uint8Array = empty
  let isDecided = false
  /** Goes over to wider samples where they are: to be read as they are, or shifted up where they fill the low bytes. */
  let isLow = false
  const decide = (audio: Uint8Array): void => {
    isDecided = true
    const position = positionIn(audio, sampleBytes, widerBytes)
    const bits = sampleBytes * 8
    const align = `the WAV header contradicts itself: its block align is ${widerBytes * channels}, and ${channels} channels of ${bits} bits make ${sampleBytes * channels}`
    if (position === undefined) return note(`${align}; the audio agrees with the bits`)
    isLow = position === "low"
    format = { ...wav, sampleBytes: widerBytes, frameBytes: widerBytes * channels }
    note(`${align}; the audio agrees with the block align`)
  }
  const shiftUp = (audio: Uint8Array): Uint8Array => {
    const up = widerBytes - sampleBytes
    const out = new Uint8Array(audio.length)
    for (let at = 0; at + up < audio.length; at++) if (at % widerBytes < sampleBytes) out[at + up] = audio[at] ?? 0
    return out
  }
  let rest: Uint8Array = empty
  const give = (audio: Uint8Array): Uint8Array => {
    if (!isLow) return audio
    const joined = concat(rest, audio)
    const whole = joined.length - (joined.length % widerBytes)
    rest = copy(joined.subarray(whole))
    return shiftUp(joined.subarray(0, whole))
  }
  return {
    push: (chunk) => {
      if (isDecided) return give(chunk)
      held = concat(held, chunk)
      const loud = held.findIndex((byte) => byte !== 0)
      // whole samples of either width: zeros are silence in both
      const silence = (loud < 0 ? held.length : loud) - ((loud < 0 ? held.length : loud) % unit)
      const zeros = held.subarray(0, silence)
      const audio = held.subarray(silence)
      if (audio.length < enough * widerBytes * channels) {
        held = copy(audio)
        return zeros
      }
      held = empty
      decide(audio)
      return give(concat(zeros, audio))
    },
    flush: () => {
      const audio = held
      held = empty
      if (isDecided || audio.length === 0) return empty
      decide(audio)
      return give(audio)
    },
    format: () => format
  }
}

/** Where in wider samples the narrow ones are: in the high bytes over zeros, in the low bytes under their sign, or nowhere. */
const positionIn = (audio: Uint8Array, sampleBytes: number, widerBytes: number): "high" | "low" | undefined => {
  const spare = widerBytes - sampleBytes
  let [isHigh, isLow] = [audio.length >= widerBytes, audio.length >= widerBytes]
  for (let at = 0; at + widerBytes <= audio.length; at += widerBytes) {
    const sign = (audio[at + sampleBytes - 1] ?? 0) >= 128 ? 0xff : 0
    for (let index = 0; index < spare; index++) {
      isHigh &&= audio[at + index] === 0
      isLow &&= audio[at + sampleBytes + index] === sign
    }
  }
  return isHigh ? "high" : isLow ? "low" : undefined
}

const empty = new Uint8Array(0)
