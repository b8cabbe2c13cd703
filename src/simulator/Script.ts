/**
 * What is said to the simulator, and what goes wrong there. A plain transcript says what; when comes from the audio
 * alone: each turn found there takes the next line. The JSON form can also say when, and how sure Flux is. Pure.
 */
import * as Result from "effect/Result"
import { publish } from "../internal/jsonSchema.ts"
import * as textFile from "../internal/textFile.ts"
import type { Fault } from "./Fault.ts"
import * as jsonText from "./script/jsonText.ts"
import { type Clock, type CloseMode, ScriptInput } from "./script/input.ts"
import { normalise } from "./script/rules.ts"

export { Clock, CloseMode, ScriptInput } from "./script/input.ts"

/** A word as it is said. */
export interface Word {
  readonly word: string
  /** 0 to 1; default a fixed one of 0.90 to 0.99. */
  readonly confidence?: number
  /** When it begins, seconds on the script's clock; set in a timed turn and only there. */
  readonly start?: number
  /** When it ends, seconds on the script's clock; set in a timed turn and only there. */
  readonly end?: number
}

/** A point of a curve over the seconds, on the script's clock, since the turn's first word began. */
export interface ConfidencePoint {
  readonly at: number
  /** Confidence that the turn is over, 0 to 1. */
  readonly value: number
}

/** A turn. */
export interface Turn {
  /** Empty: placeholders. */
  readonly words: ReadonlyArray<Word>
  /** Seconds on the script's clock at which its first word begins; absent: it follows detected speech. */
  readonly at?: number
  /**
   * Confidence that the turn is over: linear between these points, constant before the first and after the last.
   * Absent: it grows with silence and is full after a second of it.
   */
  readonly endOfTurnConfidence?: ReadonlyArray<ConfidencePoint>
  /** Languages heard in it, most words first, as the multilingual model tells them. */
  readonly languages?: ReadonlyArray<string>
}

/** What is said in each session: `turns[0]` first. Turns past the end say placeholders; where all are timed, there are none. */
export interface Script {
  readonly turns: ReadonlyArray<Turn>
  /**
   * What the seconds of timed turns count. `session`, the default: the audio of each session, from its first sample
   * on. `stamps`: positions in position-stamped audio (`Stamp`), over the sample rate; so a session that begins
   * within a call, as after a reconnect, says what belongs there. With `stamps`:
   *
   * - All turns are timed, and nothing else is heard.
   * - A word is heard where the sample at which it begins arrives, and again where that is repeated. One whose
   *   beginning was not sent is skipped; the next one opens the turn, and a curve counts from there.
   * - Audio without stamps is silence: it lets a turn end by silence or timeout, and a curve stands still in it.
   *   Encodings other than linear16 have no stamps.
   *
   * What Flux sends is in seconds of the session's audio all the same.
   */
  readonly clock?: Clock
  /** What goes wrong. */
  readonly faults: ReadonlyArray<Fault>
  /** For faults that are left to chance. */
  readonly seed?: number
  /** What CloseStream does to an open turn. */
  readonly closeMode?: CloseMode
}

/** Reads a transcript: one line a turn, words parted by white space, blank lines skipped. */
export const fromText = (text: string): Script => ({
  turns: text.split(/\r\n|\r|\n/)
    .map((line) => ({ words: line.split(/\s+/u).filter((word) => word !== "").map((word) => ({ word })) }))
    .filter(({ words }) => words.length > 0),
  faults: []
})

/**
 * Reads the JSON form. Fails with every rule that is broken, each with its place, such as
 * `turns[1].words[0].confidence: must be a value between 0 and 1`; text that is no JSON fails with line and column.
 */
export const fromJson = (text: string): Result.Result<Script, ReadonlyArray<string>> =>
  Result.flatMap(Result.mapError(jsonText.parse(text), (problem) => [problem]), fromUnknown)

/**
 * {@link fromJson} where the first character that is not white space is `{` or `[`, else {@link fromText}. Fails too for
 * what is no text, such as a file in UTF-16 that was read as UTF-8, rather than have it said.
 */
export const parse = (text: string): Result.Result<Script, ReadonlyArray<string>> => {
  // JSON may have one as \uFFFD; as it is, it stands for bytes that were not understood
  const odd = textFile.oddIn(text, "\uFFFD")
  if (odd !== undefined) return Result.fail([odd])
  return /^\s*[{[]/u.test(text) ? fromJson(text) : Result.succeed(fromText(text))
}

/** The JSON form as a value that no type has checked. Fails as {@link fromJson} does. */
export const fromUnknown = (input: unknown): Result.Result<Script, ReadonlyArray<string>> => normalise(input)

/**
 * A script written in code: the JSON form as a value. Throws a RangeError with every rule that is broken, for a
 * script in code is right or the program is wrong; {@link fromUnknown} is for those that come from elsewhere.
 *
 * @example
 * Script.make({ turns: ["Hello there.", { at: 3, words: ["Yes,", { pause: 0.4 }, "please."] }] })
 *
 * @example
 * // said at those seconds of the call: a session that begins 39 s into it hears the second turn alone
 * const script = Script.make({ clock: "stamps", turns: [{ at: 0.5, words: "good morning" }, { at: 40, words: "and goodbye" }] })
 * const sent = Stamp.audio(39 * 16_000, 4 * 16_000)
 */
export const make = (input: ScriptInput): Script => {
  const made = fromUnknown(input)
  if (Result.isSuccess(made)) return made.success
  throw new RangeError(`Bad script: ${made.failure.join("; ")}`)
}

/** No script: words are `speech-1`, `speech-2`, ... counting on through the session. */
export const placeholders: Script = { turns: [], faults: [] }

/** The JSON Schema (draft 2020-12) of the JSON form. It knows shapes and ranges; the order of times only {@link fromJson} checks. */
export const jsonSchema = (): object => publish(ScriptInput, { onExcessProperty: "error" })
