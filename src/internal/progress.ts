/** How far Flux is with a session's audio, and whether it has a turn open. Seconds of the session. Pure. */
import type { TurnInfo } from "../FluxMessage.ts"
import { opens, passes, tolerance, withoutReported, withoutTold } from "./turns.ts"

/** See the module. */
export interface Progress {
  /** A TurnInfo, and the same in conversation time, as the reducer has it. */
  readonly take: (info: TurnInfo, placed: TurnInfo) => void
  readonly turnOpen: () => boolean
  /** Of a turn that another session began and this one has not heard: up to where that one told of it. */
  readonly carriedUntil: () => number | undefined
  /** End of what was transcribed. */
  readonly transcribed: () => number
  /** Whether Flux has been seen to tell of audio outside turns, which not every bundle need do. */
  readonly tellsOfIdleAudio: () => boolean
  /** Whether all audio up to here is told, and no turn is open. */
  readonly answered: (seconds: number) => boolean
  /** A turn is open that another session began, and told of up to here, in seconds of the conversation. */
  readonly carry: (until: number) => void
  /** The open turn is given up: what Flux goes on to say of it opens none, unless there are new words. */
  readonly abandon: () => void
}

/** A new one, for a session in which nothing has been said. Its turns are open when those of the reducer are. */
export const make = (): Progress => {
  let carried: number | undefined
  let transcribed = 0
  let idle = false
  /** Of the open turn: the last message that had new words, else the last one; as it came, and without words told before. */
  let latest: { readonly info: TurnInfo; readonly said: TurnInfo } | undefined
  /** The same of the last turn that ended, or was given up: what Flux goes on to say of it opens none. */
  let ended: TurnInfo | undefined
  /** As `carried`, until this session has told as much of it. */
  let catching: number | undefined
  /** Up to here another session has told of a turn that ended before this one had heard so much of it. */
  let toldUntil: number | undefined

  const close = (): void => {
    if (catching === undefined) ended = latest?.info ?? ended
    else toldUntil = catching
    latest = undefined
    carried = undefined
    catching = undefined
  }

  return {
    take: (received, placed) => {
      const info = withoutTold(placed, toldUntil)
      transcribed = Math.max(transcribed, received.audio_window_end)
      // Flux went on without an EndOfTurn
      if (latest !== undefined && latest.info.turn_index !== info.turn_index) close()
      const said = withoutReported(info, ended)
      if (latest === undefined && !opens(said)) {
        if (info.event === "Update" && info.transcript === "") idle = true
        if (carried !== undefined && (info.event === "EndOfTurn" || passes(info, carried))) close()
        return
      }
      carried = undefined
      if (catching !== undefined && (info.event === "EndOfTurn" || passes(info, catching))) catching = undefined
      if (latest === undefined && info.event === "StartOfTurn") ended = undefined
      if (latest === undefined || said.transcript !== "" || latest.said.transcript === "") latest = { info, said }
      if (info.event === "EndOfTurn") {
        if (info.transcript !== "") latest = { info, said }
        close()
      }
    },
    turnOpen: () => latest !== undefined || carried !== undefined,
    carriedUntil: () => carried,
    transcribed: () => transcribed,
    tellsOfIdleAudio: () => idle,
    answered: (seconds) => latest === undefined && carried === undefined && transcribed >= seconds - tolerance,
    carry: (until) => {
      carried = until
      catching = until
    },
    abandon: close
  }
}
