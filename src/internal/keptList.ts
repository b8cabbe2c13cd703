/** A list of bounded length: the first entries and the latest one stay, those in between are only counted. */
export interface KeptList<A> {
  readonly push: (entry: A) => void
  /** The entries kept, in order; a copy. */
  readonly all: () => Array<A>
  /** How many entries were left out: all of them came before the last one of `all`. */
  readonly omitted: () => number
}

/** A new {@link KeptList} of at most `limit` entries, at least one. */
export const make = <A>(limit: number): KeptList<A> => {
  const kept: Array<A> = []
  let omitted = 0
  return {
    push: (entry) => {
      if (kept.length < limit) {
        kept.push(entry)
        return
      }
      kept[kept.length - 1] = entry
      omitted++
    },
    all: () => kept.slice(),
    omitted: () => omitted
  }
}
