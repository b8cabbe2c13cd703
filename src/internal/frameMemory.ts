/** Memory for frames of audio, used again once nobody reads a frame any more. */
import * as spares from "./spares.ts"

/** See the module. */
export interface FrameMemory {
  /** Of any content. */
  readonly allocate: (bytes: number) => Uint8Array
  /** Nobody reads it any more. */
  readonly release: (bytes: Uint8Array) => void
  /** Somebody may read it for ever: it is not used again. */
  readonly abandon: (bytes: Uint8Array) => void
}

const spare = spares.make<Uint8Array>()

/** For frames of one size; others are not used again. */
export const make = (size: number): FrameMemory => {
  /** Most often there is none. */
  let abandoned: WeakSet<Uint8Array> | undefined
  return {
    allocate: (bytes) => (bytes === size ? spare.take(size) : undefined) ?? new Uint8Array(bytes),
    release: (bytes) => {
      if (bytes.length === size && abandoned?.has(bytes) !== true) spare.give(size, bytes)
    },
    abandon: (bytes) => {
      abandoned ??= new WeakSet()
      abandoned.add(bytes)
    }
  }
}
