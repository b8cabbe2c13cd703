/** The body of a response on its way out: as it is said, or in pieces of random size. */
import { concat } from "../../internal/eventEncoding.ts"
import type { Surroundings } from "../wire.ts"

/** What an outlet needs of Node's `Writable`. */
export interface Sink {
  readonly writableNeedDrain: boolean
  readonly writableHighWaterMark: number
  readonly write: (bytes: Uint8Array, done: () => void) => boolean
  readonly on: (event: "drain", listener: () => void) => unknown
}

/** Takes bytes for one stream, in order. Nothing here throws. */
export interface Outlet {
  readonly write: (bytes: Uint8Array) => void
  /**
   * From now on bytes go out in pieces of random size, and some wait for those that come next: no longer than
   * {@link holdMillis}, and not past an end. Each piece is a DATA frame of its own. `draw` gives 0 to below 1.
   */
  readonly chop: (draw: () => number) => void
  /** Runs something once all bytes so far have left, or after `boundMillis` where the client takes no more of them. */
  readonly flushed: (then: () => void, boundMillis?: number) => void
}

/** How long a piece may wait for more, ms on the Clock. */
export const holdMillis = 20
/** Bytes of the largest piece: more than most messages have. */
const maxPiece = 1024
/** How often a piece is held back. */
const holdChance = 0.25
const none = new Uint8Array(0)

/**
 * The {@link Outlet} of a stream. `onFull` is told when the client takes less than is written (`true`), and when all
 * that waited has left (`false`).
 */
export const make = (
  stream: Sink,
  after: Surroundings["after"],
  onFull: (full: boolean) => void
): Outlet => {
  let draw: (() => number) | undefined
  let held: Uint8Array = none
  let writes = 0
  // the bytes held wait for more
  let parked = false
  // none of the bytes held may be parked
  let rushed = false
  let full = false
  let waiting: Array<() => void> = []

  const idle = (): boolean => writes === 0 && held.length === 0
  const gauge = (): void => {
    const now = stream.writableNeedDrain || held.length > stream.writableHighWaterMark
    if (now === full) return
    full = now
    onFull(full)
  }
  const put = (bytes: Uint8Array): void => {
    writes++
    stream.write(bytes, () => {
      writes--
      pump()
      gauge()
      if (!idle()) return
      const ready = waiting
      waiting = []
      for (const then of ready) then()
    })
    gauge()
  }
  /** Writes the next piece once the one before has left, lest Node put them into one frame. */
  const pump = (): void => {
    if (draw === undefined || writes > 0 || held.length === 0 || parked) return
    if (!rushed && draw() < holdChance) {
      parked = true
      return after(holdMillis, rush)
    }
    const size = 1 + Math.floor(draw() * Math.min(held.length, maxPiece))
    const piece = held.subarray(0, size)
    held = held.subarray(size)
    if (held.length === 0) rushed = false
    put(piece)
  }
  const rush = (): void => {
    rushed = held.length > 0
    parked = false
    pump()
  }

  stream.on("drain", gauge)
  return {
    write: (bytes) => {
      if (draw === undefined) return put(bytes)
      held = held.length === 0 ? bytes : concat([held, bytes])
      parked = false
      pump()
      gauge()
    },
    chop: (random) => {
      draw = random
    },
    flushed: (then, boundMillis) => {
      rush()
      if (idle()) return then()
      let done = false
      const once = (): void => {
        if (done) return
        done = true
        then()
      }
      waiting.push(once)
      if (boundMillis !== undefined) after(boundMillis, once)
    }
  }
}
