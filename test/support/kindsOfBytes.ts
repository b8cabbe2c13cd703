/** The same bytes in all kinds of memory that may hold them, each with what its owner may do to it afterwards. */
import { runInNewContext } from "node:vm"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type * as Audio from "../../src/Audio.ts"

/** Bytes, and how their owner uses the memory again. */
export interface Kept {
  readonly bytes: Audio.Bytes
  readonly spoil: () => void
}

const foreign = (code: string, length: number) => runInNewContext(code, { length })
const junk = 0x55
/** In the middle of other bytes, as a pool has them. */
const pooled = (content: Uint8Array, buffer: ArrayBufferLike = new ArrayBuffer(content.length + 20)): Uint8Array => {
  const view = new Uint8Array(buffer).fill(junk).subarray(7, 7 + content.length)
  view.set(content)
  return view
}
/** Filled through a view of this realm. */
const filled = <B extends Audio.Bytes>(bytes: B, content: Uint8Array): Kept => {
  const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes)
  view.set(content)
  return { bytes, spoil: () => view.fill(junk) }
}
const over = (view: Uint8Array, bytes: Audio.Bytes = view): Kept => ({ bytes, spoil: () => view.fill(junk) })

export const kinds = {
  "a Uint8Array": (content) => over(content.slice()),
  "a Buffer": (content) => over(Buffer.from(content)),
  "a view with an offset": (content) => over(pooled(content)),
  "a Uint8ClampedArray": (content) => filled(new Uint8ClampedArray(content.length), content),
  "an Int8Array": (content) => filled(new Int8Array(content.length), content),
  "a DataView": (content) => filled(new DataView(new ArrayBuffer(content.length)), content),
  "a DataView with an offset": (content) => {
    const view = pooled(content)
    return over(view, new DataView(view.buffer, view.byteOffset, view.byteLength))
  },
  "an ArrayBuffer": (content) => filled(new ArrayBuffer(content.length), content),
  "a SharedArrayBuffer": (content) => filled(new SharedArrayBuffer(content.length), content),
  "a view of shared memory": (content) => over(pooled(content, new SharedArrayBuffer(content.length + 20))),
  "a resizable buffer": (content) => {
    const { bytes } = filled(new ArrayBuffer(content.length, { maxByteLength: content.length + 64 }), content)
    return { bytes, spoil: () => bytes instanceof ArrayBuffer && bytes.resize(0) }
  },
  "a view of a resizable buffer": (content) => {
    const buffer = new ArrayBuffer(content.length, { maxByteLength: content.length + 64 })
    return { bytes: filled(new Uint8Array(buffer), content).bytes, spoil: () => buffer.resize(0) }
  },
  "a buffer that is transferred later": (content) => {
    const bytes = content.slice().buffer
    return { bytes, spoil: () => void structuredClone(bytes, { transfer: [bytes] }) }
  },
  "a Uint8Array of another realm": (content) => filled(foreign("new Uint8Array(length)", content.length), content),
  "a DataView of another realm": (content) => filled(foreign("new DataView(new ArrayBuffer(length))", content.length), content),
  "an ArrayBuffer of another realm": (content) => filled(foreign("new ArrayBuffer(length)", content.length), content),
  "a SharedArrayBuffer of another realm": (content) => filled(foreign("new SharedArrayBuffer(length)", content.length), content)
} satisfies Readonly<Record<string, (content: Uint8Array) => Kept>>

export type Kind = keyof typeof kinds
/** Their names. */
export const Kind = Schema.Literals(Struct.keys(kinds))
