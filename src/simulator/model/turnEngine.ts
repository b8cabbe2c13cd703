/**
 * When turns open, are resumed and end: the state machine of protocol 4, frame by frame on audio time. Keeps the
 * guarantees of protocol 4.2 whatever is said, and whatever a Configure changes in between. Pure.
 */
import type { TurnEvent } from "../../FluxMessage.ts"
import * as confidence from "./confidence.ts"
import type { Configuration } from "./configuration.ts"
import type { Frame } from "./framing.ts"
import type { CloseMode } from "../Script.ts"
import type { Said, ServerMessages, Trigger } from "./serverMessages.ts"
import type { Turn, Voice } from "./turn.ts"

/** The turns of one session. */
export interface TurnEngine<F extends Frame> {
  /** Takes the next frame. At most one message: a change, or else an Update where one is due (see {@link restless}). */
  readonly frame: (frame: F) => Said | undefined
  /** Ends the turn with the words of its latest message: nothing is decoded for it (protocol 3.3). */
  readonly force: () => Said
  /** The last word on an open turn. */
  readonly close: (mode: CloseMode) => Said | undefined
}

/** What an engine works with. */
export interface Options<F extends Frame> {
  readonly voice: Voice<F>
  readonly say: ServerMessages
  /** What is in force. */
  readonly active: () => Configuration
  /** See {@link confidence.ofTurn}. */
  readonly memory: boolean
}

/** A new {@link TurnEngine}. */
export const make = <F extends Frame>({ active, memory, say, voice }: Options<F>): TurnEngine<F> => {
  let turnIndex = 0
  let windowStartMillis = 0
  let nowMillis = 0
  let frameInSlot = 0
  let slotTaken = false
  /** From an EagerEndOfTurn to the TurnResumed after it. */
  let eager = false
  /** Words of the open turn in its latest message. */
  let wordsTold = 0

  const sureness = (): number => {
    const turn = voice.turn()
    return turn === undefined ? 0 : confidence.ofTurn(turn, memory)
  }
  const tell = (event: TurnEvent, trigger?: Trigger): Said => {
    const turn = voice.turn()
    wordsTold = turn?.words.length ?? 0
    return say.turnInfo({
      event,
      turnIndex,
      windowStartMillis,
      nowMillis,
      turn,
      confidence: sureness(),
      languageHints: active().languageHints,
      trigger
    })
  }
  const resume = (): Said => {
    eager = false
    return tell("TurnResumed")
  }
  const end = (trigger: Trigger): Said => {
    const message = tell("EndOfTurn", trigger)
    voice.end()
    eager = false
    turnIndex++
    windowStartMillis = nowMillis
    return message
  }
  /** Confidence comes first: where it is enough, the silence was not needed. */
  const endedBy = (turn: Turn, sure: number): Trigger | undefined => {
    const { eotThreshold, eotTimeoutMs } = active()
    // a threshold of 1 turns ends by confidence off (protocol 4.4)
    if (eotThreshold < 1 && sure >= eotThreshold) return "model"
    return turn.silenceMillis >= eotTimeoutMs ? "timeout" : undefined
  }
  const change = (startMillis: number, frame: F): Said | undefined => {
    const opening = voice.turn() === undefined
    const newWord = voice.hear(startMillis, frame)
    const turn = voice.turn()
    if (turn === undefined) return undefined
    if (opening) return tell("StartOfTurn")
    // an eager end stands for its words, however sure Flux is now
    if (eager && newWord) return resume()
    const sure = confidence.ofTurn(turn, memory)
    const trigger = endedBy(turn, sure)
    if (trigger !== undefined) {
      voice.finish()
      return end(trigger)
    }
    const { eagerEotThreshold } = active()
    const probable = eagerEotThreshold !== undefined && sure >= eagerEotThreshold
    if (probable === eager) return undefined
    if (eager) return resume()
    voice.finish()
    eager = true
    return tell("EagerEndOfTurn")
  }

  return {
    frame: (frame) => {
      const startMillis = nowMillis
      nowMillis = frame.endMillis
      const changed = change(startMillis, frame)
      slotTaken ||= changed !== undefined
      frameInSlot++
      const slotEnds = frameInSlot === framesPerSlot
      const due = slotEnds && !slotTaken
      if (slotEnds) {
        frameInSlot = 0
        slotTaken = false
      }
      return changed ?? (due || sureness() > restless ? tell("Update") : undefined)
    },
    force: () => {
      const turn = voice.turn()
      if (turn === undefined) return say.noActiveTurn()
      turn.words.length = wordsTold
      // between two slots it takes neither's Update
      slotTaken ||= frameInSlot > 0
      return end("manual")
    },
    close: (mode) => voice.turn() === undefined ? undefined : mode === "update" ? tell("Update") : end("model")
  }
}

/** An Update every 240 ms, unless a change has taken its slot (protocol 4.2, 4.3). */
const framesPerSlot = 3
/** Above this confidence that the turn is over there is an Update every frame, unless a change comes in it (protocol 11.5). */
const restless = 0.5
