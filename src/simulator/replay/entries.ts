/** Reading what a capture holds. Pure. */
import * as Schema from "effect/Schema"
import { Encoding, type Format } from "../../Audio.ts"
import * as FluxMessage from "../../FluxMessage.ts"
import type { Entry } from "../Recording.ts"

/** Messages that did not leave were never received. Of a gap nobody knows which one that was. */
export const withoutUnsent = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const dropped = new Set(entries.flatMap((entry, at) =>
    entry.what === "unsent" ? [entries.slice(0, at).findLastIndex(isSent)] : []
  ))
  return entries.filter((entry, at) => !dropped.has(at) || entry.what === "gap")
}

/** Whether the client sent it. */
export const isSent = ({ what }: Entry): boolean => what === "audio" || what === "text" || what === "gap"

/** The kind of a server's message, as the ledger counts it. */
export const kindOf = (text: string): string => {
  const message = FluxMessage.parse(text)
  switch (message.type) {
    case "TurnInfo":
      return message.event
    case "Unrecognized":
    case "Unreadable":
      return message.messageType ?? "Unreadable"
    default:
      return message.type
  }
}

const isEncoding = Schema.is(Encoding)

/** How the audio of a query string is to be read. */
export const formatOf = (query: string): Format | undefined => {
  const values = new Map(query.split("&").map((pair) => {
    const [key = "", value = ""] = pair.split("=")
    return [key, value]
  }))
  const encoding = values.get("encoding")
  const sampleRate = Number(values.get("sample_rate"))
  return isEncoding(encoding) && Number.isInteger(sampleRate) && sampleRate > 0 ? { encoding, sampleRate } : undefined
}
