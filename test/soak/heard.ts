/** What a call is told, folded event by event, so that it needs little memory however long the call is. */
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type { Speech } from "./script.ts"

/** A stretch of the call, in seconds. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** What was told so far. */
export interface Heard {
  /** What is wrong with the events, by themselves and beside what was said. */
  readonly wrong: ReadonlyArray<string>
  readonly words: ReadonlySet<string>
  readonly doubled: number
  readonly dropped: ReadonlyArray<Stretch>
  /** Up to where Flux told of the call, in seconds. */
  readonly toldUpTo: number
  readonly sessions: number
  readonly turns: number
  /** Where turns were ended on demand. */
  readonly cut: ReadonlyArray<number>
  /** Number of the turn that is open. */
  readonly open: number | undefined
  /** How far behind each recovery was, in seconds. */
  readonly behind: ReadonlyArray<number>
}

/** Takes the events of one call, in order. */
export interface Listener {
  readonly take: (event: FluxEvent) => void
  readonly heard: () => Heard
}

/** Most attempts to get a session that may come in a row: the budget's, and one that is told when it is used up. */
const mostAttempts = 6

/** A listener to a call in which this is said. */
export const listener = ({ order, words }: Speech): Listener => {
  const wrong: Array<string> = []
  const known = new Set<string>()
  const dropped: Array<Stretch> = []
  const behind: Array<number> = []
  const cut: Array<number> = []
  let doubled = 0
  let toldUpTo = 0
  let sessions = 0
  let open: number | undefined
  let turns = 0
  let ended = 0
  let last = -1
  let attempts = 0

  const hear = (turn: number, word: string): void => {
    const at = order.get(word)
    if (at === undefined) wrong.push(`turn ${turn} has "${word}", which nobody said`)
    else if (known.has(word)) {
      doubled++
      wrong.push(`turn ${turn} has "${word}" once more`)
    } else if (at < last) wrong.push(`turn ${turn} has "${word}" after "${words[last]?.word}"`)
    known.add(word)
    last = Math.max(last, at ?? last)
  }

  return {
    take: (event) => {
      switch (event.type) {
        case "Connected":
          sessions++
          return
        case "StartOfTurn":
          if (open !== undefined) wrong.push(`turn ${event.turn} starts while ${open} is open`)
          if (event.turn !== turns) wrong.push(`turn ${event.turn} starts where ${turns} is the next`)
          open = event.turn
          turns = event.turn + 1
          break
        case "EndOfTurn":
          if (open !== event.turn) wrong.push(`turn ${event.turn} ends while ${open ?? "none"} is open`)
          open = undefined
          // windows are 32-bit floats
          if (event.audioStart < ended - 0.01) {
            wrong.push(`turn ${event.turn} is from ${event.audioStart} s, and the one before it up to ${ended} s`)
          }
          ended = Math.max(ended, event.audioEnd)
          attempts = 0
          if (event.trigger === "manual") cut.push(event.audioEnd)
          for (const word of event.transcript.split(" ")) if (word !== "") hear(event.turn, word)
          break
        case "Update":
        case "EagerEndOfTurn":
        case "TurnResumed":
          if (open !== event.turn) wrong.push(`${event.type} of turn ${event.turn} while ${open ?? "none"} is open`)
          attempts = 0
          break
        case "Reconnecting":
          attempts++
          if (attempts > mostAttempts) wrong.push(`${attempts} attempts in a row`)
          return
        case "Resumed":
          behind.push(event.behindSeconds)
          return
        case "AudioDropped":
          dropped.push({ from: event.audioStart, to: event.audioEnd })
          return
        default:
          return
      }
      toldUpTo = Math.max(toldUpTo, event.audioEnd)
    },
    heard: () => ({ wrong, words: known, doubled, dropped, toldUpTo, sessions, turns, cut, open, behind })
  }
}
