/**
 * What has memory and can be used again, by the size of that: hundreds of calls would otherwise make, and collect, some for
 * every frame. Calls share it: what one gives back another one takes, while it is still in the processor's cache.
 */

/** See the module. */
export interface Spares<A> {
  /** The one that was given back last. */
  readonly take: (bytes: number) => A | undefined
  /** Nobody uses it any more. */
  readonly give: (bytes: number, spare: A) => void
}

/** Most bytes that are kept of a size. */
const maxBytes = 2 * 1024 * 1024
/** Sizes that are kept, the newest: whole frames of some formats, and what is left at the end of something. */
const maxSizes = 16

/** A new one, empty. */
export const make = <A>(): Spares<A> => {
  const bySize = new Map<number, Array<A>>()
  const ofSize = (bytes: number): Array<A> => {
    const known = bySize.get(bytes)
    if (known !== undefined) return known
    const [oldest] = bySize.keys()
    if (bySize.size >= maxSizes && oldest !== undefined) bySize.delete(oldest)
    const made: Array<A> = []
    bySize.set(bytes, made)
    return made
  }
  return {
    take: (bytes) => bySize.get(bytes)?.pop(),
    give: (bytes, spare) => {
      const spares = ofSize(bytes)
      if (spares.length * bytes < maxBytes) spares.push(spare)
    }
  }
}
