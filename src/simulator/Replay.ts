/**
 * Answers as a captured server answered. What it said is said again when the client has sent as much as it had then,
 * and as much later as it was then; so the same audio brings about the same answers at the same places, at any pace.
 * What that server did not do is not done: where the capture ends in silence, so does the replay. Pure.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { type Format, frameMillis, silence, silenceByte } from "../Audio.ts"
import * as json from "../internal/json.ts"
import { byteLength } from "../internal/utf8.ts"
import type { Request } from "./Endpoint.ts"
import type { Recorder } from "./Ledger.ts"
import type { Entry, RecordedSession, Recording } from "./Recording.ts"
import { formatOf, kindOf, withoutUnsent } from "./replay/entries.ts"
import { type Act, planOf } from "./replay/plan.ts"
import { type Player, type Surroundings, tailLost, type Wire } from "./wire.ts"

/** What a session needs. */
export interface Context {
  readonly request: Request
  readonly wire: Wire
  readonly surroundings: Surroundings
  readonly recorder: Recorder
}

/** Begins a session that answers as the recorded one did. */
export const open = (session: RecordedSession, context: Context): Player => {
  const { recorder, surroundings, wire } = context
  const decoded = surroundings.decoded ?? ((run: () => void) => surroundings.after(0, run))
  const { opening, steps } = planOf(session)
  let audioBytes = 0
  let texts = 0
  let closing = false
  let errorSaid = false
  let over = false
  let accepted = false
  /** Of the steps: those that the client has earned, with the time for each, and those that were taken. */
  const due: Array<number> = []
  let taken = 0

  const end = (fault: string | undefined, reason?: string): void => {
    const now = surroundings.now()
    over = true
    if (fault !== undefined) recorder.fault(fault, now)
    recorder.ended(fault !== undefined ? "fault" : errorSaid ? "flux-error" : "flux-closed", now, reason)
  }
  const say = (text: string): void => {
    const kind = kindOf(text)
    errorSaid ||= kind === "Error"
    recorder.said(kind, byteLength(text))
    wire.say(text)
  }
  const take = (act: Act): void => {
    switch (act._tag) {
      case "say":
        return say(act.text)
      case "stop-reading":
        recorder.fault("stop-reading", surroundings.now())
        return wire.stopReading()
      case "end":
        end(closing || errorSaid ? undefined : "end")
        return wire.end()
      case "break":
        end(act.fault, act.reason)
        return act.apply(wire)
    }
  }

  const earn = (): void => {
    const now = surroundings.now()
    for (let step = steps[due.length]; step !== undefined; step = steps[due.length]) {
      if (!closing && (audioBytes < step.audioBytes || texts < step.texts)) return
      const at = now + step.lag
      due.push(at)
      // set now, so that of things that are due together those of the server come first, as they did
      if (step.lag > 0) surroundings.after(step.lag, () => release(at))
    }
  }
  /** A timer may be early by a fraction: `reached` is what it was set for. */
  const release = (reached: number): void => {
    const now = Math.max(reached, surroundings.now())
    for (;;) {
      const at = due[taken]
      const step = steps[taken]
      if (over || !accepted || at === undefined || step === undefined || at > now) return
      taken += 1
      take(step.act)
    }
  }
  const progress = (): void => {
    if (!accepted) return
    earn()
    release(surroundings.now())
  }

  const answer = (): void => {
    if (over || opening === undefined) return
    if (opening.refusal !== undefined) {
      over = true
      recorder.ended("refused", surroundings.now(), opening.refusal.reason)
      return wire.refuse(opening.refusal)
    }
    if (opening.broken !== undefined) return take(opening.broken)
    accepted = true
    wire.accept()
    progress()
  }

  const format = formatOf(context.request.query)
  if (format !== undefined) recorder.format(format)
  if (opening !== undefined) {
    if (opening.lag > 0) surroundings.after(opening.lag, answer)
    else answer()
  }

  return {
    audio: (bytes) => {
      if (over) return
      recorder.audio(bytes, surroundings.now())
      audioBytes += bytes.length
      progress()
    },
    text: (message) => {
      if (over) return
      const type = json.typeOf(json.parse(message)) ?? ""
      recorder.text(type, surroundings.now())
      texts += 1
      // nothing more can be earned
      closing ||= type === "CloseStream"
      if (!closing) return progress()
      // a client that ends its body right behind gets no answer, however soon there was one
      earn()
      decoded(progress)
    },
    bodyEnded: () => {
      if (over) return
      over = true
      recorder.ended("client-ended", surroundings.now(), closing ? tailLost : undefined)
      wire.end()
    },
    refused: (error) => {
      if (over) return
      over = true
      recorder.ended("frame-refused", surroundings.now(), error.message)
      wire.fail(error)
      wire.end()
    },
    gone: () => {
      over = true
      recorder.ended("lost", surroundings.now())
    }
  }
}

