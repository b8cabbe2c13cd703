/** When the words of a timed turn are said. Pure. */
import type { Word } from "../Script.ts"
import type { PauseInput, WordInput } from "./input.ts"
import type { Report } from "./reading.ts"

/** How long a word takes of which nothing more is known, in seconds. */
export const wordSeconds = 0.32

/** A word or a pause, and where it stands; `undefined` where it is broken, which has been told. */
export interface Item {
  readonly place: string
  readonly value: WordInput | PauseInput | undefined
}

/** A turn whose words are to be placed in time. */
export interface Unplaced {
  readonly place: string
  /** It has an `at`, right or wrong. */
  readonly timed: boolean
  readonly at: number | undefined
  /** When the timed turn before ends, seconds. */
  readonly after: number
  readonly items: ReadonlyArray<Item>
}

/** Words with their times, where the turn is a timed one, and when it ends, with a pause behind its last word. */
export interface Placed {
  readonly words: ReadonlyArray<Word>
  readonly end: number
  /** It is no timed turn, nor was one meant. */
  readonly untimed: boolean
}

/** Gives the words of a turn their times, and tells what cannot be. */
export const placed = (turn: Unplaced, report: Report): Placed => {
  const first = turn.items[0]
  if (turn.timed || isWord(first?.value) && first.value.start !== undefined) return placeTimed(turn, report)
  // what is broken may have been meant as the start that makes the turn a timed one
  const untimed = first === undefined || first.value !== undefined
  for (const { place, value } of turn.items) {
    for (const key of ["pause", "start", "end"]) {
      if (untimed && value !== undefined && key in value) report(`${place}.${key}`, `only in a timed turn: give the turn "at"`)
    }
  }
  return { words: turn.items.flatMap(({ value }) => (isWord(value) ? [value] : [])), end: turn.after, untimed }
}

const placeTimed = ({ after, at, items, place }: Unplaced, report: Report): Placed => {
  if (items.every(({ value }) => isPause(value))) report(`${place}.words`, "a timed turn needs words")
  if (at !== undefined && at < after) report(`${place}.at`, `must not be before the end of the timed turn before (${after})`)
  const words: Array<Word> = []
  let end = at ?? after
  let paused = false
  for (const [index, { place, value }] of items.entries()) {
    if (isPause(value)) {
      end = exact(end + value.pause)
      paused = true
    } else if (value !== undefined) {
      const start = value.start ?? end
      if (value.start !== undefined && paused) report(`${place}.start`, "the pause before the word says when it begins: give one of them")
      else if (start < end) report(`${place}.start`, `must not be before ${nameOfEnd(words.length > 0, at)} (${end})`)
      if (value.end !== undefined && value.end <= start) report(`${place}.end`, `must be after the start of the word (${start})`)
      const next = items[index + 1]?.value
      end = value.end ?? endOf(start, isWord(next) ? next.start : undefined)
      paused = false
      words.push({ ...value, start, end })
    }
  }
  return { words, end, untimed: false }
}

const isWord = (value: Item["value"]): value is WordInput => value !== undefined && "word" in value
const isPause = (value: Item["value"]): value is PauseInput => value !== undefined && "pause" in value

const nameOfEnd = (behindAWord: boolean, at: number | undefined): string =>
  behindAWord ? "the end of the word before" : at === undefined ? "the end of the timed turn before" : "the turn's at"

/** A word without an end stops where the next begins. */
const endOf = (start: number, next: number | undefined): number => {
  const end = exact(start + wordSeconds)
  return next !== undefined && next > start && next < end ? next : end
}

/** Sums of decimal fractions, to the microsecond: 0.1 + 0.2 is 0.3. */
const exact = (seconds: number): number => Math.round(seconds * 1_000_000) / 1_000_000
