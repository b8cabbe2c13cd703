/** What comes in, message by message: what the session learns of it, and what it passes on. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FluxError from "../FluxError.ts"
import * as FluxMessage from "../FluxMessage.ts"
import { place } from "./placing.ts"
import type { Progress } from "./progress.ts"
import type { Signal } from "./signals.ts"
import * as telemetry from "./telemetry.ts"
import type { Timeline } from "./timeline.ts"

type Heard = Effect.Effect<void, FluxError.FluxError>

/** Flux's warning that there is no turn to end (protocol 2.5). */
const noActiveTurn = "FORCE_END_TURN_NO_ACTIVE_TURN"

/** Takes the text messages of a session, in order. Fails where the session cannot go on. */
export const make = (options: {
  readonly now: () => number
  /** For metrics. */
  readonly context: Context.Context<never>
  readonly timeline: Timeline
  readonly progress: Progress
  /** Passes a signal on. */
  readonly emit: (signal: Signal) => Heard
  readonly failure: (reason: FluxError.Reason) => FluxError.FluxError
  readonly onConnected: () => Heard
  /** Something has come, whatever it is. */
  readonly onMessage: () => void
  /** Flux has told of its audio; with the end of a turn, how long it took to tell, in seconds. Comes before it is passed on. */
  readonly onTurn: (latency: number | undefined) => void
  /** The same, after it was passed on; in conversation time. */
  readonly onTurnTold: (info: FluxMessage.TurnInfo) => void
  /** A turn has ended, or there is none. */
  readonly onNoTurn: () => void
  readonly onConfigured: (answer: FluxMessage.ConfigureSuccess | FluxMessage.ConfigureFailure) => void
}): (text: string) => Heard => {
  const { context, emit, failure, now, progress, timeline } = options

  const onTurnInfo = (info: FluxMessage.TurnInfo, text: string): Heard => {
    const heardAt = now()
    const message = place(timeline, info)
    progress.take(info, message)
    const sentAt = info.event === "EndOfTurn" ? timeline.sentAt(info.audio_window_end) : undefined
    const latency = sentAt === undefined ? undefined : (heardAt - sentAt) / 1000
    if (latency !== undefined) telemetry.turnLatency.updateUnsafe(latency, context)
    options.onTurn(latency)
    const told = emit({ type: "Message", message, text })
    timeline.forget(info.audio_window_start, info.audio_window_end)
    // who waits for these begins right here
    options.onTurnTold(message)
    if (info.event === "EndOfTurn") options.onNoTurn()
    return told
  }

  return (text) => {
    const message = FluxMessage.parse(text)
    options.onMessage()
    count(message, context)
    switch (message.type) {
      case "TurnInfo":
        return onTurnInfo(message, text)
      case "Connected":
        return options.onConnected()
      case "Error":
        return Effect.fail(failure(new FluxError.FluxFatal({ code: message.code, description: message.description })))
      case "Unreadable":
        if (message.messageType === "Connected" || message.messageType === "Error") {
          const detail = `${message.messageType} could not be read: ${message.problem}`
          return Effect.fail(failure(new FluxError.MalformedFrame({ detail })))
        }
        return emit({ type: "Message", message, text })
      case "ConfigureSuccess":
      case "ConfigureFailure":
        return Effect.sync(() => options.onConfigured(message))
      case "Warning": {
        const told = emit({ type: "Message", message, text })
        if (message.code === noActiveTurn) options.onNoTurn()
        return told
      }
      case "Unrecognized":
        return emit({ type: "Message", message, text })
    }
  }
}

const count = (message: { readonly type: string; readonly event?: string }, context: Context.Context<never>): void =>
  telemetry.message[message.event ?? message.type]?.updateUnsafe(1, context)
