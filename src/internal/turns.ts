/**
 * One reducer per conversation makes its turns: what Flux says goes in, what an application sees comes out. Pure.
 *
 * Keeps StartOfTurn and EndOfTurn in strict alternation, with one number for both, whatever Flux sends (protocol
 * 4.2, and the ways it has been seen to break it): text without a StartOfTurn, a repeated one, an empty or a missing
 * EndOfTurn, a session that closes in mid-turn.
 */
import type * as FluxEvent from "../FluxEvent.ts"
import type { TurnInfo, Word } from "../FluxMessage.ts"
import type { Settings } from "./settings.ts"

/** What the reducer needs to know of a call. */
export interface TurnOptions {
  readonly id: string
  /** Settings as they are now. */
  readonly settings: () => Pick<Settings, "minConfidence" | "model" | "shouldInterrupt">
}

/** What the reducer makes of turns: the events of an application, before what was sent is reckoned up. */
export type TurnEvent = Exclude<FluxEvent.TurnEvent, FluxEvent.EndOfTurn> | EndOfTurn
type EndOfTurn = Omit<FluxEvent.EndOfTurn, "usage">

/** See the module. Each method gives the events that follow, in order. */
export interface Turns {
  /** A TurnInfo, and its own body where the application asked for it. */
  readonly take: (info: TurnInfo, receivedAt: number, raw?: unknown) => ReadonlyArray<TurnEvent>
  /** Nothing more comes for the open turn: it ends with the words of its last message that had any. */
  readonly close: (ending: "closed" | "lost", receivedAt: number) => ReadonlyArray<TurnEvent>
  /** From now on another session tells; the open turn goes on there. */
  readonly carry: (carried: Carried) => void
}

/** Where another session takes over, in seconds of the conversation. */
export interface Carried {
  /** It hears the audio from here on. */
  readonly from: number
  /** The session before had told of it up to here. */
  readonly until: number
}

interface Open {
  readonly number: number
  index: number
  /** The last message that had words, else the last one; and as this session sent it, if it has. */
  latest: TurnInfo
  received: TurnInfo | undefined
  /** Words that a session before this one has heard, and this one does not. */
  before?: Pick<TurnInfo, "words" | "transcript" | "audio_window_start">
  /** The session before told of the turn up to here: what this one says before is not told again. */
  until?: number
  /** Whether this session has opened the turn, and taken it for its probable end. */
  heard: boolean
  eagerHere: boolean
  /** Whether an EagerEndOfTurn was told, and not taken back. */
  eager: boolean
}

/** Whether a message, coming when no turn is open, opens one. Updates without text flow outside speech too. */
export const opens = (info: TurnInfo): boolean =>
  info.event === "StartOfTurn" || info.transcript !== ""

/** Whether a turn is accepted: its mean word confidence must exceed the minimum, and a missing one does not; 0 is off. */
export const accepts = (averageConfidence: number | undefined, minConfidence: number): boolean =>
  minConfidence === 0 || (averageConfidence ?? 0) > minConfidence

/** Whether a message tells of the audio up to a second, and beyond. */
export const passes = (info: TurnInfo, seconds: number): boolean => info.audio_window_end >= seconds - tolerance

/** Windows are 32-bit floats on the wire: what they may be off by, in seconds. */
export const tolerance = 0.01

