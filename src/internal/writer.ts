/** What is sent, when, and for how long it has been under way: one frame at a time, each within its bound. */
import * as Effect from "effect/Effect"
import * as Audio from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import type { Frame, Placed } from "./outbox.ts"
import type { Timeline } from "./timeline.ts"
import type { Duty } from "./watch.ts"

/** Where frames go. */
export interface Destination {
  readonly send: (frame: Frame) => Effect.Effect<void, FluxError>
}

/** See the module. */
export interface Writer {
  /** A frame is under way from now on. */
  readonly begin: (frame: Placed) => void
  /** The frame that is under way has gone. */
  readonly done: () => void
  /** Sends the frame that is under way. */
  readonly send: (to: Destination, frame: Placed) => Effect.Effect<void, FluxError>
  /** Both. */
  readonly write: (to: Destination, frame: Placed) => Effect.Effect<void, FluxError>
  /** Whether a frame is under way. */
  readonly busy: () => boolean
  /** When the last frame was sent, ms; the making of the writer at first. */
  readonly sentAt: () => number
  /** Fails when a frame has been under way for too long. A duty of the session's watch. */
  readonly deadline: Duty<FluxError>
}

/** A new writer. Audio counts as sent from the moment it is handed over: Flux may tell of it at once. */
export const make = (options: {
  readonly format: Audio.Format
  readonly timeline: Timeline
  readonly now: () => number
  /** Bound on one frame, ms. */
  readonly timeout: () => number
  readonly timedOut: (millis: number) => FluxError
  /** So many seconds of audio were sent. */
  readonly onAudio: (seconds: number) => void
}): Writer => {
  const { format, now, timeline } = options
  const sampleBytes = Audio.bytesPerSample(format.encoding)
  let since: number | undefined
  let sentAt = now()
  const done = (): void => {
    since = undefined
  }
  const over = Effect.sync(done)

  const count = ({ bytes, position }: Placed): void => {
    const samples = bytes.length / sampleBytes
    if (position === undefined) timeline.injected(samples, sentAt)
    else timeline.offered(position, samples, sentAt)
    options.onAudio(samples / format.sampleRate)
  }

  const deadline: Writer["deadline"] = () => {
    const timeout = options.timeout()
    const left = since === undefined ? timeout : since + timeout - now()
    return left > 0 ? left : options.timedOut(timeout)
  }

  const begin: Writer["begin"] = (frame) => {
    sentAt = now()
    since = sentAt
    if (frame.dataType === "BINARY") count(frame)
  }
  const send: Writer["send"] = (to, frame) => Effect.ensuring(to.send(frame), over)

  return {
    begin,
    done,
    send,
    write: (to, frame) =>
      Effect.suspend(() => {
        begin(frame)
        return send(to, frame)
      }),
    busy: () => since !== undefined,
    sentAt: () => sentAt,
    deadline
  }
}
