/** Finds runs of stamped samples among other audio, sample by sample and as it arrives. Pure. */
import { highsOf, isHigh, isLow, lowsOf, pairOf, valueAt, wordOf } from "./encoding.ts"

/** Stamped samples that came one after the other. It grows while they come. */
export interface Run {
  /** Position of its first sample. */
  readonly from: number
  /** Position after its last sample. */
  to: number
  /** How many samples had come before its first one. */
  readonly at: number
}

/** Finds runs; what it finds does not depend on how the audio was cut. */
export interface Finder {
  /** Takes a sample. */
  readonly take: (sample: number) => void
  /** Takes the linear16 samples in the bytes `from` to below `end`: whole ones. */
  readonly push: (view: DataView, from: number, end: number) => void
  /** Samples taken that belong to no run. */
  readonly otherSamples: () => number
}

/**
 * A new {@link Finder}, which tells of a run once it has seen two pairs in sequence; a run that it told before may
 * then have become a sample shorter, where that one was the first of the new run.
 */
export const finder = (begun: (run: Run) => void): Finder => {
  let heard = 0
  let stamped = 0
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
    let at = firstLow
    if (latest?.to !== from && from > 0 && firstLow > free && beforeCandidate === valueAt(from - 1)) {
      from--
      at--
    } else if (latest !== undefined && tail !== never && (tail === firstLow || latest.to - 1 === from)) {
      // no half pair after all, but the first sample of this run, or another that looked like it
      latest.to--
      stamped--
    }
    current = { from, to: candidate * 2 + 4, at }
    latest = current
    stamped += current.to - from
    tail = never
    begun(current)
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
    take,
    push: (view, from, end) => {
      let at = from
      while (at < end) {
        at = current === undefined ? pass(view, at, end) : follow(current, view, at, end)
        if (at === end) break
        take(view.getInt16(at, true))
        at += 2
      }
    },
    otherSamples: () => heard - stamped
  }
}

/** No sample, and not next to one. */
const never = -9
