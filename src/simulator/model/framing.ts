/** Raw audio in chunks of any size, as frames of 80 ms. Pure. */
import { bytesOf, bytesPerSample, type Format, frameMillis } from "../../Audio.ts"

/** A frame that has been listened to. */
export interface Frame {
  /** Audio time at which it ends, in ms from the first sample. */
  readonly endMillis: number
}

/** What is done with the samples of a frame. */
export interface Ear<F extends Frame> {
  /** Takes whole samples: the bytes `from` to below `to`. They are not to be kept. */
  readonly take: (bytes: Uint8Array, from: number, to: number) => void
  /** The frame ends, with so many samples. */
  readonly close: (endMillis: number, samples: number) => F
}

/** Listens to audio in chunks of any size; what it hears does not depend on how they were cut. */
export interface Listener<F extends Frame> {
  /** The frames completed by these bytes. Keeps nothing of the chunk but the byte of a half sample. */
  readonly push: (bytes: Uint8Array) => Array<F>
  /** The last, partial frame, if there is at least one sample of it; nothing may be pushed afterwards. */
  readonly flush: () => Array<F>
  /** Whole samples heard so far. */
  readonly samples: () => number
}

/** A new {@link Listener}. */
export const make = <F extends Frame>(format: Format, ear: Ear<F>): Listener<F> => {
  const width = bytesPerSample(format.encoding)
  const frameSamples = bytesOf(format, frameMillis) / width
  let samples = 0
  let inFrame = 0
  let half: number | undefined

  const take = (bytes: Uint8Array, at: number, count: number, out: Array<F>): void => {
    ear.take(bytes, at, at + count * width)
    samples += count
    inFrame += count
    if (inFrame === frameSamples) out.push(close())
  }
  const close = (): F => {
    const frame = ear.close((samples * 1000) / format.sampleRate, inFrame)
    inFrame = 0
    return frame
  }

  return {
    push: (bytes) => {
      const out: Array<F> = []
      let at = 0
      if (half !== undefined && bytes.length > 0) {
        take(Uint8Array.of(half, bytes[0] ?? 0), 0, 1, out)
        half = undefined
        at = 1
      }
      while (bytes.length - at >= width) {
        const count = Math.min(frameSamples - inFrame, Math.floor((bytes.length - at) / width))
        take(bytes, at, count, out)
        at += count * width
      }
      half = at < bytes.length ? bytes[at] : half
      return out
    },
    flush: () => (inFrame === 0 ? [] : [close()]),
    samples: () => samples
  }
}
