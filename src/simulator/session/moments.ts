/** When the faults of a running session happen, in bytes of its audio. Pure. */
import { bytesPerSample, type Format } from "../../Audio.ts"
import type { Timed } from "../Fault.ts"

/** The moments of one session's faults. Each is given once, those of one moment in their order. */
export interface Moments {
  /** Those that happen right after Connected. */
  readonly connected: () => ReadonlyArray<Timed>
  /** A turn has begun, with so many bytes received: those that happen there and then. */
  readonly turnStarted: (turn: number, bytes: number) => ReadonlyArray<Timed>
  /** Whether some wait for a turn that has not begun. */
  readonly awaitTurn: () => boolean
  /** Bytes of audio at which something happens next; infinite while nothing does. */
  readonly next: () => number
  /** Those that happen with so many bytes received; ask at each point, and they come in order of time. */
  readonly due: (bytes: number) => ReadonlyArray<Timed>
  /** Those that happen before the answer to CloseStream. */
  readonly close: () => ReadonlyArray<Timed>
  /** Those that happen after it. */
  readonly end: () => ReadonlyArray<Timed>
}

/** The moments of faults, of which there may be other ones too. */
export const make = (faults: ReadonlyArray<Timed>, format: Format): Moments => {
  let waiting = faults
  let points: ReadonlyArray<{ readonly bytes: number; readonly fault: Timed }> = faults.flatMap((fault) =>
    typeof fault.at === "number" && fault.at > 0 ? [{ bytes: bytesAt(format, fault.at), fault }] : []
  )
  const take = (which: (fault: Timed) => boolean): ReadonlyArray<Timed> => {
    const taken = waiting.filter(which)
    if (taken.length > 0) waiting = waiting.filter((fault) => !which(fault))
    return taken
  }
  return {
    connected: () => take(({ at, turn }) => at === 0 || (at === undefined && turn === undefined)),
    turnStarted: (turn, bytes) => {
      const begun = take((fault) => fault.turn === turn)
      const later = begun.filter(({ after }) => after !== undefined && after > 0)
      if (later.length > 0) {
        points = [...points, ...later.map((fault) => ({ bytes: bytes + bytesAt(format, fault.after ?? 0), fault }))]
      }
      return begun.filter((fault) => !later.includes(fault))
    },
    awaitTurn: () => waiting.some(({ turn }) => turn !== undefined),
    next: () => points.reduce((least, { bytes }) => Math.min(least, bytes), Number.POSITIVE_INFINITY),
    due: (bytes) => {
      const reached = points.filter((point) => point.bytes <= bytes)
      if (reached.length > 0) points = points.filter((point) => point.bytes > bytes)
      return reached.map(({ fault }) => fault)
    },
    close: () => take(({ at }) => at === "close"),
    end: () => take(({ at }) => at === "end")
  }
}

/** Seconds of audio as bytes, in whole samples. */
export const bytesAt = (format: Format, seconds: number): number =>
  Math.round(seconds * format.sampleRate) * bytesPerSample(format.encoding)
