/** A script as it is written down: the JSON form, field by field. What it means is in `Script`. Pure. */
import * as Schema from "effect/Schema"
import { Fault } from "../Fault.ts"

const Seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0, { message: "must be a number of seconds, 0 or more" }))
const Confidence = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** A word as it stands in a list of words. */
export const ItemText = Schema.String.check(Schema.isPattern(/^\S+$/u, { message: "must be one word, without white space" }))

/** A word with more to say about it. */
export const WordInput = Schema.Struct({
  word: ItemText.annotate({ description: "The word as Flux spells it, punctuated and cased" }),
  confidence: Schema.optionalKey(
    Confidence.annotate({ description: "Confidence of the word, 0 to 1; default a fixed one of 0.90 to 0.99" })
  ),
  start: Schema.optionalKey(
    Seconds.annotate({
      description: "When it begins, seconds on the script's clock; default where the word before ends. Only in a timed turn"
    })
  ),
  end: Schema.optionalKey(
    Seconds.annotate({
      description: "When it ends, seconds on the script's clock; default 0.32 s after its start, or where the next begins. Only in a timed turn"
    })
  )
}).annotate({ description: "A word with its confidence and times" })
export type WordInput = typeof WordInput.Type

/** Silence between words. */
export const PauseInput = Schema.Struct({
  pause: Seconds.annotate({ description: "Silence before the next word, seconds" })
}).annotate({ description: "A pause. Only in a timed turn" })
export type PauseInput = typeof PauseInput.Type

/** A member of a turn's words. */
export const ItemInput = Schema.Union([
  ItemText.annotate({ description: "A word" }),
  WordInput,
  PauseInput
])
export type ItemInput = typeof ItemInput.Type

const PointInput = Schema.Struct({
  at: Seconds.annotate({ description: "Seconds since the first word of the turn began" }),
  value: Confidence.annotate({ description: "Confidence that the turn is over, 0 to 1" })
})

/** When a turn is said. */
export const At = Seconds.annotate({
  description: "Makes the turn a timed one: it is said at that second on the script's clock, whatever the audio holds. " +
    "Default: it is said when speech is detected, unless its first word has a start"
})

/** How sure Flux is that the turn is over. */
export const Curve = Schema.Array(PointInput).check(Schema.isMinLength(1, { message: "must have a point" })).annotate({
  description: "Confidence that the turn is over, in place of the rule that a second of silence is full confidence: " +
    "linear between these points, constant before the first and after the last"
})

/** Languages of a turn. */
export const Languages = Schema.Array(ItemText.annotate({ description: "A BCP-47 tag, such as en" })).annotate({
  description: "Languages heard in the turn, most words first; told by flux-general-multi. Default the first hint, else en"
})

/** A turn that is more than a string. */
export const TurnInput = Schema.Struct({
  words: Schema.optionalKey(
    Schema.Union([
      Schema.String.annotate({ description: "Words, parted by white space" }),
      Schema.Array(ItemInput)
    ]).annotate({ description: "What is said; default and empty: placeholders, such as speech-1. A timed turn needs words" })
  ),
  at: Schema.optionalKey(At),
  endOfTurnConfidence: Schema.optionalKey(Curve),
  languages: Schema.optionalKey(Languages)
}).annotate({ description: "A turn with more to say about it" })

/** What CloseStream does to an open turn (protocol 4.6, where sources disagree). */
export const CloseMode = Schema.Literals(["update", "end-of-turn"])
export type CloseMode = typeof CloseMode.Type

/** What the seconds of timed turns are counted on. */
export const Clock = Schema.Literals(["session", "stamps"])
export type Clock = typeof Clock.Type

/** All of a script but its turns and faults. */
export const scriptFields = {
  $schema: Schema.optionalKey(
    Schema.String.annotate({ description: "Where an editor finds this schema; not read" })
  ),
  clock: Schema.optionalKey(
    Clock.annotate({
      description: "What the seconds of timed turns count: session (default), the audio of each session from its first sample on; " +
        "stamps, the positions in position-stamped audio, so that a session which begins within a call says what belongs there. " +
        "With stamps all turns must be timed"
    })
  ),
  seed: Schema.optionalKey(
    Schema.Int.annotate({ description: "For faults that are left to chance: the same seed gives the same faults; default 1" })
  ),
  closeMode: Schema.optionalKey(
    CloseMode.annotate({
      description: "What CloseStream does to an open turn: update (default) leaves it with a last Update, end-of-turn ends it"
    })
  )
}

/** A script. */
export const ScriptInput = Schema.Struct({
  turns: Schema.optionalKey(
    Schema.Array(
      Schema.Union([Schema.String.annotate({ description: "Words, parted by white space; none: placeholders" }), TurnInput])
    ).annotate({ description: "What is said, turn by turn; turns past the last say placeholders, unless all of these are timed. Default none" })
  ),
  faults: Schema.optionalKey(
    Schema.Array(Fault).annotate({ description: "What goes wrong; see flux-stt faults. Default nothing" })
  ),
  ...scriptFields
}).annotate({ title: "Script", description: "What is said to a simulated Flux endpoint, and what goes wrong there" })
export type ScriptInput = typeof ScriptInput.Type
