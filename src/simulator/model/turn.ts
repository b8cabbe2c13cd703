/** A turn as it is being heard, and what hears it. Pure. */
import type * as Script from "../Script.ts"
import type { Frame } from "./framing.ts"

/** A word as far as it has been heard; times in seconds of the session's audio. */
export interface Heard {
  readonly word: string
  readonly confidence: number
  readonly start: number
  end: number
}

/** An open turn. */
export interface Turn {
  /** From 0, through the session. */
  readonly index: number
  readonly words: Array<Heard>
  /** What of the script is being said; `undefined` past its end. */
  line: Script.Turn | undefined
  /** When the first word of that line began, on the script's clock. */
  sinceMillis: number
  /** Now, on the script's clock. */
  clockMillis: number
  /** When the voice ended, in the session's audio. */
  voiceEndMillis: number
  /** Since the voice ended. */
  silenceMillis: number
}

/** The voice of a session: what is said in it, frame by frame. */
export interface Voice<F extends Frame> {
  /** The open turn, if there is one. */
  readonly turn: () => Turn | undefined
  /** Takes the next frame; opens a turn at its first word. True where a word begins. */
  readonly hear: (startMillis: number, frame: F) => boolean
  /** Says what is left of a line that follows speech: its words are heard where the voice stopped. */
  readonly finish: () => void
  /** Ends the open turn. A line that follows speech is used up; of a timed one, the words still to come open the next turn. */
  readonly end: () => void
}

/** A turn that opens, without words yet. */
export const open = (index: number, line: Script.Turn | undefined, sinceMillis: number): Turn => ({
  index,
  words: [],
  line,
  sinceMillis,
  clockMillis: sinceMillis,
  voiceEndMillis: 0,
  silenceMillis: 0
})

/** A word begins, at that second of the session's audio. */
export const add = (turn: Turn, { confidence, word }: Script.Word, start: number): void => {
  const usual = (90 + ((turn.index * 3 + turn.words.length * 7) % 10)) / 100
  turn.words.push({ word, confidence: confidence ?? usual, start, end: start })
}

/** Seconds in ms, to the microsecond: 0.56 s are 560 ms, whatever 0.56 is in binary. */
export const millisOf = (seconds: number): number => Math.round(seconds * 1_000_000) / 1000
