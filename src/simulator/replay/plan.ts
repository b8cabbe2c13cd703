/** What a captured server did, as steps to be done again: after how much from the client, and how much later. Pure. */
import type { Entry, RecordedSession } from "../Recording.ts"
import type { Refusal } from "../wire.ts"
import { isSent, withoutUnsent } from "./entries.ts"
import { type Break, broken, refusalOf } from "./reasons.ts"

/** One thing to do. */
export type Act =
  | { readonly _tag: "say"; readonly text: string }
  | { readonly _tag: "stop-reading" }
  | { readonly _tag: "end" }
  | Break

/** What is done once the client has sent so much; `lag` ms after that. */
export interface Step {
  readonly audioBytes: number
  readonly texts: number
  readonly lag: number
  readonly act: Act
}

/** How the request is answered: with a refusal, a break, or else the headers; absent: never. */
export interface Opening {
  readonly lag: number
  readonly refusal?: Refusal
  readonly broken?: Break
}

/** All that is to be done. */
export interface Plan {
  readonly opening: Opening | undefined
  readonly steps: ReadonlyArray<Step>
}

/** The plan of a session. */
export const planOf = ({ entries }: RecordedSession): Plan => {
  const steps: Array<Step> = []
  let opening: Opening | undefined
  let audioBytes = 0
  let texts = 0
  /** When the client last did something, or the session began. */
  let since = entries[0]?.at ?? 0
  const add = (at: number, act: Act): void => void steps.push({ audioBytes, texts, lag: Math.max(0, at - since), act })
  const hasEnd = entries.some(({ what }) => what === "ended" || what === "failed")
  const stalled = stallOf(entries)
  const sent = withoutUnsent(entries)
  const lastHeard = stalled === undefined ? undefined : entries.slice(0, stalled).findLast(({ what }) => what === "received" || what === "accepted")

  for (const entry of sent) {
    const { at } = entry
    switch (entry.what) {
      case "accepted":
        opening = { lag: Math.max(0, at - since) }
        since = at
        break
      case "refused": {
        const lag = Math.max(0, at - since)
        const refusal = refusalOf(entry.reason)
        opening = refusal === undefined ? { lag, broken: broken(entry.reason) } : { lag, refusal }
        break
      }
      case "audio":
      case "gap":
        audioBytes += entry.bytes
        since = at
        break
      case "text":
        texts += 1
        since = at
        break
      case "unsent":
        if (entry.reason !== undefined && !hasEnd) add(at, broken(entry.reason))
        break
      case "received":
        add(at, { _tag: "say", text: entry.text })
        break
      case "ended":
        add(at, { _tag: "end" })
        break
      case "failed":
        add(at, broken(entry.reason))
        break
    }
    // how much the way there swallows before the client feels it is not known: so from the last sign of life on
    if (entry === lastHeard) add(at, { _tag: "stop-reading" })
  }
  return { opening, steps }
}

/** The place of the message that this side gave up, because the server did not read. */
const stallOf = (entries: ReadonlyArray<Entry>): number | undefined => {
  const unsent = entries.findIndex((entry) => entry.what === "unsent" && entry.reason === undefined)
  return unsent < 0 ? undefined : entries.slice(0, unsent).findLastIndex(isSent)
}
