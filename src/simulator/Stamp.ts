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
 * pause. Where turns matter, let a script say at what times they are; with `clock: "stamps"` these are times of the
 * call, in whatever session they arrive.
 *
 * @example
 * const call = Stamp.stream(1280).pipe(Stream.take(100), Audio.paced(format), Transcriber.transcribe())
 * // and then, of the simulator's ledger: stamped is [{ from: 0, to: 128_000 }]
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as keptLists from "../internal/keptList.ts"
import type { Range } from "./Ledger.ts"
import { valueAt } from "./stamp/encoding.ts"
import * as runs from "./stamp/runs.ts"

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
  const kept = keptLists.make<Joined>(limit)
  let half: number | undefined
  let latest: Joined | undefined
  const finder = runs.finder((run) => {
    if (latest?.run.to === run.from) {
      latest.run = run
      return
    }
    latest = { from: run.from, run }
    kept.push(latest)
  })
  return {
    push: (bytes) => {
      if (bytes.length === 0) return
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      let at = 0
      if (half !== undefined) {
        finder.take((view.getInt8(0) << 8) | half)
        at = 1
      }
      const end = bytes.length - ((bytes.length - at) % 2)
      finder.push(view, at, end)
      half = bytes[end]
    },
    ranges: () => kept.all().map(({ from, run }) => ({ from, to: run.to })),
    omitted: kept.omitted,
    otherSamples: finder.otherSamples
  }
}

/** Runs whose positions go on from one to the next. */
interface Joined {
  readonly from: number
  /** The last of them. */
  run: runs.Run
}
