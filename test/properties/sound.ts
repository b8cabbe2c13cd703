/** The audio of a random user: stamped, and what became of it on the way into the session. */
import * as Stamp from "../../src/simulator/Stamp.ts"

/** Bytes of the conversation `from` to below `to`. */
export interface Chunk {
  readonly from: number
  readonly to: number
  /** Whether it has to come, or be told as dropped; must not, as it was muted; or either, as nobody can know. */
  fate: "due" | "muted" | "unknown"
}

/** See the module. */
export interface Sound {
  /** The conversation's next bytes, which say where they are from; they count once they are accounted. */
  readonly next: (bytes: number) => Uint8Array
  readonly account: (bytes: number, fate: Chunk["fate"]) => Chunk
  /** A part of this chunk may be inside, and nobody knows how much: positions are not known from here on. */
  readonly giveUp: (chunk: Chunk) => void
  readonly chunks: ReadonlyArray<Chunk>
  readonly isMuted: (sample: number) => boolean
  readonly bytes: () => number
  readonly positionsKnown: () => boolean
}

/** A new one. */
export const make = (): Sound => {
  const chunks: Array<Chunk> = []
  let bytes = 0
  let positionsKnown = true
  return {
    next: (length) => Stamp.audio(Math.floor(bytes / 2), Math.ceil(length / 2) + 1).slice(bytes % 2, (bytes % 2) + length),
    account: (length, fate) => {
      const chunk: Chunk = { from: bytes, to: bytes + length, fate }
      chunks.push(chunk)
      bytes += length
      return chunk
    },
    giveUp: (chunk) => {
      chunk.fate = "unknown"
      positionsKnown = false
      // the next sample begins anew
      bytes += bytes % 2
    },
    chunks,
    isMuted: (sample) => chunks.some(({ fate, from, to }) => fate === "muted" && from <= sample * 2 && sample * 2 < to),
    bytes: () => bytes,
    positionsKnown: () => positionsKnown
  }
}
