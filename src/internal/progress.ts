/** How far Flux is with a session's audio, and whether it has a turn open. Seconds of the session. Pure. */
import type { TurnInfo } from "../FluxMessage.ts"
import { opens } from "./turns.ts"

/** See the module. */
export interface Progress {
  readonly take: (info: TurnInfo) => void
  readonly turnOpen: () => boolean
  /** How far the audio had come when the open turn began; undefined without one. */
  readonly turnBegan: () => number | undefined
  /** End of what was transcribed. */
  readonly transcribed: () => number
  /** Whether Flux has been seen to tell of audio outside turns, which not every bundle need do. */
  readonly tellsOfIdleAudio: () => boolean
  /** Whether all audio up to here is told, and no turn is open. */
  readonly answered: (seconds: number) => boolean
  /** The open turn is given up: what Flux goes on to say of it opens none, unless there are new words. */
  readonly abandon: () => void
}

/** Windows are 32-bit floats on the wire. */
const tolerance = 0.01

/** A new one, for a session in which nothing has been said. */
export const make = (): Progress => {
  let open = false
  let began: number | undefined
  let transcribed = 0
  let idle = false
  /** The latest message of the open turn, or of the last one; and the last one that was given up. */
  let latest: TurnInfo | undefined
  let abandoned: TurnInfo | undefined

  const set = (isOpen: boolean, at?: number): void => {
    if (isOpen && !open) began = at
    else if (!isOpen) began = undefined
    open = isOpen
  }

  return {
    take: (info) => {
      transcribed = Math.max(transcribed, info.audio_window_end)
      // Flux went on without an EndOfTurn
      if (open && latest?.turn_index !== info.turn_index) set(false)
      const givenUp = abandoned?.turn_index === info.turn_index && abandoned.transcript === info.transcript
      if (info.event === "EndOfTurn") set(false)
      else if (open || (opens(info) && !givenUp)) {
        latest = info
        set(true, info.audio_window_end)
      } else if (info.event === "Update" && info.transcript === "") idle = true
    },
    turnOpen: () => open,
    turnBegan: () => began,
    transcribed: () => transcribed,
    tellsOfIdleAudio: () => idle,
    answered: (seconds) => !open && transcribed >= seconds - tolerance,
    abandon: () => {
      abandoned = latest
      set(false)
    }
  }
}
