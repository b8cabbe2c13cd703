/** Where in raw audio someone speaks: 80 ms frames, voiced or not by their loudness. Pure. */
import { bytesOf, bytesPerSample, type Encoding, type Format, frameMillis } from "../Audio.ts"

/** Least RMS of a voiced frame, as a part of full scale: -40 dBFS. */
export const voicedRms = 0.01

/** A frame that has been listened to. */
export interface Frame {
  readonly voiced: boolean
  /** Audio time at which it ends, in ms from the first sample. */
  readonly endMillis: number
}

/** Listens to audio in chunks of any size; what it hears does not depend on how they were cut. */
export interface Listener {
  /** The frames completed by these bytes. Keeps nothing of the chunk but the byte of a half sample. */
  readonly push: (bytes: Uint8Array) => Array<Frame>
  /** The last, partial frame, if there is at least one sample of it; nothing may be pushed afterwards. */
  readonly flush: () => Array<Frame>
  /** Whole samples heard so far. */
  readonly samples: () => number
}

/** A new {@link Listener}. */
export const make = (format: Format): Listener => {
  const frameSamples = bytesOf(format, frameMillis) / bytesPerSample(format.encoding)
  const leastPower = (voicedRms * fullScale) ** 2
  const linear = linearOf(format.encoding)
  let samples = 0
  let inFrame = 0
  let power = 0
  let half: number | undefined

  const take = (sample: number, out: Array<Frame>): void => {
    samples++
    inFrame++
    power += sample * sample
    if (inFrame === frameSamples) out.push(close())
  }
  const close = (): Frame => {
    const voiced = power >= leastPower * inFrame
    inFrame = 0
    power = 0
    return { voiced, endMillis: (samples * 1000) / format.sampleRate }
  }
  const pushG711 = (bytes: Uint8Array, table: Int16Array, out: Array<Frame>): void => {
    for (const byte of bytes) take(table[byte] ?? 0, out)
  }
  const pushLinear16 = (bytes: Uint8Array, out: Array<Frame>): void => {
    for (const byte of bytes) {
      if (half === undefined) half = byte
      else {
        const low = half
        half = undefined
        take(((low | (byte << 8)) << 16) >> 16, out)
      }
    }
  }

  return {
    push: (bytes) => {
      const out: Array<Frame> = []
      if (linear === undefined) pushLinear16(bytes, out)
      else pushG711(bytes, linear, out)
      return out
    },
    flush: () => (inFrame === 0 ? [] : [close()]),
    samples: () => samples
  }
}

/** A mulaw byte as 16-bit PCM (ITU-T G.711, scaled as everyone does: the largest is 32124). */
export const mulawToLinear = (byte: number): number => {
  const code = ~byte & 0xff
  const magnitude = ((((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
  return (code & 0x80) === 0 ? magnitude : -magnitude
}

/** An alaw byte as 16-bit PCM (ITU-T G.711, scaled as everyone does: the largest is 32256). */
export const alawToLinear = (byte: number): number => {
  const code = byte ^ 0x55
  const segment = (code & 0x70) >> 4
  const step = ((code & 0x0f) << 4) + 8
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1)
  return (code & 0x80) === 0 ? -magnitude : magnitude
}

const fullScale = 32_768
const mulawTable = Int16Array.from({ length: 256 }, (_, byte) => mulawToLinear(byte))
const alawTable = Int16Array.from({ length: 256 }, (_, byte) => alawToLinear(byte))

const linearOf = (encoding: Encoding): Int16Array | undefined =>
  encoding === "mulaw" ? mulawTable : encoding === "alaw" ? alawTable : undefined
