/**
 * The clock of position-stamped audio: which samples of the call are in a frame, and where in the session. Audio
 * without stamps, such as injected silence, has no time on it. Only linear16 has stamps. Pure.
 */
import type { Format } from "../../Audio.ts"
import * as stampRuns from "../stamp/runs.ts"
import * as framing from "./framing.ts"

/** Stamped samples that came one after the other. */
export interface Passage {
  /** Position in the call of the first one. */
  readonly from: number
  /** Position after the last one. */
  readonly to: number
  /** How many samples of the session had come before the first one. */
  readonly at: number
}

/** A frame, and the stamped audio in it. */
export interface Frame extends framing.Frame {
  /**
   * In order of arrival. Where a run begins, its first samples are of the frame in which it is known for one: with
   * the fourth of them, or the fifth. A jump by a multiple of 2^15 that comes with the last three samples of a frame
   * may leave the passage before it a sample too long.
   */
  readonly passages: ReadonlyArray<Passage>
}

/** A new listener for stamps. */
export const make = (format: Format): framing.Listener<Frame> => {
  /** Runs that began in this frame. */
  const begun: Array<stampRuns.Run> = []
  const finder = stampRuns.finder((run) => begun.push(run))
  let latest: stampRuns.Run | undefined
  /** As much of the latest run is in frames before this one: up to this position. */
  let told = 0

  return framing.make(format, {
    take: (bytes, from, to) => {
      if (format.encoding !== "linear16") return
      finder.push(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), from, to)
    },
    close: (endMillis) => {
      const passages: Array<Passage> = []
      if (latest !== undefined && latest.to > told) {
        passages.push({ from: told, to: latest.to, at: latest.at + told - latest.from })
      }
      for (const { at, from, to } of begun) passages.push({ from, to, at })
      latest = begun.at(-1) ?? latest
      told = latest?.to ?? 0
      begun.length = 0
      return { passages, endMillis }
    }
  })
}
