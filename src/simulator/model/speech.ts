/** Where in raw audio someone speaks: 80 ms frames, voiced or not by their loudness. Pure. */
import type { Encoding, Format } from "../../Audio.ts"
import * as framing from "./framing.ts"

/** Least RMS of a voiced frame, as a part of full scale: -40 dBFS. */
export const voicedRms = 0.01

/** A frame, and whether there is speech in it. */
export interface Frame extends framing.Frame {
  readonly voiced: boolean
}

/** A new listener for speech. */
export const make = (format: Format): framing.Listener<Frame> => {
  const leastPower = (voicedRms * fullScale) ** 2
  const powerOf = powers[format.encoding]
  let power = 0
  return framing.make(format, {
    take: (bytes, from, to) => void (power += powerOf(bytes, from, to)),
    close: (endMillis, samples) => {
      const voiced = power >= leastPower * samples
      power = 0
      return { voiced, endMillis }
    }
  })
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