/** The audio of a recorded session, to be sent again. */
export interface Audio {
  readonly format: Format
  readonly bytes: number
  /** Whether it is what was said; else there is silence in its place, in whole or in part. */
  readonly captured: boolean
  /** As it was sent, message by message. */
  readonly pieces: Iterable<Uint8Array>
  /**
   * Silence to be sent after it, no faster than need be, where the server broke the session: a client must be sending still
   * when it does so again, as after CloseStream it may take it for the end. Up to a minute more than it took then.
   */
  readonly rest: Iterable<Uint8Array>
}

const patienceMillis = 60_000

/** The audio of a session of a recording, by its place from 0; none where the recording does not tell its format. */
export const audio = (recording: Recording, place = 0): Audio | undefined => {
  const session = recording.sessions[place]
  const format = session === undefined ? undefined : formatOf(session.query)
  if (session === undefined || format === undefined) return undefined
  const sent = audioOf(session)
  const pcmOf = (entry: (typeof sent)[number]): Uint8Array | undefined =>
    entry.what === "audio" && entry.base64 !== undefined ? Result.getOrUndefined(Base64.decode(entry.base64)) : undefined
  const last = sent.at(-1)?.at ?? 0
  const spare = wasBroken(session.entries) ? (session.entries.at(-1)?.at ?? last) - last + patienceMillis : 0
  return {
    format,
    bytes: bytesOf(sent),
    captured: sent.every((entry) => pcmOf(entry)?.length === entry.bytes),
    pieces: {
      *[Symbol.iterator]() {
        for (const entry of sent) {
          const pcm = pcmOf(entry)
          if (pcm !== undefined) yield pcm
          else yield* silentPieces(entry.bytes, format)
        }
      }
    },
    rest: {
      *[Symbol.iterator]() {
        for (let millis = 0; millis < spare; millis += frameMillis) yield silence(format, frameMillis)
      }
    }
  }
}

/**
 * Tells whether sessions that have received so much audio each have brought about all that the recorded ones did which audio
 * brings about: a client need not send more, and should end its call, as the recorded server says no more.
 */
export const satisfaction = ({ sessions }: Recording): (received: ReadonlyArray<{ readonly audioBytes: number }>) => boolean => {
  const last = sessions.at(-1)
  if (last === undefined || wasBroken(last.entries)) return () => false
  const bytes = bytesOf(audioOf(last))
  return (received) => (received[sessions.length - 1]?.audioBytes ?? -1) >= bytes
}

/** What was sent of audio, as far as it left. */
const audioOf = ({ entries }: RecordedSession): ReadonlyArray<Extract<Entry, { readonly what: "audio" | "gap" }>> =>
  withoutUnsent(entries).flatMap((entry) => (entry.what === "audio" || entry.what === "gap" ? [entry] : []))
const bytesOf = (sent: ReadonlyArray<{ readonly bytes: number }>): number => sent.reduce((sum, { bytes }) => sum + bytes, 0)

/** A gap may stand for hours. */
function* silentPieces(bytes: number, { encoding }: Format): Iterable<Uint8Array> {
  for (let left = bytes; left > 0; left -= largestPiece) {
    yield new Uint8Array(Math.min(left, largestPiece)).fill(silenceByte(encoding))
  }
}
/** Even, so that samples stay whole. */
const largestPiece = 1024 * 1024

/** Whether the server ended a session, or did not read, before its client had closed it. */
const wasBroken = (entries: ReadonlyArray<Entry>): boolean => {
  const end = entries.findIndex((entry) =>
    entry.what === "ended" || entry.what === "failed" || entry.what === "unsent" ||
    (entry.what === "received" && kindOf(entry.text) === "Error")
  )
  return end >= 0 && !entries.slice(0, end).some((entry) => entry.what === "text" && entry.type === "CloseStream")
}
