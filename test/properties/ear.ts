/**
 * What a server has heard of stamped audio, and so what each moment of its audio time stands for: an oracle for
 * conversation time, made from the bytes that came and from nothing else. Pure.
 */
import * as Stamp from "../../src/simulator/Stamp.ts"

/** A frame as it came: session samples `from` to below `to`; of the conversation from `position` on, or silence at it. */
export interface Piece {
  readonly at: number
  readonly from: number
  readonly to: number
  readonly position: number
  readonly offered: boolean
}

/** See the module. */
export interface Ear {
  /** Hears a frame; false where it is neither silence nor stamped audio further on in the conversation. */
  readonly hear: (bytes: Uint8Array, at: number) => boolean
  readonly pieces: ReadonlyArray<Piece>
  /** Whether `told`, at this time, is what something that begins at these seconds of the session begins at in the conversation. */
  readonly isStart: (seconds: number, told: number, at: number) => boolean
  /** The same for the end of something. */
  readonly isEnd: (seconds: number, told: number, at: number) => boolean
}

/** Moments nearer than this are one: windows are 32-bit floats, and the client takes a millisecond for noise. */
const noiseSeconds = 0.0021
/** So near the client takes them for one in any case; in between it may or may not. */
const sureSeconds = 0.0005

/** Silence that nobody offered: stamped audio has no zeros. */
export const isSilence = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

/** A new one; samples that were muted cannot come, which helps where a frame is too short to say where it is from. */
export const make = (sampleRate: number, isMuted: (sample: number) => boolean): Ear => {
  const pieces: Array<Piece> = []
  const noise = noiseSeconds * sampleRate
  const sure = sureSeconds * sampleRate
  let heard = 0
  let reached = 0

  const near = (sample: number): Array<Piece> => pieces.filter(({ from, to }) => from <= sample + noise && to >= sample - noise)
  const place = ({ from, offered, position, to }: Piece, sample: number): number =>
    position + (offered ? Math.min(Math.max(sample, from), to) - from : 0)
  const same = (a: number, b: number): boolean => Math.abs(a - b) <= 2 * noise
  /** Nothing had come at that time: then nothing else is known. */
  const nothing = (at: number): boolean => (pieces[0]?.at ?? at) >= at
  const beyond = (sample: number): number => Math.max(0, sample - heard)

  return {
    hear: (bytes, at) => {
      const samples = bytes.length / 2
      const silent = isSilence(bytes)
      const position = silent ? reached : positionOf(bytes, reached, isMuted)
      if (position === undefined) return false
      pieces.push({ at, from: heard, to: heard + samples, position, offered: !silent })
      heard += samples
      if (!silent) reached = position + samples
      return true
    },
    pieces,
    isStart: (seconds, told, at) => {
      const sample = seconds * sampleRate
      const value = told * sampleRate - beyond(sample)
      const around = near(sample)
      if (nothing(at) && told === seconds) return true
      return around.some((piece, index) => {
        const next = around[index + 1]
        // where the conversation went on after a gap, later, it had not done so yet
        const isLast = next === undefined || next.at >= at || next.from > sample + sure
        return isLast && same(value, place(piece, sample))
      })
    },
    isEnd: (seconds, told, at) => {
      const sample = seconds * sampleRate
      const value = told * sampleRate - beyond(sample)
      const around = near(sample)
      if (nothing(at) && told === seconds) return true
      return around.some((piece, index) => {
        const before = around[index - 1]
        const isFirst = before === undefined || before.to < sample - sure
        // a piece that is no longer than the noise may be told apart
        const holds = piece.from + 0.5 < sample && sample <= piece.to + 0.5
        return (isFirst || holds) && same(value, place(piece, sample))
      })
    }
  }
}

/** Where in the conversation a frame is from, at or after a position. */
const positionOf = (bytes: Uint8Array, least: number, isMuted: (sample: number) => boolean): number | undefined => {
  if (bytes.length % 2 !== 0) return undefined
  const samples = bytes.length / 2
  for (const from of candidates(bytes, least)) {
    const stamped = Stamp.audio(from, samples)
    if (stamped.every((byte, at) => byte === bytes[at]) && !isMuted(from)) return from
  }
  return undefined
}

/** A pair says where it is from; of less, the nearest that it may be. */
function* candidates(bytes: Uint8Array, least: number): Generator<number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const first = view.getInt16(0, true)
  const skipped = first < 0 ? 1 : 0
  if (bytes.length < 4 + 2 * skipped) {
    for (let at = 0; at < mostSkipped; at++) yield least + at
    return
  }
  const low = view.getInt16(2 * skipped, true) & mask
  const high = view.getInt16(2 * skipped + 2, true) & mask
  const pair = (((high - low) & mask) << 14) | low
  const from = pair * 2 - skipped
  if (from >= least) yield from
}
const mask = 0x3fff
/** Fewer samples than this may be absent before a frame that is too short to say where it is from: nobody speaks aside for longer. */
const mostSkipped = 2 ** 20