/** A new reducer, numbering turns from 0. */
export const make = (options: TurnOptions): Turns => {
  let next = 0
  let open: Open | undefined
  /** The last message, as Flux sent it, whose words were reported in an EndOfTurn. */
  let ended: TurnInfo | undefined
  /** Up to here another session has told of a turn that ended before this one had heard so much of it. */
  let toldUntil: number | undefined

  /** Made without spreads, as it is made for every message. */
  const fields = <Type extends TurnEvent["type"]>(
    type: Type,
    number: number,
    info: TurnInfo,
    receivedAt: number,
    raw: unknown
  ): TurnFields & { readonly type: Type } => {
    const average = meanConfidence(info.words)
    const language = info.languages?.[0] ?? (options.settings().model === "flux-general-en" ? "en" : undefined)
    const made: Mutable<TurnFields> & { readonly type: Type } = {
      type,
      id: options.id,
      receivedAt,
      turn: number,
      transcript: info.transcript,
      words: info.words.map(toWord),
      endOfTurnConfidence: info.end_of_turn_confidence,
      audioStart: info.audio_window_start,
      audioEnd: info.audio_window_end
    }
    if (average !== undefined) made.averageConfidence = average
    if (language !== undefined) made.language = language
    if (info.languages != null) made.languages = info.languages
    if (raw !== undefined) made.raw = raw
    return made
  }

  const start = (turn: Open, receivedAt: number, implied: boolean, raw: unknown): FluxEvent.StartOfTurn => {
    open = turn
    next += 1
    return {
      ...fields("StartOfTurn", turn.number, turn.latest, receivedAt, raw),
      interrupts: options.settings().shouldInterrupt,
      implied
    }
  }

  const end = (
    turn: Open,
    info: TurnInfo,
    ending: EndOfTurn["ending"],
    receivedAt: number,
    raw?: unknown
  ): EndOfTurn => {
    open = undefined
    const common = fields("EndOfTurn", turn.number, info, receivedAt, raw)
    return {
      ...common,
      ending,
      ...(info.trigger == null || ending !== "confirmed" ? {} : { trigger: info.trigger }),
      accepted: isAccepted(common)
    }
  }

  const goOn = (turn: Open, info: TurnInfo, receivedAt: number, raw: unknown): TurnEvent => {
    const type = eventOf(turn, info)
    if (type !== "EagerEndOfTurn") return fields(type, turn.number, info, receivedAt, raw)
    const common = fields(type, turn.number, info, receivedAt, raw)
    return { ...common, accepted: isAccepted(common) }
  }
  const isAccepted = ({ averageConfidence }: TurnFields): boolean => accepts(averageConfidence, options.settings().minConfidence)

  const close = (ending: "closed" | "lost", receivedAt: number): Array<TurnEvent> => {
    if (open === undefined) return []
    const turn = open
    // what is told now is more than this session has said of it
    if (turn.until === undefined) ended = turn.received
    else toldUntil = turn.until
    return [end(turn, turn.latest, ending, receivedAt)]
  }
  /** Of a turn that another session began: what of a message is to be told; undefined where nothing is. */
  const toTell = (turn: Open, received: TurnInfo): TurnInfo | undefined => {
    if (!turn.heard) {
      turn.heard = opens(received)
      turn.index = received.turn_index
    }
    const isEnd = received.event === "EndOfTurn"
    const isNew = turn.until === undefined || passes(received, turn.until)
    if (!isNew && !isEnd) {
      if (received.transcript !== "") turn.received = received
      if (received.event === "EagerEndOfTurn") turn.eagerHere = true
      if (received.event === "TurnResumed") turn.eagerHere = false
      return undefined
    }
    delete turn.until
    return complete(turn, received)
  }
  const complete = ({ before }: Open, info: TurnInfo): TurnInfo => {
    if (before === undefined || info.transcript === "") return info
    return {
      ...info,
      audio_window_start: Math.min(before.audio_window_start, info.audio_window_start),
      words: [...before.words, ...info.words],
      transcript: [before.transcript, info.transcript].filter((text) => text !== "").join(" ")
    }
  }
  /** A draft that was begun before this session is taken back where this one knows of no probable end. */
  const eventOf = (turn: Open, { event }: TurnInfo): "Update" | "EagerEndOfTurn" | "TurnResumed" => {
    const said = event === "StartOfTurn" || event === "EndOfTurn" ? "Update" : event
    const isOwed = turn.before !== undefined && turn.eager && !turn.eagerHere
    const isOfNothing = turn.before !== undefined && !turn.eager
    const told = said === "Update" && isOwed ? "TurnResumed" : said === "TurnResumed" && isOfNothing ? "Update" : said
    if (said !== "Update") turn.eagerHere = said === "EagerEndOfTurn"
    if (told !== "Update") turn.eager = told === "EagerEndOfTurn"
    return told
  }

  const take = (message: TurnInfo, receivedAt: number, raw?: unknown): Array<TurnEvent> => {
    const events: Array<TurnEvent> = []
    const received = withoutTold(message, toldUntil)
    const carried = open !== undefined && !open.heard
    if (open !== undefined && carried && !opens(received) && received.event !== "EndOfTurn") {
      // this session has come to where the turn was, and hears none
      return open.until === undefined || passes(received, open.until) ? close("closed", receivedAt) : []
    }
    // Flux went on to another turn and never ended this one
    if (open !== undefined && !carried && open.index !== received.turn_index) events.push(...close("closed", receivedAt))

    const told = open === undefined ? received : toTell(open, received)
    if (told === undefined) return events
    const info = withoutReported(told, ended)
    const turn = open ?? { number: next, index: info.turn_index, latest: info, received, heard: true, eagerHere: false, eager: false }
    if (open === undefined) {
      if (!opens(info)) return events
      const isStart = info.event === "StartOfTurn"
      // a turn of its own, whatever its number: nothing of it was reported
      if (isStart) ended = undefined
      events.push(start(turn, receivedAt, !isStart, raw))
      if (isStart) return events
    }

    if (info.transcript !== "" || turn.latest.transcript === "") {
      turn.latest = info
      turn.received = received
    }
    if (info.event === "EndOfTurn") {
      // an empty end must not swallow the words that were there
      const final = info.transcript === "" ? { ...info, transcript: turn.latest.transcript, words: turn.latest.words } : info
      ended = received.transcript === "" ? turn.received : received
      events.push(end(turn, final, "confirmed", receivedAt, raw))
    } else events.push(goOn(turn, info, receivedAt, raw))
    return events
  }

  const carry = ({ from, until }: Carried): void => {
    // turns are counted anew there
    ended = undefined
    toldUntil = undefined
    if (open === undefined) return
    const { latest } = open
    const words = latest.words.filter((word) => word.end != null && word.end <= from + tolerance)
    const transcript = words.length > 0 && words.length === latest.words.length ? latest.transcript : words.map(({ word }) => word).join(" ")
    open.before = { words, transcript, audio_window_start: latest.audio_window_start }
    open.until = until
    open.received = undefined
    open.heard = false
    open.eagerHere = false
  }

  return { take, close, carry }
}

