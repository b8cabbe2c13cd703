/** What a simulated endpoint has seen and done, one record a session: for tests to look at. Pure. */
import * as Schema from "effect/Schema"
import { publish } from "../internal/jsonSchema.ts"
import { bytesPerSample, type Format } from "../Audio.ts"
import * as keptLists from "../internal/keptList.ts"
import * as Stamp from "./Stamp.ts"

/** How a session ended, or that it has not. */
export const Ending = Schema.Literals([
  /** It goes on. */
  "open",
  /** Never began: an HTTP answer other than 200. */
  "refused",
  /** CloseStream was answered and the response ended. */
  "flux-closed",
  /** Flux's own fatal Error. */
  "flux-error",
  /** The client ended its request body first, which cuts the output (protocol 5.8); `reason` tells of a tail that was lost. */
  "client-ended",
  /** The client's stream was reset or its socket lost. */
  "lost",
  /** A frame of the client was not acceptable. */
  "frame-refused",
  /** A fault ended it; the last of `faults`. */
  "fault"
])
export type Ending = typeof Ending.Type

/** A run of position-stamped audio that arrived in order: samples `from` to below `to`. */
export const Range = Schema.Struct({ from: Schema.Int, to: Schema.Int })
export type Range = typeof Range.Type

/** Most entries of each of `faults`, `stamped` and `texts` in a record: the first ones and the latest. */
export const maxEntries = 10_000

/** One session, from its request on. Times are ms on the Clock; `audioSeconds` counts audio received. */
export const SessionRecord = Schema.Struct({
  /** From 0, in the order of opening; absent where SageMaker's own checks (route, signature, headers) refused it. */
  session: Schema.optionalKey(Schema.Int),
  requestId: Schema.String,
  endpoint: Schema.String,
  query: Schema.String,
  openedAt: Schema.Finite,
  endedAt: Schema.optionalKey(Schema.Finite),
  ending: Ending,
  /** Why, where that needs saying: the true reason of a refusal, or that the answer to CloseStream was lost. */
  reason: Schema.optionalKey(Schema.String),
  /** Faults that happened; `at` is ms since `openedAt`. */
  faults: Schema.Array(Schema.Struct({ fault: Schema.String, at: Schema.Finite, audioSeconds: Schema.Finite })),
  received: Schema.Struct({
    audioBytes: Schema.Int,
    audioSeconds: Schema.Finite,
    audioMessages: Schema.Int,
    /** Longest time between two audio messages; 0 before the second one. */
    largestGapMillis: Schema.Finite,
    /** Runs of stamped audio, in order of arrival; see `Stamp`. Silence in between does not part a run. */
    stamped: Schema.Array(Range),
    /** Samples without a stamp. */
    otherSamples: Schema.Int,
    /** Text messages, by their `type`; `at` is ms since `openedAt`. */
    texts: Schema.Array(Schema.Struct({ type: Schema.String, at: Schema.Finite, audioSeconds: Schema.Finite }))
  }),
  sent: Schema.Struct({
    bytes: Schema.Int,
    /** How many of each: `Connected`, `Update`, `EndOfTurn`, `ConfigureSuccess`, ... */
    messages: Schema.Record(Schema.String, Schema.Int)
  }),
  /** Only where a list would have more than {@link maxEntries}: how many are left out, right before its last one. */
  omitted: Schema.optionalKey(Schema.Struct({ faults: Schema.Int, stamped: Schema.Int, texts: Schema.Int }))
})
export type SessionRecord = typeof SessionRecord.Type

/** A record as a line of NDJSON, without the line's end. */
export const line: (record: SessionRecord) => string = Schema.encodeSync(Schema.fromJsonString(SessionRecord))

/** The JSON Schema (draft 2020-12) of a {@link line}. */
export const jsonSchema = (): object => publish(SessionRecord)

/** What is known of a session from its request. */
export type Opening = Pick<SessionRecord, "session" | "requestId" | "endpoint" | "query" | "openedAt">

/** Keeps the record of one session. Times are ms on the Clock. Cheap, and its memory is bounded. */
export interface Recorder {
  /** How the session's audio is to be read; without it no stamps are found and `audioSeconds` stays 0. Comes before audio. */
  readonly format: (format: Format) => void
  /** A binary message has come. The bytes are not kept. */
  readonly audio: (bytes: Uint8Array, now: number) => void
  /** A text message of that `type` has come; of a longer one the first 100 characters are kept. */
  readonly text: (type: string, now: number) => void
  /** A message was sent: `Connected`, `Update`, ...; `bytes` is its length. */
  readonly said: (kind: string, bytes: number) => void
  /** A fault has happened. */
  readonly fault: (name: string, now: number) => void
  /** The session has ended; only the first call counts. */
  readonly ended: (ending: Exclude<Ending, "open">, now: number, reason?: string) => void
  /** The record as it is now: a snapshot. */
  readonly record: () => SessionRecord
}

/** A new {@link Recorder}. */
export const recorder = (opening: Opening): Recorder => {
  const { openedAt } = opening
  const stamps = Stamp.reader(maxEntries)
  const faults = keptLists.make<SessionRecord["faults"][number]>(maxEntries)
  const texts = keptLists.make<SessionRecord["received"]["texts"][number]>(maxEntries)
  const messages = new Map<string, number>()
  let width = 0
  let sampleRate = 0
  let stamped = false
  let audioBytes = 0
  let audioMessages = 0
  let audioAt = 0
  let largestGapMillis = 0
  let sentBytes = 0
  let ending: Pick<SessionRecord, "ending" | "endedAt" | "reason"> = { ending: "open" }

  const samples = (): number => (width === 0 ? 0 : Math.floor(audioBytes / width))
  const audioSeconds = (): number => (width === 0 ? 0 : samples() / sampleRate)
  const when = (now: number): { readonly at: number; readonly audioSeconds: number } => ({
    at: now - openedAt,
    audioSeconds: audioSeconds()
  })

  return {
    format: (format) => {
      width = bytesPerSample(format.encoding)
      sampleRate = format.sampleRate
      stamped = format.encoding === "linear16"
    },
    audio: (bytes, now) => {
      if (audioMessages > 0) largestGapMillis = Math.max(largestGapMillis, now - audioAt)
      audioAt = now
      audioMessages++
      audioBytes += bytes.length
      if (stamped) stamps.push(bytes)
    },
    text: (type, now) => texts.push({ type: type.slice(0, maxTypeLength), ...when(now) }),
    said: (kind, bytes) => {
      messages.set(kind, (messages.get(kind) ?? 0) + 1)
      sentBytes += bytes
    },
    fault: (name, now) => faults.push({ fault: name, ...when(now) }),
    ended: (how, now, reason) => {
      if (ending.ending !== "open") return
      ending = { ending: how, endedAt: now, ...(reason === undefined ? {} : { reason }) }
    },
    record: () => {
      const omitted = { faults: faults.omitted(), stamped: stamps.omitted(), texts: texts.omitted() }
      return {
        ...opening,
        ...ending,
        faults: faults.all(),
        received: {
          audioBytes,
          audioSeconds: audioSeconds(),
          audioMessages,
          largestGapMillis,
          stamped: stamps.ranges(),
          otherSamples: stamped ? stamps.otherSamples() : samples(),
          texts: texts.all()
        },
        sent: { bytes: sentBytes, messages: Object.fromEntries(messages) },
        ...(omitted.faults + omitted.stamped + omitted.texts === 0 ? {} : { omitted })
      }
    }
  }
}

const maxTypeLength = 100
