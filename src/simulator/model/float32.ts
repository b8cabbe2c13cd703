/** Seconds as a 32-bit engine tells them: sums of frames, with the noise of their last digits (protocol 2.2, 11.7). Pure. */
import { frameMillis } from "../../Audio.ts"

/**
 * Audio time in seconds: the frames are added up in 32-bit floats, and the sum is written with as few digits as tell
 * it from its neighbours. So 480 ms are 0.47999996. The sum begins anew each 960 ms, lest the noise grow with the
 * session: it stays within a few units of the last place.
 */
export const seconds = (millis: number): number => {
  const base = Math.floor(millis / sumMillis) * sumMillis
  let sum = Math.fround(base / 1000)
  let left = millis - base
  for (; left >= frameMillis; left -= frameMillis) sum = Math.fround(sum + step)
  return shortest(Math.fround(sum + Math.fround(left / 1000)))
}

const sumMillis = 12 * frameMillis
const step = Math.fround(frameMillis / 1000)

/** The shortest decimal that is this 32-bit float and no other one. Nine digits always are; one of fewer than six is the one of six. */
const shortest = (float: number): number => {
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(float.toPrecision(digits))
    if (Math.fround(decimal) === float) return decimal
  }
  return Number(float.toPrecision(9))
}
