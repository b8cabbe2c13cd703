/** A turn of a script's JSON form: its rules, and its normalised form. Pure. */
import { isObject } from "../../internal/json.ts"
import type { Turn, Word } from "../Script.ts"
import { At, Curve, ItemText, Languages, PauseInput, TurnInput, WordInput } from "./input.ts"
import { noSuchKey, read, type Report, strict } from "./reading.ts"
import { type Item, placed } from "./times.ts"

/** The turn, and when it ends: where it is not a timed one, that is when the timed turn before ends. Seconds. */
export interface Read {
  readonly turn: Turn
  readonly end: number
  /** It is no timed turn, nor was one meant. */
  readonly untimed: boolean
}

/** Reads a turn at its place. `after` is when the timed turn before ends. */
export const readTurn = (
  input: unknown,
  { after, place }: { readonly place: string; readonly after: number },
  report: Report
): Read => {
  if (typeof input === "string") return { turn: { words: wordsOf(input) }, end: after, untimed: true }
  if (!isObject(input)) {
    report(place, "must be a string or an object")
    return { turn: { words: [] }, end: after, untimed: false }
  }
  for (const key of Object.keys(input)) if (!(key in TurnInput.fields)) report(`${place}.${key}`, noSuchKey)
  const field = <A>(key: string, decode: Parameters<typeof read<A>>[0]): A | undefined =>
    key in input ? read(decode, input[key], `${place}.${key}`, report) : undefined
  const at = field("at", readAt)
  const endOfTurnConfidence = field("endOfTurnConfidence", readCurve)
  const languages = field("languages", readLanguages)
  checkCurve(input["endOfTurnConfidence"], `${place}.endOfTurnConfidence`, report)
  const items = readItems(input["words"], `${place}.words`, report)
  const { end, untimed, words } = placed({ place, timed: "at" in input, at, after, items }, report)
  const start = words[0]?.start
  return {
    turn: {
      words,
      ...(start === undefined ? {} : { at: start }),
      ...(endOfTurnConfidence === undefined ? {} : { endOfTurnConfidence }),
      ...(languages === undefined ? {} : { languages })
    },
    end,
    untimed
  }
}

const readAt = strict(At)
const readCurve = strict(Curve)
const readLanguages = strict(Languages)
const readText = strict(ItemText)
const readWord = strict(WordInput)
const readPause = strict(PauseInput)

const wordsOf = (text: string): ReadonlyArray<Word> =>
  text.split(/\s+/u).filter((word) => word !== "").map((word) => ({ word }))

/** Words and pauses in order. */
const readItems = (input: unknown, place: string, report: Report): ReadonlyArray<Item> => {
  if (input === undefined) return []
  if (typeof input === "string") return wordsOf(input).map((value) => ({ place, value }))
  if (!Array.isArray(input)) {
    report(place, "must be a string or an array")
    return []
  }
  return input.map((member: unknown, index) => {
    const here = `${place}[${index}]`
    return { place: here, value: readItem(member, here, report) }
  })
}

const readItem = (input: unknown, place: string, report: Report): WordInput | PauseInput | undefined => {
  if (typeof input === "string") {
    const word = read(readText, input, place, report)
    return word === undefined ? undefined : { word }
  }
  if (!isObject(input)) return void report(place, "must be a word, or an object with a word or a pause")
  return "pause" in input ? read(readPause, input, place, report) : read(readWord, input, place, report)
}

/** Times increase, whatever else may be wrong with the points. */
const checkCurve = (points: unknown, place: string, report: Report): void => {
  if (!Array.isArray(points)) return
  const times = points.map((point: unknown) => (isObject(point) ? point["at"] : undefined))
  times.forEach((at, index) => {
    const before = times[index - 1]
    if (typeof at === "number" && typeof before === "number" && at <= before) {
      report(`${place}[${index}].at`, `must be after the point before (${before})`)
    }
  })
}
