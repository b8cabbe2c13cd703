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

/** Most bytes that are kept for later, in all, of each size. */
const maxSpareBytes = 2 * 1024 * 1024
/** By size. Calls share it: as one's turn ends, and its audio is forgotten, another's begins. */
const spares = new Map<number, Array<Uint8Array>>()

/** For frames of one size; others are not used again. */
export const make = (size: number): FrameMemory => {
  const spare = spares.get(size) ?? []
  spares.set(size, spare)
  const most = Math.floor(maxSpareBytes / size)
  const abandoned = new WeakSet<Uint8Array>()
  return {
    allocate: (bytes) => (bytes === size ? spare.pop() : undefined) ?? new Uint8Array(bytes),
    release: (bytes) => {
      if (bytes.length === size && spare.length < most && !abandoned.has(bytes)) spare.push(bytes)
    },
    abandon: (bytes) => void abandoned.add(bytes)
  }
}
