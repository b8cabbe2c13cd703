/**
 * What is said to the simulator. When it is said comes from the audio alone: each turn found there takes the next
 * line of the script. Pure.
 */

/**
 * Words by turn: `turns[0]` is what the first turn of the session says. A turn past the end, or one without words,
 * gets placeholders.
 */
export interface Script {
  readonly turns: ReadonlyArray<ReadonlyArray<string>>
}

/** Reads a transcript: one line a turn, words parted by white space, blank lines skipped. */
export const fromText = (text: string): Script => ({
  turns: text.split(/\r\n|\r|\n/)
    .map((line) => line.split(/\s+/u).filter((word) => word !== ""))
    .filter((words) => words.length > 0)
})

/** No script: words are `speech-1`, `speech-2`, ... counting on through the session. */
export const placeholders: Script = { turns: [] }
