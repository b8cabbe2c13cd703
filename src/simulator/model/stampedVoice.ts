/**
 * What is said in a session whose script goes by the stamps of its audio: a word is heard where the sample at which
 * it begins arrives, so sessions that hear the same part of a call say the same. A word whose beginning is missing is
 * not heard. Pure.
 */
import type { Format } from "../../Audio.ts"
import type * as Script from "../Script.ts"
import { wordSeconds } from "../script/times.ts"
import type { Frame, Passage } from "./stampClock.ts"
import { add, millisOf, open, type Turn, type Voice } from "./turn.ts"

/** A new {@link Voice}. */
export const make = ({ turns }: Script.Script, { sampleRate }: Format): Voice<Frame> => {
  const words = turns.flatMap(timesOf)
  let turn: Turn | undefined
  let turnIndex = 0
  /** Where the newest stamp is: the sample after it. */
  let position = 0
  /** The first word that begins there or later. */
  let next = 0
  /** The latest word said, until the stamps go back. */
  let current: TimedWord | undefined

  const callMillis = (samples: number): number => (samples * 1000) / sampleRate
  const firstFrom = (millis: number): number => {
    let [low, high] = [0, words.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((words[middle]?.startMillis ?? Infinity) < millis) low = middle + 1
      else high = middle
    }
    return low
  }

  const hearPassage = ({ at, from, to }: Passage): boolean => {
    const [fromMillis, toMillis] = [callMillis(from), callMillis(to)]
    if (from < position) current = undefined
    if (from !== position) next = firstFrom(fromMillis)
    position = to
    const sessionMillis = (millis: number): number => toMicrosecond(millis + callMillis(at - from))
    /** The voice goes on to the end of the current word, or of the passage. */
    const goOn = (): void => {
      const heard = turn?.words.at(-1)
      if (turn === undefined || heard === undefined || current === undefined || current.endMillis <= fromMillis) return
      turn.voiceEndMillis = sessionMillis(Math.min(current.endMillis, toMillis))
      heard.end = turn.voiceEndMillis / 1000
    }
    const say = ({ line, startMillis, word }: TimedWord): void => {
      turn ??= open(turnIndex, line, startMillis)
      if (turn.line !== line) {
        turn.line = line
        turn.sinceMillis = startMillis
      }
      add(turn, word, sessionMillis(startMillis) / 1000)
    }
    const before = next
    for (let word = words[next]; word !== undefined && word.startMillis < toMillis; word = words[next]) {
      goOn()
      say(word)
      current = word
      next++
    }
    goOn()
    return next > before
  }

  return {
    turn: () => turn,
    hear: (_startMillis, { endMillis, passages }) => {
      let heard = false
      for (const passage of passages) heard = hearPassage(passage) || heard
      if (turn !== undefined) {
        turn.clockMillis = callMillis(position)
        turn.silenceMillis = endMillis - turn.voiceEndMillis
      }
      return heard
    },
    finish: () => {},
    end: () => {
      turn = undefined
      turnIndex++
    }
  }
}

/** A word, and when it is said in the call. */
interface TimedWord {
  readonly line: Script.Turn
  readonly word: Script.Word
  readonly startMillis: number
  readonly endMillis: number
}

const timesOf = (line: Script.Turn): ReadonlyArray<TimedWord> =>
  line.words.flatMap((word) =>
    word.start === undefined ? [] : [{
      line,
      word,
      startMillis: millisOf(word.start),
      endMillis: millisOf(word.end ?? word.start + wordSeconds)
    }]
  )

/** As times in a script are, so that sums of them are exact. */
const toMicrosecond = (millis: number): number => Math.round(millis * 1000) / 1000
