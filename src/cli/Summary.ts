/** What a call was like, for its end on a terminal. Pure. */
import { type FluxEvent, isTurnEvent } from "../FluxEvent.ts"

/** Gathers it. */
export interface Summary {
  /** Notes that audio up to here, in seconds of the call, was handed over then, in ms. */
  readonly hear: (seconds: number, atMillis: number) => void
  /** Notes an event that came then; both times are monotonic. */
  readonly tell: (event: FluxEvent, atMillis: number) => void
  /** Some lines; none of a call that Flux never heard of. */
  readonly lines: () => ReadonlyArray<string>
}

/** Where nobody speaks for long, the latest are enough: some ten minutes of chunks. */
const maxMarks = 8192

/** A new one. */
export const make = (): Summary => {
  let turns = 0
  let elapsed = 0
  let injected = 0
  let sessions = 0
  let begun: number | undefined
  const firstWords: Array<number> = []
  const ends: Array<number> = []
  /** When audio was handed over, of what may still be asked for. */
  let marks: Array<{ readonly seconds: number; readonly at: number }> = []

  /** How long after audio up to `seconds` was handed over something came, in ms. */
  const since = (seconds: number, heardAt: number): ReadonlyArray<number> => {
    const mark = marks.find((mark) => mark.seconds >= seconds)
    return mark === undefined ? [] : [Math.max(0, heardAt - mark.at)]
  }

  return {
    hear: (seconds, at) => {
      elapsed = seconds
      marks.push({ seconds, at })
      if (marks.length > maxMarks) marks = marks.slice(maxMarks / 2)
    },
    tell: (event, at) => {
      if (event.type === "Connected") sessions++
      if (event.type === "Disconnected") injected += event.usage.injectedSeconds
      if (!isTurnEvent(event)) return
      const [first] = event.words
      if (first !== undefined && begun !== event.turn) {
        begun = event.turn
        firstWords.push(...since(first.end ?? event.audioEnd, at))
      }
      if (event.type !== "EndOfTurn") return
      injected += event.usage.injectedSeconds
      if (event.transcript !== "") turns++
      if (event.ending === "confirmed") ends.push(...since(event.audioEnd, at))
      marks = marks.filter(({ seconds }) => seconds > event.audioEnd)
    },
    lines: () => {
      if (sessions === 0) return []
      const silence = injected >= 0.05 ? ` and ${injected.toFixed(1)} s of injected silence` : ""
      return [
        `${counted(turns, "turn")} in ${elapsed.toFixed(1)} s of audio${silence}; ${counted(sessions - 1, "reconnect")}`,
        ...latency("first word", "after it was said", firstWords),
        ...latency("end of turn", "after the audio that ended it", ends)
      ]
    }
  }
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`

const latency = (what: string, after: string, millis: ReadonlyArray<number>): ReadonlyArray<string> => {
  if (millis.length === 0) return []
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (share: number): string => lasting(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return [`${what} ${at(0.5)} ${after} (median; at most ${at(1)})`]
}

const lasting = (millis: number): string => (millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`)
