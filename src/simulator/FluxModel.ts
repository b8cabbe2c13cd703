/**
 * The simulator's Flux: one session's turns, found in its audio. Pure, and driven by audio bytes alone: time is
 * bytes received over rate (protocol 4.3), so however slowly or fast audio comes, the same audio gives the same
 * messages.
 *
 * It recognises no words. A turn opens at the first 80 ms frame that is at least -40 dBFS loud; a script says what
 * is heard in it, a word for every 320 ms of voice; silence of 1 s is full confidence that the turn is over.
 */
import * as Result from "effect/Result"
import { frameMillis } from "../Audio.ts"
import type { TurnEvent, TurnInfo, Word } from "../FluxMessage.ts"
import { defaultProfile, profiles } from "../FluxTransport.ts"
import type { Limits } from "../internal/settings.ts"
import * as query from "./query.ts"
import { placeholders, type Script } from "./Script.ts"
import * as speech from "./speech.ts"

/** What CloseStream does to an open turn (protocol 4.6, where sources disagree). */
export type CloseMode = "update" | "end-of-turn"

/** One session. */
export interface Options {
  /** The `v2/listen` query string. */
  readonly query: string
  /** A UUID, in every message but Error. */
  readonly requestId: string
  /** What is said; default: placeholders. */
  readonly script?: Script | undefined
  /** Default `update`: the last word on an open turn is an Update. */
  readonly closeMode?: CloseMode | undefined
  /** Which parameters and ranges the query may use; default: those of the profile `flux-english-20260311`. */
  readonly limits?: Limits | undefined
}

/** The answer to a text message. */
export interface Reply {
  /** JSON texts, in order. */
  readonly messages: ReadonlyArray<string>
  /** The server closes the WebSocket after them; nothing more is said. */
  readonly closes: boolean
}

/** One session's Flux. */
export interface FluxModel {
  /** The first message; ask for it once, before anything else. */
  readonly connected: () => string
  /** Hears audio, cut anyhow, and gives the messages that it brings about. The bytes are not kept. */
  readonly audio: (bytes: Uint8Array) => ReadonlyArray<string>
  /** Takes a text message: CloseStream ends the session, any other is fatal to it. */
  readonly text: (message: string) => Reply
  /** Whole samples received, in seconds. */
  readonly audioSeconds: () => number
}

/** A session, or why its query string is refused: that belongs in the server's log, clients see an opaque 424. */
export const make = (options: Options): Result.Result<FluxModel, string> =>
  Result.map(query.parse(options.query, options.limits ?? profiles[defaultProfile]), (asked) => session(asked, options))

const wordMillis = 320
const framesPerWord = wordMillis / frameMillis
const framesPerSlot = 3
const fullConfidenceMillis = 1000

interface Heard {
  readonly word: string
  readonly confidence: number
  readonly startMillis: number
  endMillis: number
}

/** An open turn. `eager` holds from an EagerEndOfTurn to the TurnResumed after it. */
interface Turn {
  readonly words: Array<Heard>
  voicedFrames: number
  voiceEndMillis: number
  silenceMillis: number
  eager: boolean
}

