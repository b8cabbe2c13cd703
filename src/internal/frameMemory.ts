/**
 * Memory for frames of audio, used again once nobody reads a frame any more: hundreds of calls would otherwise make, and
 * collect, a buffer for every frame.
 */

/** See the module. */
export interface FrameMemory {
  /** Of any content. */
  readonly allocate: (bytes: number) => Uint8Array
  /** Nobody reads it any more. */
  readonly release: (bytes: Uint8Array) => void
  /** Somebody may read it for ever: it is not used again. */
  readonly abandon: (bytes: Uint8Array) => void
}

/** Most buffers that are kept for later: five seconds. */
const maxSpare = 64

/** For frames of one size; others are not used again. */
export const make = (size: number): FrameMemory => {
  const spare: Array<Uint8Array> = []
  const abandoned = new WeakSet<Uint8Array>()
  return {
    allocate: (bytes) => (bytes === size ? spare.pop() : undefined) ?? new Uint8Array(bytes),
    release: (bytes) => {
      if (bytes.length === size && spare.length < maxSpare && !abandoned.has(bytes)) spare.push(bytes)
    },
    abandon: (bytes) => void abandoned.add(bytes)
  }
}
