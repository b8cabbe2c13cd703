/**
 * Test audio that says of every sample where it belongs, so that what has arrived can be told to the sample:
 * whatever was dropped, repeated, put in between or cut. Only linear16. Pure.
 *
 * A position is an index of samples, from 0. Samples go in pairs, whose index is written into both of them:
 *
 * ```
 * sample 2i      01 | the low 14 bits of i
 * sample 2i + 1  10 | the high 14 bits of i, plus the low ones, modulo 2^14
 * ```
 *
 * So a stamp is loud, half of full scale and more: the simulator's speech detection takes it for speech without a
 * pause. Where turns matter, let a script say at what times they are.
 *
 * @example
 * const call = Stamp.stream(1280).pipe(Stream.take(100), Audio.paced(format), Transcriber.transcribe())
 * // and then, of the simulator's ledger: stamped is [{ from: 0, to: 128_000 }]
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as keptLists from "../internal/keptList.ts"
import type { Range } from "./Ledger.ts"

/** So many positions there are: 2^29 samples, 9.3 hours at 16 kHz. */
export const maxSamples = 2 ** 29

/** The stamped samples `fromSample` to below `fromSample + samples`. Throws a `RangeError` outside 0 to {@link maxSamples}. */
export const audio = (fromSample: number, samples: number): Uint8Array<ArrayBuffer> => {
  const end = fromSample + samples
  if (!Number.isInteger(fromSample) || !Number.isInteger(samples) || fromSample < 0 || samples < 0 || end > maxSamples) {
    throw new RangeError(`There are no stamps for samples ${fromSample} to ${end}, only for 0 to ${maxSamples}`)
  }
  const bytes = new Uint8Array(samples * 2)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < samples; at++) view.setInt16(at * 2, valueAt(fromSample + at), true)
  return bytes
}

/** Stamped audio in chunks of so many samples, at once and until the stamps are used up: to be taken from, and paced. */
export const stream = (chunkSamples: number, fromSample = 0): Stream.Stream<Uint8Array> =>
  Stream.unfold(fromSample, (from) => {
    const samples = Math.min(chunkSamples, maxSamples - from)
    return Effect.succeed(samples === 0 ? undefined : [audio(from, samples), from + samples])
  })

/** Finds stamped audio among other audio. */
export interface Reader {
  /** Takes linear16 audio, cut anywhere, also within a sample. Keeps nothing of the bytes but half a sample. */
  readonly push: (bytes: Uint8Array) => void
  /**
   * Runs of stamped samples, in order of arrival; a copy. A repeat or a jump begins a new run, other audio in between
   * does not where the positions go on after it.
   */
  readonly ranges: () => Array<Range>
  /** How many ranges were left out for the reader's limit. */
  readonly omitted: () => number
  /** Whole samples without a stamp. */
  readonly otherSamples: () => number
}

/**
 * A new {@link Reader}, which keeps at most `limit` ranges: the first ones and the latest; default all.
 *
 * Other audio is not taken for stamps, as a run counts once two pairs in sequence were seen: a piece of five samples
 * always has them, a shorter one may count as other audio. What is left of a pair that was cut counts too. A single
 * sample that is repeated is one of other audio. Where pairs are cut on both sides of a jump of a multiple of 2^15, or
 * of 2^15 - 2, samples, the two runs meet a sample too early.
 */
