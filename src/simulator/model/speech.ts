/** Where in raw audio someone speaks: 80 ms frames, voiced or not by their loudness. Pure. */
import { bytesOf, bytesPerSample, type Encoding, type Format, frameMillis } from "../../Audio.ts"

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
  const width = bytesPerSample(format.encoding)
  const frameSamples = bytesOf(format, frameMillis) / width
  const leastPower = (voicedRms * fullScale) ** 2
  const powerOf = powers[format.encoding]
  let samples = 0
  let inFrame = 0
  let power = 0
  let half: number | undefined

  const take = (count: number, added: number, out: Array<Frame>): void => {
    samples += count
    inFrame += count
    power += added
    if (inFrame === frameSamples) out.push(close())
  }
  const close = (): Frame => {
    const voiced = power >= leastPower * inFrame
    inFrame = 0
    power = 0
    return { voiced, endMillis: (samples * 1000) / format.sampleRate }
  }

  return {
    push: (bytes) => {
      const out: Array<Frame> = []
      let at = 0
      if (half !== undefined && bytes.length > 0) {
        take(1, powerOf(Uint8Array.of(half, bytes[0] ?? 0), 0, 2), out)
        half = undefined
        at = 1
      }
      while (bytes.length - at >= width) {
        const count = Math.min(frameSamples - inFrame, Math.floor((bytes.length - at) / width))
        take(count, powerOf(bytes, at, at + count * width), out)
        at += count * width
      }
      half = at < bytes.length ? bytes[at] : half
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

/** The sum of the squares of whole samples: an integer below 2^53, so the order of adding is all one. */
type Power = (bytes: Uint8Array, from: number, to: number) => number

const powerOfLinear16: Power = (bytes, from, to) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let sum = 0
  for (let at = from; at < to; at += 2) sum += view.getInt16(at, true) ** 2
  return sum
}
const powerOfTable = (table: Int16Array): Power => (bytes, from, to) => {
  let sum = 0
  for (let at = from; at < to; at++) sum += (table[bytes[at] ?? 0] ?? 0) ** 2
  return sum
}
const powers: Readonly<Record<Encoding, Power>> = {
  linear16: powerOfLinear16,
  mulaw: powerOfTable(mulawTable),
  alaw: powerOfTable(alawTable)
}
