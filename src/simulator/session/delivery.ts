/** What a session has to say, on its way to the wire: in order, and all of it as late as the session lags. Pure. */
import { byteLength } from "../../internal/utf8.ts"
import type { Recorder } from "../Ledger.ts"
import type { Surroundings, Wire } from "../wire.ts"

/** The way out of one session. */
export interface Delivery {
  /** Says a message; `kind` is for the ledger. */
  readonly say: (kind: string, text: string) => void
  /** Does something else with the wire when all that was said before has left. */
  readonly then: (act: () => void) => void
  /** Drops what has not left yet; nothing may be delivered afterwards. */
  readonly drop: () => void
}

/** A new {@link Delivery}; `lag` in ms, 0 for none. */
export const make = (wire: Wire, recorder: Recorder, after: Surroundings["after"], lag: number): Delivery => {
  let waiting: Array<() => void> = []
  const then = (act: () => void): void => {
    if (lag === 0) return act()
    waiting.push(act)
    // all wait equally long, so each timer is for the oldest
    after(lag, () => waiting.shift()?.())
  }
  return {
    say: (kind, text) =>
      then(() => {
        recorder.said(kind, byteLength(text))
        wire.say(text)
      }),
    then,
    drop: () => {
      waiting = []
    }
  }
}
