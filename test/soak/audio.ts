/** Stamped audio for calls that go on side by side: made once for all of them, and kept for a while. */
import * as Stamp from "../../src/simulator/Stamp.ts"
import { rate } from "./script.ts"

/** Seconds that are kept: a call that fell behind others by more has them made anew. */
const mostKept = 100

/** The stamped samples from a position on; not to be written to. */
export type Audio = (position: number, samples: number) => Uint8Array

/** Audio of calls side by side. */
export const make = (): Audio => {
  const seconds = new Map<number, Uint8Array>()
  const second = (number: number): Uint8Array => {
    const kept = seconds.get(number)
    if (kept !== undefined) return kept
    const made = Stamp.audio(number * rate, rate)
    seconds.set(number, made)
    const [oldest] = seconds.keys()
    if (seconds.size > mostKept && oldest !== undefined) seconds.delete(oldest)
    return made
  }
  return (position, samples) => {
    const number = Math.floor(position / rate)
    const from = position - number * rate
    const first = second(number).subarray(from * 2, (from + samples) * 2)
    if (from + samples <= rate) return first
    const whole = new Uint8Array(samples * 2)
    whole.set(first)
    whole.set(second(number + 1).subarray(0, whole.length - first.length), first.length)
    return whole
  }
}