export const reader = (limit = Number.POSITIVE_INFINITY): Reader => {
  const runs = keptLists.make<Run>(limit)
  let heard = 0
  let stamped = 0
  let half: number | undefined
  /** The run that goes on with the next sample. */
  let current: Run | undefined
  let latest: Run | undefined
  // while no run goes on:
  let last = 0
  let beforeLast = 0
  /** Samples before this one belong to a run. */
  let free = 0
  /** The sample that was counted to the latest run as the first half of a pair without its second. */
  let tail = never
  /** A pair that begins a run if the next one follows it. */
  let candidate = 0
  let candidateEnd = never
  let beforeCandidate = 0

  const begin = (): void => {
    const firstLow = heard - 3
    let from = candidate * 2
    if (latest?.to !== from && from > 0 && firstLow > free && beforeCandidate === valueAt(from - 1)) from--
    else if (latest !== undefined && tail !== never && (tail === firstLow || latest.to - 1 === from)) {
      // no half pair after all, but the first sample of this run, or another that looked like it
      latest.to--
      stamped--
    }
    if (latest?.to === from) current = latest
    else {
      current = { from, to: from }
      runs.push(current)
    }
    latest = current
    current.to = candidate * 2 + 4
    stamped += current.to - from
    tail = never
  }
  const leave = ({ to }: Run): void => {
    current = undefined
    candidateEnd = never
    free = heard
    last = valueAt(to - 1)
    tail = isLow(last) ? heard - 1 : never
  }
  const search = (sample: number): void => {
    if (isHigh(sample) && isLow(last)) {
      const pair = pairOf(last, sample)
      if (candidateEnd === heard - 2 && pair === candidate + 1) return begin()
      candidate = pair
      candidateEnd = heard
      beforeCandidate = beforeLast
    }
    beforeLast = last
    last = sample
  }
  const take = (sample: number): void => {
    if (current !== undefined && sample === valueAt(current.to)) {
      current.to++
      stamped++
    } else {
      if (current !== undefined) leave(current)
      search(sample)
    }
    heard++
  }

  // the same for many samples at a time: gives back where `take` has to look

  const follow = (run: Run, view: DataView, from: number, end: number): number => {
    if (run.to % 2 !== 0) return from
    let at = from
    let pair = run.to / 2
    while (at + 4 <= end && view.getInt32(at, true) === wordOf(pair)) {
      pair++
      at += 4
    }
    const samples = (at - from) / 2
    run.to += samples
    stamped += samples
    heard += samples
    return at
  }
  const pass = (view: DataView, from: number, end: number): number => {
    let at = from
    let word = (last << 16) | (beforeLast & 0xffff)
    for (; at + 4 <= end; at += 4) {
      const next = view.getInt32(at, true)
      const high = highsOf(next)
      if (high !== 0 && (high & ((lowsOf(next) << 16) | (lowsOf(word) >>> 16))) !== 0) break
      word = next
    }
    beforeLast = (word << 16) >> 16
    last = word >> 16
    heard += (at - from) / 2
    return at
  }

  return {
    push: (bytes) => {
      if (bytes.length === 0) return
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let at = 0
      if (half !== undefined) {
        take((view.getInt8(0) << 8) | half)
        at = 1
      }
      const end = bytes.length - ((bytes.length - at) % 2)
      while (at < end) {
        at = current === undefined ? pass(view, at, end) : follow(current, view, at, end)
        if (at === end) break
        take(view.getInt16(at, true))
        at += 2
      }
      half = bytes[end]
    },
    ranges: () => runs.all().map(({ from, to }) => ({ from, to })),
    omitted: runs.omitted,
    otherSamples: () => heard - stamped
  }
}

interface Run {
  readonly from: number
  to: number
}

/** No sample, and not next to one. */
const never = -9
const halfBits = 14
const mask = 2 ** halfBits - 1
const lowTag = 0x4000
const highTag = -0x8000

const isLow = (sample: number): boolean => sample >= lowTag
const isHigh = (sample: number): boolean => sample < -lowTag
// the same for two samples, as they lie in memory: a bit for each, in the place of its sign
const highsOf = (word: number): number => word & ~(word << 1) & 0x8000_8000
const lowsOf = (word: number): number => ~word & (word << 1) & 0x8000_8000

// the high half carries the low one too, so that halves of two pairs do not make a third
const lowOf = (pair: number): number => lowTag | (pair & mask)
const highOf = (pair: number): number => highTag | (((pair >>> halfBits) + pair) & mask)
/** Both samples of a pair, as they lie in memory. */
const wordOf = (pair: number): number => (highOf(pair) << 16) | lowOf(pair)
const valueAt = (position: number): number => (position % 2 === 0 ? lowOf(position >>> 1) : highOf(position >>> 1))
const pairOf = (low: number, high: number): number => {
  const lowBits = low & mask
  return (((high - lowBits) & mask) << halfBits) | lowBits
}
