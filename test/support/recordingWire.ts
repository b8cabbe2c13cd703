/** The far end of a simulated session in a test: writes down what is done to the wire, in a time of its own. */
import type { Player, Surroundings, Wire } from "../../src/simulator/wire.ts"

/** One call of the wire: what was called, and when in ms. Of a message the event or type, and its audio time in ms. */
export interface Call {
  readonly at: number
  readonly what: string
  /** The message, of a `say`. */
  readonly text?: string
}

export interface RecordingWire {
  readonly wire: Wire
  readonly surroundings: Surroundings
  /** Everything so far. */
  readonly calls: ReadonlyArray<Call>
  /** As {@link calls}, without times. */
  readonly done: () => Array<string>
  /** As {@link done}, without Updates. */
  readonly changes: () => Array<string>
  /** Messages said so far. */
  readonly texts: () => Array<string>
  /** Lets time pass. */
  readonly advance: (millis: number) => void
  /** Drops the timers, as a door does when the stream has gone, and says so. */
  readonly leave: (player: Player) => void
}

/** What a message says of itself: `Connected`, `Update 240`, or the text where it is nothing of Flux's. */
const nameOf = (text: string): string => {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body !== "object" || body === null || !("type" in body)) return text
    const event = "event" in body ? String(body.event) : String(body.type)
    return "audio_window_end" in body ? `${event} ${Math.round(Number(body.audio_window_end) * 1000)}` : event
  } catch {
    return text
  }
}

/** A new {@link RecordingWire}, at time 0. */
export const make = (): RecordingWire => {
  const calls: Array<Call> = []
  let now = 0
  let timers: Array<{ readonly at: number; readonly run: () => void }> = []
  const write = (what: string, text?: string): void =>
    void calls.push({ at: now, what, ...(text === undefined ? {} : { text }) })
  const done = (): Array<string> => calls.map(({ what }) => what)
  return {
    wire: {
      refuse: ({ errorType, status }) => write(`refuse ${status} ${errorType}`),
      accept: () => write("accept"),
      say: (text) => write(nameOf(text), text),
      fail: ({ as, errorCode, name }) => write(`fail ${name} ${as}${errorCode === undefined ? "" : ` ${errorCode}`}`),
      corrupt: () => write("corrupt"),
      end: () => write("end"),
      reset: (code) => write(`reset ${code}`),
      drop: () => write("drop"),
      goAway: (code) => write(`goAway ${code}`),
      stopReading: () => write("stopReading"),
      cut: ({ chop, partBytes }) => write(`cut ${partBytes ?? ""}${chop === undefined ? "" : " chop"}`)
    },
    surroundings: {
      now: () => now,
      after: (millis, run) => void timers.push({ at: now + millis, run })
    },
    calls,
    done,
    changes: () => done().filter((what) => !what.startsWith("Update ")),
    texts: () => calls.flatMap(({ text }) => (text === undefined ? [] : [text])),
    advance: (millis) => {
      const until = now + millis
      for (;;) {
        const next = timers.filter(({ at }) => at <= until).toSorted((one, other) => one.at - other.at)[0]
        if (next === undefined) break
        timers = timers.filter((timer) => timer !== next)
        now = next.at
        next.run()
      }
      now = until
    },
    leave: (player) => {
      timers = []
      player.gone()
    }
  }
}
