/**
 * What is said in a session, frame by frame. A turn of the script follows the speech found in the audio, a word for
 * every 320 ms of it; a timed one is said at its times whatever the audio holds. Pure.
 */
import { frameMillis } from "../../Audio.ts"
import type * as Script from "../Script.ts"
import { wordSeconds } from "../script/times.ts"

/** A word as far as it has been heard; times in seconds. */
export interface Heard {
  readonly word: string
  readonly confidence: number
  readonly start: number
  end: number
  /** The latest that its end can be. */
  readonly until: number
}

/** An open turn. */
export interface Turn {
  /** From 0, through the session. */
  readonly index: number
  readonly words: Array<Heard>
  /** What of the script is being said; `undefined` past its end. */
  line: Script.Turn | undefined
  /** When the first word of that line began. */
  sinceMillis: number
  voicedFrames: number
  voiceEndMillis: number
  /** Since the voice ended. */
  silenceMillis: number
}

/** The voice of a session. */
export interface Voice {
  /** The open turn, if there is one. */
  readonly turn: () => Turn | undefined
  /** Takes the next frame, `loud` where there is speech in it; opens a turn at its first word. True where a word begins. */
  readonly hear: (startMillis: number, endMillis: number, loud: boolean) => boolean
  /** Says what is left of a line that follows speech: its words are heard where the voice stopped. */
  readonly finish: () => void
  /** Ends the open turn. A line that follows speech is used up; of a timed one, the words still to come open the next turn. */
  readonly end: () => void
}

/** A new {@link Voice}. */
export const make = ({ turns }: Script.Script): Voice => {
  let turn: Turn | undefined
  let turnIndex = 0
  let placeholdersUsed = 0
  /** The line that is being said, or the next. */
  let at = 0
  /** Words said of that line, where it is a timed one. */
  let said = 0
  /** The first timed line after it; -1 for none. */
  let nextTimed = -1

  const goTo = (line: number): void => {
    at = line
    said = 0
    nextTimed = turns.findIndex((turn, index) => index > line && isTimed(turn))
  }
  const open = (sinceMillis: number): Turn => ({
    index: turnIndex,
    words: [],
    line: turns[at],
    sinceMillis,
    voicedFrames: 0,
    voiceEndMillis: 0,
    silenceMillis: 0
  })
  const add = (turn: Turn, { confidence, word }: Script.Word, start: number, until: number): void => {
    const usual = (90 + ((turn.index * 3 + turn.words.length * 7) % 10)) / 100
    turn.words.push({ word, confidence: confidence ?? usual, start, end: start, until })
  }

  // a line that follows speech

  const finish = (): void => {
    if (turn === undefined || turn.line === undefined || isTimed(turn.line)) return
    for (const word of turn.line.words.slice(turn.words.length)) {
      add(turn, word, turn.voiceEndMillis / 1000, turn.voiceEndMillis / 1000)
    }
  }
  const followed = (startMillis: number, endMillis: number, loud: boolean): boolean => {
    if (!loud) {
      if (turn !== undefined) turn.silenceMillis = endMillis - turn.voiceEndMillis
      return false
    }
    turn ??= open(startMillis)
    turn.voiceEndMillis = endMillis
    turn.silenceMillis = 0
    const before = turn.words.length
    if (turn.voicedFrames % framesPerWord === 0) {
      const words = turn.line?.words ?? []
      const word = words.length === 0 ? { word: `speech-${++placeholdersUsed}` } : words[before]
      if (word !== undefined) add(turn, word, startMillis / 1000, (startMillis + wordMillis) / 1000)
    }
    turn.voicedFrames++
    grow(turn, endMillis)
    return turn.words.length > before
  }

  // a timed line

  const timed = (line: Script.Turn, endMillis: number): boolean => {
    const before = said
    for (let word = line.words[said]; word !== undefined && startOf(word) < endMillis; word = line.words[said]) {
      turn ??= open(startOf(word))
      if (said > 0) grow(turn, endMillis)
      const start = word.start ?? 0
      add(turn, word, start, word.end ?? start + wordSeconds)
      said++
    }
    if (turn === undefined) return false
    grow(turn, endMillis)
    turn.voiceEndMillis = Math.min(millisOf(turn.words.at(-1)?.until ?? 0), endMillis)
    turn.silenceMillis = endMillis - turn.voiceEndMillis
    return said > before
  }
  /** A timed line begins: in the open turn, where silence was too short to end that, and past lines that were not said. */
  const begin = (line: Script.Turn): void => {
    finish()
    goTo(nextTimed)
    if (turn === undefined) return
    turn.line = line
    turn.sinceMillis = startOf(line.words[0])
  }

  /** Whoever says when everything is said wants nothing made up behind it. */
  const allSaid = (): boolean => at >= turns.length && turns.length > 0 && turns.every(isTimed)

  goTo(0)
  return {
    turn: () => turn,
    hear: (startMillis, endMillis, loud) => {
      let heard = false
      for (let next = turns[nextTimed]; next !== undefined; next = turns[nextTimed]) {
        const start = startOf(next.words[0])
        if (start >= endMillis) break
        const line = turns[at]
        // what comes before it in this frame
        if (line !== undefined && isTimed(line)) heard = timed(line, start) || heard
        begin(next)
      }
      const line = turns[at]
      const more = line !== undefined && isTimed(line)
        ? timed(line, endMillis)
        : followed(startMillis, endMillis, loud && !allSaid())
      return heard || more
    },
    finish,
    end: () => {
      turn = undefined
      turnIndex++
      const line = turns[at]
      if (line === undefined || !isTimed(line) || said >= line.words.length) goTo(at + 1)
    }
  }
}

const wordMillis = wordSeconds * 1000
const framesPerWord = wordMillis / frameMillis

const isTimed = (turn: Script.Turn): boolean => turn.at !== undefined

/** To the microsecond: 0.56 s are 560 ms, whatever 0.56 is in binary. */
const millisOf = (seconds: number): number => Math.round(seconds * 1_000_000) / 1000
const startOf = (word: Script.Word | undefined): number => millisOf(word?.start ?? 0)

/** The last word goes on to now. One that came out where the voice stopped was not spoken, and does not grow. */
const grow = ({ words }: Turn, nowMillis: number): void => {
  const last = words.at(-1)
  if (last !== undefined && last.end < last.until) last.end = Math.min(last.until, nowMillis / 1000)
}
