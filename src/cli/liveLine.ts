/** The line that shows a call on a terminal: how far it is, how sure Flux is that the turn is over, and the turn so far. Pure. */
import { styleText } from "node:util"
import { type FluxEvent, isTurnEvent } from "../FluxEvent.ts"
import { type Settings, fluxEotThreshold } from "../FluxSettings.ts"
import { time } from "./Output.ts"
import { plain } from "./plain.ts"

/** Cuts text to so many columns of a terminal, at its beginning. */
export type Cut = (text: string, columns: number) => string

/** A call as it is now. */
export interface LiveLine {
  /** Notes that the call's audio has been heard up to here, in seconds. */
  readonly hear: (seconds: number) => void
  readonly tell: (event: FluxEvent) => void
  /** The line now, no wider than `columns`. */
  readonly render: (columns: number, colour: boolean, cut: Cut) => string
}

/** For a call with these settings. */
export const make = ({ eagerEotThreshold, eotThreshold = fluxEotThreshold }: Pick<Settings, "eotThreshold" | "eagerEotThreshold">): LiveLine => {
  let elapsed = 0
  let state = "connecting"
  let turn: { readonly confidence: number; readonly transcript: string } | undefined
  const bounds = eagerEotThreshold === undefined ? fixed(eotThreshold) : `${fixed(eagerEotThreshold)}/${fixed(eotThreshold)}`

  /** Green ends the turn, yellow is when a reply may be drafted. */
  const colourOf = (confidence: number): "green" | "yellow" | "dim" =>
    confidence >= eotThreshold ? "green" : confidence >= (eagerEotThreshold ?? eotThreshold) ? "yellow" : "dim"

  return {
    hear: (seconds) => {
      elapsed = seconds
    },
    tell: (event) => {
      if (isTurnEvent(event)) {
        turn = event.type === "EndOfTurn" ? undefined : { confidence: event.endOfTurnConfidence, transcript: event.transcript }
      } else if (event.type === "Connected" || event.type === "Resumed") state = "listening"
      else if (event.type === "Reconnecting") state = "reconnecting"
    },
    render: (columns, colour, cut) => {
      const at = time(elapsed)
      if (turn === undefined) return cut(`${at}  ${state}`, columns)
      const confidence = fixed(turn.confidence)
      const head = `${at}  ${confidence} of ${bounds}  `
      if (columns - head.length < leastText) return cut(plain(turn.transcript), columns)
      const shown = colour ? head.replace(`  ${confidence}`, `  ${styleText(colourOf(turn.confidence), confidence, { validateStream: false })}`) : head
      return `${shown}${cut(plain(turn.transcript), columns - head.length)}`
    }
  }
}

/** Columns for the text, below which it has the line for itself. */
const leastText = 20

const fixed = (confidence: number): string => confidence.toFixed(2)
