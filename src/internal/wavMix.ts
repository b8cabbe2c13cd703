/**
 * One channel of several: the first, the second, or the mean of all. Channels that cancel each other out, as where the
 * wires of one were swapped, would leave silence: only one of them goes into the mean then.
 *
 * A block of 20 ms is weighed by itself, so that a live pipe does not wait and nothing is lost where the channels change;
 * from one block to the next the weights slide in 2 ms, so that no seam is heard.
 */

/** The first channel, the second, or the mean of all. */
export type Channel = "left" | "right" | "mix"

/** Makes interleaved samples, in units of 16 bits, into those of one channel. */
export interface Mixer {
  /** Takes whole frames, any number of them. */
  readonly push: (interleaved: Float64Array) => Float64Array
  /** What is left at the end. */
  readonly flush: () => Float64Array
}

const blockSeconds = 0.02
/** Mean power of a channel that is heard, about -78 dB of full scale. */
const audible = 4 ** 2
/** Channels cancel out where their sum has less than this part of their power; independent ones have all of it. */
const cancelled = 0.1
/** Those that do go on doing so up to this part, lest the weights flutter. */
const stillCancelled = 0.3
/** The part of a block in which weights go over to others: 2 ms make no click, and lose next to nothing. */
const slide = 0.1
/** Blocks in a row that are worth a word. */
const lasting = 5

/** A {@link Mixer}; `note` is told once that a channel is left out. */
export const make = (
  { channel, channels, sampleRate }: { readonly channel: Channel; readonly channels: number; readonly sampleRate: number },
  note: (text: string) => void
): Mixer => {
  const none = new Float64Array(0)
  if (channels === 1) return { push: (samples) => samples, flush: () => none }
  if (channel !== "mix") {
    const index = channel === "left" ? 0 : 1
    return { push: (samples) => pick(samples, channels, index), flush: () => none }
  }

  const blockSamples = Math.ceil(blockSeconds * sampleRate) * channels
  let held = none
  let weights: ReadonlyArray<number> | undefined
  let heard = 0
  let inARow = 0
  let isTold = false

  const tell = (): void => {
    isTold = true
    const out = (weights ?? []).flatMap((weight, index) => weight === 0 ? [nameOf(index, channels)] : [])
    note(`the channels of the WAV file cancel each other out: the mix leaves out ${out.join(", ")}`)
  }
  const mixBlock = (block: Float64Array): Float64Array => {
    const now = weigh(block, channels, weights)
    if (now !== undefined) {
      heard++
      inARow = now.includes(0) ? inARow + 1 : 0
    }
    const to = now ?? weights ?? Array.from({ length: channels }, () => 1 / channels)
    const out = mean(block, weights ?? to, to)
    weights = to
    if (!isTold && inARow >= lasting) tell()
    return out
  }
  return {
    push: (samples) => {
      const joined = new Float64Array(held.length + samples.length)
      joined.set(held)
      joined.set(samples, held.length)
      const out = new Float64Array(Math.floor(joined.length / blockSamples) * (blockSamples / channels))
      let at = 0
      for (; joined.length - at >= blockSamples; at += blockSamples) {
        out.set(mixBlock(joined.subarray(at, at + blockSamples)), at / channels)
      }
      held = joined.slice(at)
      return out
    },
    flush: () => {
      const out = held.length === 0 ? none : mixBlock(held)
      held = none
      // a file may be too short for a word on the way
      if (!isTold && inARow > 0 && inARow === heard) tell()
      return out
    }
  }
}

const nameOf = (index: number, channels: number): string =>
  channels === 2 ? `the ${index === 0 ? "left" : "right"} one` : `channel ${index + 1}`

const pick = (samples: Float64Array, channels: number, index: number): Float64Array =>
  Float64Array.from({ length: samples.length / channels }, (_, frame) => samples[frame * channels + index] ?? 0)

/** The weight of each channel in a block; undefined where nothing is heard. */
const weigh = (
  block: Float64Array,
  channels: number,
  before: ReadonlyArray<number> | undefined
): ReadonlyArray<number> | undefined => {
  const frames = block.length / channels
  const power = Array.from({ length: channels }, (_, index) => powerOf(block, channels, [index]))
  const heard = power.flatMap((value, index) => value >= audible * frames ? [index] : [])
  if (heard.length === 0) return undefined
  const wasOut = (index: number): boolean => before?.[index] === 0
  const isCancelled = (indices: ReadonlyArray<number>): boolean => {
    const limit = indices.some(wasOut) ? stillCancelled : cancelled
    return powerOf(block, channels, indices) < limit * indices.reduce((sum, index) => sum + (power[index] ?? 0), 0)
  }
  // the loudest first, and whoever was left out before only if it is far louder
  const rank = (index: number): number => (power[index] ?? 0) * (wasOut(index) ? 0.25 : 1)
  const ranked = heard.toSorted((a, b) => rank(b) - rank(a))
  const out = new Set<number>()
  for (const [at, index] of ranked.entries()) {
    if (ranked.slice(0, at).some((other) => !out.has(other) && isCancelled([other, index]))) out.add(index)
  }
  const kept = ranked.filter((index) => !out.has(index))
  // three may cancel out where no two do
  if (kept.length > 2 && isCancelled(kept)) for (const index of kept.slice(1)) out.add(index)
  return power.map((_, index) => out.has(index) ? 0 : 1 / (channels - out.size))
}

/** The power of a sum of channels. */
const powerOf = (block: Float64Array, channels: number, indices: ReadonlyArray<number>): number => {
  let power = 0
  for (let at = 0; at < block.length; at += channels) {
    let sum = 0
    for (const index of indices) sum += block[at + index] ?? 0
    power += sum * sum
  }
  return power
}

/** The sum of channels by weights that slide from the one to the other. */
const mean = (block: Float64Array, from: ReadonlyArray<number>, to: ReadonlyArray<number>): Float64Array => {
  const channels = to.length
  const frames = block.length / channels
  const out = new Float64Array(frames)
  for (let frame = 0; frame < frames; frame++) {
    const part = Math.min(1, (frame + 1) / (frames * slide))
    let sum = 0
    for (let index = 0; index < channels; index++) {
      const [start = 0, end = 0] = [from[index], to[index]]
      sum += (block[frame * channels + index] ?? 0) * (start + (end - start) * part)
    }
    out[frame] = sum
  }
  return out
}