type TurnFields = Omit<FluxEvent.Update, "type">
type Mutable<A> = { -readonly [Key in keyof A]: A[Key] }

const toWord = ({ confidence, end, start, word }: Word): FluxEvent.Word => {
  if (start != null && end != null) return { word, confidence, start, end }
  const made: Mutable<FluxEvent.Word> = { word, confidence }
  if (start != null) made.start = start
  if (end != null) made.end = end
  return made
}

const meanConfidence = (words: ReadonlyArray<Word>): number | undefined =>
  words.length === 0 ? undefined : words.reduce((sum, word) => sum + word.confidence, 0) / words.length

/** Without the words that lie before a second of the conversation, where they have times. */
export const withoutTold = (info: TurnInfo, until: number | undefined): TurnInfo => {
  if (until === undefined || info.audio_window_start >= until) return info
  const words = info.words.filter(({ end }) => end == null || end > until)
  return words.length === info.words.length ? info : { ...info, words, transcript: words.map(({ word }) => word).join(" ") }
}

/**
 * A turn that has ended here may go on at Flux, which was not asked: its transcript is cumulative, so the words that
 * were reported already are taken off, and only new ones open another turn.
 */
export const withoutReported = (info: TurnInfo, ended: TurnInfo | undefined): TurnInfo => {
  if (ended === undefined || ended.turn_index !== info.turn_index || ended.transcript === "") return info
  // a server that does not count its turns; a turn of silence that nobody offered has no width
  const isLater = info.audio_window_start >= ended.audio_window_end && info.audio_window_start > ended.audio_window_start
  if (info.event === "StartOfTurn" || isLater) return info
  const words = info.words.slice(ended.words.length)
  // a window that runs back ends before the words that were told
  const start = Math.min(ended.audio_window_end, Math.max(info.audio_window_start, info.audio_window_end))
  return { ...info, words, transcript: newText(info, ended, words), audio_window_start: start }
}

const newText = (info: TurnInfo, ended: TurnInfo, words: ReadonlyArray<Word>): string => {
  const rest = info.transcript.startsWith(ended.transcript) ? info.transcript.slice(ended.transcript.length) : undefined
  if (info.words.length === 0) return rest === undefined ? info.transcript : rest.trimStart()
  // revised words, such as a full stop that came late, are not new ones; and not all languages put spaces between
  const joined = words.map((word) => word.word).join(" ")
  return rest !== undefined && withoutSpace(rest) === withoutSpace(joined) ? rest.trimStart() : joined
}

const withoutSpace = (text: string): string => text.replace(/\s+/gu, "")
