/**
 * What is said in a session, frame by frame. A turn of the script follows the speech found in the audio, a word for
 * every 320 ms of it; a timed one is said at its times whatever the audio holds. Pure.
 */
import { frameMillis } from "../../Audio.ts"
import type * as Script from "../Script.ts"
import { wordSeconds } from "../script/times.ts"
import type { Frame } from "./speech.ts"
import { add, millisOf, open, type Turn, type Voice } from "./turn.ts"

/** A new {@link Voice}; `firstLine` is asked for when something is said for the first time, where no line is a timed one. */
export const make = ({ turns }: Script.Script, firstLine: () => number = () => 0): Voice<Frame> => {
  let begun = turns.some(isTimed)
  let turn: Turn | undefined
  /** Frames of it in which there was speech. */
  let voicedFrames = 0
  /** The latest that its last word can end, seconds. */
  let until = 0
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
  const opened = (sinceMillis: number): Turn => {
    voicedFrames = 0
    return open(turnIndex, turns[at], sinceMillis)
  }
  const say = (turn: Turn, word: Script.Word, start: number, latest: number): void => {
    add(turn, word, start)
    until = latest
  }
  /** The last word goes on to now. One that came out where the voice stopped was not spoken, and does not grow. */
  const grow = ({ words }: Turn, nowMillis: number): void => {
    const last = words.at(-1)
    if (last !== undefined && last.end < until) last.end = Math.min(until, nowMillis / 1000)
  }

  // a line that follows speech

  const finish = (): void => {
    if (turn === undefined || turn.line === undefined || isTimed(turn.line)) return
    for (const word of turn.line.words.slice(turn.words.length)) {
      say(turn, word, turn.voiceEndMillis / 1000, turn.voiceEndMillis / 1000)
    }
  }
  const followed = (startMillis: number, endMillis: number, loud: boolean): boolean => {
    if (!loud) {
      if (turn !== undefined) turn.silenceMillis = endMillis - turn.voiceEndMillis
      return false
    }
    if (!begun) goTo(firstLine())
    begun = true
    turn ??= opened(startMillis)
    turn.voiceEndMillis = endMillis
    turn.silenceMillis = 0
    const before = turn.words.length
    if (voicedFrames % framesPerWord === 0) {
      const words = turn.line?.words ?? []
      const word = words.length === 0 ? { word: `speech-${++placeholdersUsed}` } : words[before]
      if (word !== undefined) say(turn, word, startMillis / 1000, (startMillis + wordMillis) / 1000)
    }
    voicedFrames++
    grow(turn, endMillis)
    return turn.words.length > before
  }

  // a timed line

  const timed = (line: Script.Turn, endMillis: number): boolean => {
    const before = said
    for (let word = line.words[said]; word !== undefined && startOf(word) < endMillis; word = line.words[said]) {
      turn ??= opened(startOf(word))
      if (said > 0) grow(turn, endMillis)
      const start = word.start ?? 0
      say(turn, word, start, word.end ?? start + wordSeconds)
      said++
    }
    if (turn === undefined) return false
    grow(turn, endMillis)
    turn.voiceEndMillis = Math.min(millisOf(until), endMillis)
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
    hear: (startMillis, { endMillis, voiced }) => {
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
        : followed(startMillis, endMillis, voiced && !allSaid())
      if (turn !== undefined) turn.clockMillis = endMillis
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

const startOf = (word: Script.Word | undefined): number => millisOf(word?.start ?? 0)
