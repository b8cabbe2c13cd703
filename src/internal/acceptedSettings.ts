/**
 * Settings that an endpoint has taken of late. A container that refuses says only 424, whether it is overloaded or does not
 * take the settings (protocol 5.9): with settings that it took before it is overloaded.
 */
import * as settings from "./settings.ts"

/** See the module. */
export interface AcceptedSettings {
  /** The endpoint has said Connected to these. */
  readonly note: (of: settings.Settings) => void
  /** Whether it has done so within the last ten minutes, whatever the keyterms and tags. */
  readonly has: (of: settings.Settings) => boolean
}

/** Settings that an endpoint may not take are tried so often. */
export const maxRefusals = 3

const keptMillis = 600_000
const maxEntries = 256

/** What an endpoint may refuse of settings: names and values of all parameters but keyterms and tags. */
const keyOf = (of: settings.Settings): string =>
  settings.query({ ...of, keyterm: [], tag: [] })

/** An empty one, for one endpoint. */
export const make = (now: () => number): AcceptedSettings => {
  /** When each was last taken, the longest ago first. */
  const takenAt = new Map<string, number>()
  return {
    note: (of) => {
      const key = keyOf(of)
      takenAt.delete(key)
      takenAt.set(key, now())
      for (const oldest of takenAt.keys()) {
        if (takenAt.size <= maxEntries) break
        takenAt.delete(oldest)
      }
    },
    has: (of) => {
      const at = takenAt.get(keyOf(of))
      return at !== undefined && now() - at < keptMillis
    }
  }
}
