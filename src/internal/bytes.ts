/** Pieces of bytes that go on from one chunk to the next. Pure. */

/** The one behind the other; where one is empty it is the other itself, and no copy. */
export const concat = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  if (a.length === 0) return b
  if (b.length === 0) return a
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

/** Bytes that stay as they are when their source fills its buffer again; `slice` of a `Buffer` would share its memory. */
export const copy = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)