const session = (asked: query.Query, options: Options): FluxModel => {
  const listener = speech.make(asked)
  const lines = (options.script ?? placeholders).turns.map((words) => words.filter((word) => word.trim() !== ""))
  const closeMode = options.closeMode ?? "update"
  const multi = asked.model === "flux-general-multi"
  let sequence = 0
  let turnIndex = 0
  let turn: Turn | undefined
  let windowStartMillis = 0
  let nowMillis = 0
  let frameInSlot = 0
  let slotTaken = false
  let placeholdersUsed = 0
  let closed = false

  // what is said

  const line = (): ReadonlyArray<string> | undefined => {
    const words = lines[turnIndex]
    return words === undefined || words.length === 0 ? undefined : words
  }
  const hear = (turn: Turn, word: string, startMillis: number): void => {
    const ordinal = turn.words.length
    const confidence = (90 + ((turnIndex * 3 + ordinal * 7) % 10)) / 100
    turn.words.push({ word, confidence, startMillis, endMillis: turn.voiceEndMillis })
  }
  const beginWord = (turn: Turn, startMillis: number): void => {
    const scripted = line()
    const word = scripted === undefined ? `speech-${++placeholdersUsed}` : scripted[turn.words.length]
    if (word !== undefined) hear(turn, word, startMillis)
  }
  /** A line is whole at its end: words that were not reached are heard where the voice stopped. */
  const finishLine = (turn: Turn): void => {
    for (const word of line()?.slice(turn.words.length) ?? []) hear(turn, word, turn.voiceEndMillis)
  }
  const speak = (turn: Turn, startMillis: number): void => {
    turn.voiceEndMillis = nowMillis
    turn.silenceMillis = 0
    if (turn.voicedFrames % framesPerWord === 0) beginWord(turn, startMillis)
    else {
      const last = turn.words.at(-1)
      // a word that came out where the voice stopped was not spoken, and does not grow
      if (last !== undefined && last.endMillis > last.startMillis) {
        last.endMillis = Math.min(last.startMillis + wordMillis, nowMillis)
      }
    }
    turn.voicedFrames++
  }

  // messages

  const turnInfo = (event: TurnEvent): string => {
    const heard = turn?.words ?? []
    const words: ReadonlyArray<Word> = heard.map(({ confidence, endMillis, startMillis, word }) => ({
      word,
      confidence,
      start: startMillis / 1000,
      end: endMillis / 1000
    }))
    const message: TurnInfo = {
      type: "TurnInfo",
      request_id: options.requestId,
      sequence_id: sequence++,
      event,
      turn_index: turnIndex,
      audio_window_start: windowStartMillis / 1000,
      audio_window_end: nowMillis / 1000,
      transcript: words.map(({ word }) => word).join(" "),
      words,
      end_of_turn_confidence: Math.min(1, (turn?.silenceMillis ?? 0) / fullConfidenceMillis),
      ...(multi
        ? {
          languages: words.length === 0 ? [] : [asked.languageHints[0] ?? "en"],
          languages_hinted: asked.languageHints
        }
        : {})
    }
    return JSON.stringify(message)
  }
  const fatal = (description: string): Reply => {
    closed = true
    return {
      messages: [JSON.stringify({ type: "Error", sequence_id: sequence++, code: "UNPARSABLE_CLIENT_MESSAGE", description })],
      closes: true
    }
  }
  const endTurn = (): string => {
    const message = turnInfo("EndOfTurn")
    turn = undefined
    turnIndex++
    windowStartMillis = nowMillis
    return message
  }

  // one frame of audio

  const voiced = (startMillis: number): string | undefined => {
    if (turn === undefined) {
      turn = { words: [], voicedFrames: 0, voiceEndMillis: 0, silenceMillis: 0, eager: false }
      speak(turn, startMillis)
      return turnInfo("StartOfTurn")
    }
    speak(turn, startMillis)
    if (!turn.eager) return undefined
    turn.eager = false
    return turnInfo("TurnResumed")
  }
  const silent = (): string | undefined => {
    if (turn === undefined) return undefined
    turn.silenceMillis += frameMillis
    const ended = (asked.eotThreshold < 1 && reached(turn.silenceMillis, asked.eotThreshold)) ||
      turn.silenceMillis >= asked.eotTimeoutMs
    const eager = asked.eagerEotThreshold !== undefined && !turn.eager &&
      reached(turn.silenceMillis, asked.eagerEotThreshold)
    if (!ended && !eager) return undefined
    finishLine(turn)
    if (ended) return endTurn()
    turn.eager = true
    return turnInfo("EagerEndOfTurn")
  }
  const frame = ({ endMillis, voiced: isVoiced }: speech.Frame): ReadonlyArray<string> => {
    const startMillis = nowMillis
    nowMillis = endMillis
    const change = isVoiced ? voiced(startMillis) : silent()
    slotTaken ||= change !== undefined
    frameInSlot++
    const due = frameInSlot === framesPerSlot && !slotTaken
    if (frameInSlot === framesPerSlot) {
      frameInSlot = 0
      slotTaken = false
    }
    return change !== undefined ? [change] : due ? [turnInfo("Update")] : []
  }

  const close = (): Reply => {
    const messages = listener.flush().flatMap(frame)
    if (turn !== undefined) messages.push(closeMode === "update" ? turnInfo("Update") : endTurn())
    closed = true
    return { messages, closes: true }
  }

  return {
    connected: () => JSON.stringify({ type: "Connected", request_id: options.requestId, sequence_id: sequence++ }),
    audio: (bytes) => (closed ? [] : listener.push(bytes).flatMap(frame)),
    text: (message) => {
      if (closed) return { messages: [], closes: true }
      const problem = unreadable(message)
      return problem === undefined ? close() : fatal(`Could not deserialize last text message: ${problem}`)
    },
    audioSeconds: () => listener.samples() / asked.sampleRate
  }
}

/** Whether silence is confidence enough. In whole millionths: 0.56 is reached at 560 ms, whatever 0.56 is in binary. */
const reached = (silenceMillis: number, threshold: number): boolean =>
  Math.min(silenceMillis, fullConfidenceMillis) * (1_000_000 / fullConfidenceMillis) >= Math.round(threshold * 1_000_000)

/** Why a text message is not CloseStream, in the words of the server (protocol 2.6). */
const unreadable = (message: string): string | undefined => {
  let body: unknown
  try {
    body = JSON.parse(message)
  } catch {
    return "not valid JSON"
  }
  if (typeof body !== "object" || body === null) return "expected an object"
  if (!("type" in body)) return "missing field `type`"
  if (typeof body.type !== "string") return "field `type` is not a string"
  return body.type === "CloseStream" ? undefined : `unknown variant \`${body.type}\`, expected \`CloseStream\``
}
