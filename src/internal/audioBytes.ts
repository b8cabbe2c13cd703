/** Tells bytes of audio from what is none, whatever realm they are of. */
import * as Effect from "effect/Effect"
import type * as Audio from "../Audio.ts"
import * as FluxError from "../FluxError.ts"

/** What the platform calls a value, in every realm: `Uint8Array` of a `Buffer`, `Null`, `Promise`. */
const kindOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

/** One byte an element, or none at all: their memory can be nothing but bytes. */
const views: ReadonlySet<string> = new Set(["Uint8Array", "Uint8ClampedArray", "Int8Array", "DataView"])
const buffers: ReadonlySet<string> = new Set(["ArrayBuffer", "SharedArrayBuffer"])

/** Whether a value is bytes; an `instanceof` knows those of its own realm only. */
export const isBytes = (value: unknown): value is Audio.Bytes =>
  value instanceof Uint8Array || (ArrayBuffer.isView(value) ? views : buffers).has(kindOf(value))

const none = new Uint8Array(0)

/** The very memory, as a view of this realm. */
const viewOf = (bytes: Audio.Bytes): Uint8Array => {
  if (bytes instanceof Uint8Array) return bytes
  try {
    return ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      // its length is that of now: a resizable one may grow while it is copied
      : new Uint8Array(bytes, 0, bytes.byteLength)
  } catch {
    // transferred, or shrunk to before where the view begins
    return none
  }
}

const names: Readonly<Record<string, string>> = {
  Undefined: "undefined",
  Null: "null",
  String: "text",
  AsyncFunction: "a function",
  GeneratorFunction: "a function",
  AsyncGeneratorFunction: "a function"
}
const nameOf = (kind: string): string => {
  const word = /^(Array|BigInt|Boolean|Function|Number|Object|Symbol)$/.test(kind) ? kind.toLowerCase() : kind
  return names[kind] ?? `${/^[aeio]/i.test(word) ? "an" : "a"} ${word}`
}

const samples = "make 16-bit samples of it first, and give their memory"
const call = "call it, and give what it returns"
const body = "give its body, where that is raw audio"
const file = "give its stream(), where that is raw audio"
const advice: Readonly<Record<string, string>> = {
  String: "base64 is to be decoded, and a Node stream gives text after setEncoding",
  Number: "numbers that are bytes go into a Uint8Array",
  Array: "numbers that are bytes go into a Uint8Array",
  Int16Array: "the memory of 16-bit samples is new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)",
  Float16Array: samples,
  Float32Array: samples,
  Float64Array: samples,
  Promise: "await it",
  Blob: file,
  File: file,
  Request: body,
  Response: body,
  Function: call,
  AsyncFunction: call,
  GeneratorFunction: call,
  AsyncGeneratorFunction: call
}

/** The error for a value in the place of audio: `place` is what should have been bytes. */
export const refused = (value: unknown, place = "a chunk of audio"): FluxError.FluxError => {
  const kind = kindOf(value)
  const detail = `${place} is ${nameOf(kind)}, not bytes: ${advice[kind] ?? "give a Uint8Array or a Buffer"}`
  return FluxError.make(new FluxError.UnsupportedAudio({ detail }), "streaming")
}

/** What takes bytes of this realm. */
interface Taker {
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError.FluxError>
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  readonly refusal: (pcm: Uint8Array) => FluxError.FluxError | undefined
}

/**
 * Lets in bytes of all kinds, and refuses the rest: not every caller has a type checker, and text would be noise. Throws
 * where `false` would be for ever.
 */
export const door = (inside: Taker) => ({
  send: (pcm: Audio.Bytes): Effect.Effect<void, FluxError.FluxError> =>
    isBytes(pcm) ? inside.send(viewOf(pcm)) : Effect.fail(refused(pcm)),
  offerUnsafe: (pcm: Audio.Bytes): boolean => {
    if (!isBytes(pcm)) throw refused(pcm)
    const bytes = viewOf(pcm)
    if (inside.offerUnsafe(bytes)) return true
    const refusal = inside.refusal(bytes)
    if (refusal !== undefined) throw refusal
    return false
  }
})
