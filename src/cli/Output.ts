/** What the command prints, line by line. Pure. */
import { type EndOfTurn, type FluxEvent, schemaVersion, type TurnEvent } from "../FluxEvent.ts"
import { accepts } from "../internal/turns.ts"
import type * as Fault from "../simulator/Fault.ts"

/** The first line of NDJSON output. */
export const header: string = JSON.stringify({ type: "Header", schemaVersion })

/** An event as a line of NDJSON. */
export const json = (event: FluxEvent): string => JSON.stringify(event)

/**
 * A finished turn as a line of text: when it was spoken (by its words, where Flux gives their times) and what was said. A turn that Flux did not end itself, or
 * that stays under `minConfidence`, is marked. Other events, and turns without words, have no line.
 */
export const text = (event: FluxEvent): string | undefined => {
  if (event.type !== "EndOfTurn" || event.transcript === "") return undefined
  const ending = event.ending === "confirmed" ? "" : ` (${event.ending})`
  const accepted = event.accepted ? "" : " (not accepted)"
  const start = event.words[0]?.start ?? event.audioStart
  const end = event.words.at(-1)?.end ?? event.audioEnd
  return `[${time(start)} - ${time(end)}] ${event.transcript}${ending}${accepted}`
}

/**
 * The end of a turn that was open when the call was interrupted: `lost`, with the words heard so far. `minConfidence`
 * is the call's.
 */
export const abandoned = (latest: Exclude<TurnEvent, EndOfTurn>, minConfidence: number): EndOfTurn => {
  const { averageConfidence, id, receivedAt, turn } = latest
  return {
    id,
    receivedAt,
    type: "EndOfTurn",
    turn,
    transcript: latest.transcript,
    words: latest.words,
    endOfTurnConfidence: latest.endOfTurnConfidence,
    ...(averageConfidence === undefined ? {} : { averageConfidence }),
    ...(latest.language === undefined ? {} : { language: latest.language }),
    ...(latest.languages === undefined ? {} : { languages: latest.languages }),
    audioStart: latest.audioStart,
    audioEnd: latest.audioEnd,
    ending: "lost",
    accepted: accepts(averageConfidence, minConfidence),
    // what was sent is not known any more
    usage: { audioSeconds: 0, injectedSeconds: 0 }
  }
}

/** What somebody who reads the text should know besides: for stderr. */
export const note = (event: FluxEvent): string | undefined => {
  switch (event.type) {
    case "Warning":
      return `warning: ${event.description} (${event.code})`
    case "Reconnecting":
      return `warning: ${event.detail}; trying again (attempt ${event.attempt})`
    case "Resumed":
      return `the transcription goes on, ${event.behindSeconds.toFixed(1)} s behind`
    case "AudioDropped":
      return `warning: audio from ${time(event.audioStart)} to ${time(event.audioEnd)} was not transcribed`
    default:
      return undefined
  }
}

/** Seconds as `00:03.9`, from one hour on as `1:00:03.9`. */
export const time = (seconds: number): string => {
  const tenths = Math.round(seconds * 10)
  const hours = Math.floor(tenths / 36_000)
  const minutes = Math.floor(tenths / 600) % 60
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0")
  return `${hours === 0 ? "" : `${hours}:`}${String(minutes).padStart(2, "0")}:${rest}`
}

/** The simulator's menu of faults: what each does, and the keys it takes; those in brackets may be left out. */
export const faults = (menu: ReadonlyArray<Fault.Item>): string => {
  const indent = Math.max(...menu.map(({ name }) => name.length)) + 2
  const lines = menu.flatMap(({ description, keys, name }) => {
    const spelt = keys.map(({ key, required }) => required ? `${key}=` : `[${key}=]`).join(" ")
    return [name.padEnd(indent) + description, ...(spelt === "" ? [] : [" ".repeat(indent) + spelt])]
  })
  return [...lines, "", ...faultsLegend].join("\n")
}

const faultsLegend = [
  "at=      seconds of audio, close (CloseStream has come; its answer is lost) or end (after that answer)",
  "turn=    index of a turn, from 0, once it has begun; after= so many seconds later",
  "session= only that session, from 0; chance= 0 to 1, drawn from --seed. Every fault takes both.",
  "delay=   milliseconds",
  "as=      exception (default) or event: AWS's SDKs throw an exception. An event is a member of the response stream:",
  "         Python's throws it, too, others hand it on, and a client that looks for PayloadPart alone passes over it.",
  "         error-500: html (default) or typed; lifetime: model-stream-error (default), end or reset;",
  "         max-streams: reject-424 (default) or flux-error"
]
