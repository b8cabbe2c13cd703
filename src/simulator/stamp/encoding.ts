/** How a position is written into samples, in pairs; `Stamp` has the format. Pure. */

const halfBits = 14
const mask = 2 ** halfBits - 1
const lowTag = 0x4000
const highTag = -0x8000

/** Whether a sample can be the first one of a pair. */
export const isLow = (sample: number): boolean => sample >= lowTag
/** Whether a sample can be the second one of a pair. */
export const isHigh = (sample: number): boolean => sample < -lowTag
/** {@link isHigh} of two samples, as they lie in memory: a bit for each, in the place of its sign. */
export const highsOf = (word: number): number => word & ~(word << 1) & 0x8000_8000
/** {@link isLow} of two samples, as {@link highsOf} has it. */
export const lowsOf = (word: number): number => ~word & (word << 1) & 0x8000_8000

// the high half carries the low one too, so that halves of two pairs do not make a third
const lowOf = (pair: number): number => lowTag | (pair & mask)
const highOf = (pair: number): number => highTag | (((pair >>> halfBits) + pair) & mask)
/** Both samples of a pair, as they lie in memory. */
export const wordOf = (pair: number): number => (highOf(pair) << 16) | lowOf(pair)
/** The sample at a position. */
export const valueAt = (position: number): number => (position % 2 === 0 ? lowOf(position >>> 1) : highOf(position >>> 1))
/** The pair that two samples are. */
export const pairOf = (low: number, high: number): number => {
  const lowBits = low & mask
  return (((high - lowBits) & mask) << halfBits) | lowBits
}
