/**
 * Which audio of a conversation another session would have to hear, should one be needed: that of the open turn from
 * before it was noticed, else what was not told of yet. All in seconds of the conversation. Pure.
 */
import type { TurnInfo, Word } from "../FluxMessage.ts"

/** Where another session begins. */
export interface Beginning {
  readonly from: number
  /** Audio that no session has told of, and that is not kept any more: it ends at `from`. */
  readonly lostFrom?: number
}

/** See the module. */
export interface Retention {
  /** Flux has told of audio; whether a turn is open after it. */
  readonly take: (info: TurnInfo, turnOpen: boolean) => void
  /** Another session tells from now on, and counts its turns anew. */
  readonly carried: () => void
  /** The open turn was given up. */
  readonly closed: () => void
  /** Audio before this is not to be had any more. */
  readonly lost: (until: number) => void
  /** Up to where Flux has told of the audio. */
  readonly told: () => number
  /** Whether a second of the audio is of the open turn, as far as `window` seconds of it are kept. */
  readonly isOfTurn: (at: number, window: number) => boolean
  /** Audio from here on is needed. `sent` is what was sent so far; a bundle need not tell of audio outside turns. */
  readonly from: (sent: number, tellsOfIdleAudio: boolean) => number
  /** Audio from here on may be needed: a turn that is noticed next begins before what is needed now. */
  readonly keepFrom: (sent: number, tellsOfIdleAudio: boolean) => number
  /** Where the next session begins, if audio is kept from `kept` on. */
  readonly begin: (needed: number, kept: number) => Beginning
}

/** A turn is noticed some time after it began: its audio is kept from so long before. */
const turnLead = 2
/** And so is speech that no turn was opened for yet. */
const idleLead = 1
/** Where Flux does not tell of idle audio: what was sent before this has been heard. */
const untold = 5

/** A new one. */
export const make = (): Retention => {
  let told = 0
  /** End of the last turn: nothing before it is heard again. */
  let ended = 0
  let available = 0
  let turnFrom: number | undefined
  /** Flux's number of the open turn, once the session that tells has opened it. */
  let index: number | undefined
  let words: ReadonlyArray<Word> = []

  const close = (): void => {
    ended = told
    turnFrom = undefined
    index = undefined
    words = []
  }

  const needed: Retention["from"] = (sent, tellsOfIdleAudio) => {
    if (turnFrom !== undefined) return Math.max(available, ended, turnFrom)
    const idle = Math.max(available, ended, told - idleLead)
    return tellsOfIdleAudio || ended === 0 ? idle : Math.max(idle, sent - untold)
  }

  return {
    take: (info, turnOpen) => {
      const { audio_window_end: end } = info
      // Flux went on to another turn and never ended this one: it is over where Flux told of it last
      if (turnOpen && index !== undefined && info.turn_index !== index) close()
      const isBehind = end < told
      // another session may end a turn before the place that the one before it told of
      const isEnd = info.event === "EndOfTurn"
      told = isEnd ? end : Math.max(told, end)
      if (isEnd || (!turnOpen && turnFrom !== undefined)) close()
      if (!turnOpen) return
      turnFrom ??= end - turnLead
      index = info.turn_index
      // one that hears the turn again does not know all of it yet, and one that began in its middle never will
      if (info.words.length > 0 && !isBehind) words = withWords(words, info.words)
    },
    carried: () => {
      index = undefined
    },
    closed: close,
    lost: (until) => {
      available = Math.max(available, until)
    },
    told: () => told,
    isOfTurn: (at, window) => turnFrom !== undefined && at >= turnFrom && at < turnFrom + window,
    from: needed,
    keepFrom: (sent, tellsOfIdleAudio) => {
      const from = needed(sent, tellsOfIdleAudio)
      return turnFrom === undefined ? Math.max(available, ended, from - (turnLead - idleLead)) : from
    },
    begin: (needed, kept) => {
      if (kept <= needed) return { from: needed }
      const from = turnFrom === undefined ? kept : gapAfter(words, kept)
      // words that were told in time are known, whatever the next session hears
      const known = turnFrom === undefined || words.every(({ end }) => end != null) ? Math.max(needed, told) : needed
      return known < from ? { from, lostFrom: known } : { from }
    }
  }
}

/** Those before the first of the next ones, and these. */
const withWords = (words: ReadonlyArray<Word>, next: ReadonlyArray<Word>): ReadonlyArray<Word> => {
  const begin = next[0]?.start
  if (begin == null) return next
  const before = words.filter(({ end }) => end != null && end <= begin)
  return before.length === 0 ? next : [...before, ...next]
}

/** So long behind a word it is certainly over. */
const wordGap = 0.05

/** Between two words, at some second or later: a word that is cut would be heard as another one. */
const gapAfter = (words: ReadonlyArray<Word>, seconds: number): number => {
  for (const [at, { start }] of words.entries()) {
    if (start == null || start < seconds) continue
    const before = words[at - 1]?.end
    return before == null || before <= seconds ? seconds : before + Math.min((start - before) / 2, wordGap)
  }
  return Math.max(seconds, words.at(-1)?.end ?? 0)
}
