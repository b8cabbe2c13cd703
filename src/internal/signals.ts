/** What one session tells the conversation it belongs to, and how an application sees that. Pure. */
import type * as FluxEvent from "../FluxEvent.ts"
import type { ServerMessage, TurnInfo, Unreadable, Unrecognized } from "../FluxMessage.ts"
import * as turns from "./turns.ts"

/** Every message of Flux, and what the session itself decides; `at` is the time of receipt, ms since 1970. */
export type Signal =
  | { readonly type: "Connected"; readonly at: number; readonly requestId: string; readonly variant: string | undefined }
  | {
    readonly type: "Message"
    readonly at: number
    readonly message: Exclude<ServerMessage, { readonly type: "Connected" | "Error" }> | Unrecognized | Unreadable
    /** The message as it came. */
    readonly text: string
  }
  /** The watchdog's silence reached its cap: the open turn ends here. */
  | { readonly type: "TurnCapped"; readonly at: number }
  | { readonly type: "Notice"; readonly at: number; readonly code: string; readonly description: string }
  /** The reader has stopped: nothing more comes for an open turn. */
  | { readonly type: "ReaderStopped"; readonly at: number; readonly ending: "closed" | "lost" }
  | { readonly type: "Disconnected"; readonly at: number; readonly requestId: string }

/** The TurnInfo in a signal, where it is one. */
export const turnInfo = (signal: Signal): TurnInfo | undefined =>
  signal.type === "Message" && signal.message.type === "TurnInfo" ? signal.message : undefined

/** An Update makes the Update before it worthless, unless that would lose the turn's last words. */
export const supersedes = (newer: Signal, last: Signal): boolean => {
  const next = turnInfo(newer)
  const previous = turnInfo(last)
  return (
    next?.event === "Update" &&
    previous?.event === "Update" &&
    next.turn_index === previous.turn_index &&
    (next.transcript !== "" || previous.transcript === "")
  )
}

/** What the events of a conversation need to know of it. */
export interface EventOptions extends turns.TurnOptions {
  /** Number of the session. */
  readonly session: number
  /** Put Flux's own message into turn events. */
  readonly raw: boolean
}

/** Turns signals into events; keeps the state of the turns between calls. */
export const toEvents = (options: EventOptions): (signal: Signal) => ReadonlyArray<FluxEvent.FluxEvent> => {
  const reducer = turns.make(options)
  return (signal) => {
    const common = { id: options.id, receivedAt: signal.at }
    switch (signal.type) {
      case "Connected":
        return [{
          type: "Connected",
          ...common,
          session: options.session,
          requestId: signal.requestId,
          ...(signal.variant === undefined ? {} : { variant: signal.variant })
        }]
      case "Disconnected":
        return [{ type: "Disconnected", ...common, session: options.session, requestId: signal.requestId }]
      case "TurnCapped":
        return reducer.close("closed", signal.at)
      case "ReaderStopped":
        return reducer.close(signal.ending, signal.at)
      case "Notice":
        return [{ type: "Warning", ...common, code: signal.code, description: signal.description }]
      case "Message": {
        const { message } = signal
        switch (message.type) {
          case "TurnInfo":
            return reducer.take(message, signal.at, options.raw ? JSON.parse(signal.text) : undefined)
          case "Warning":
            return [{ type: "Warning", ...common, code: message.code, description: message.description }]
          case "Unreadable":
            return [{
              type: "Warning",
              ...common,
              code: "UNREADABLE_MESSAGE",
              description: `${message.messageType ?? "A message"} could not be read: ${message.problem}`
            }]
          case "Unrecognized":
            return [{ type: "Unrecognized", ...common, messageType: message.messageType, body: message.body }]
          // nothing was asked for, so an answer to it is passed on as it is
          case "ConfigureSuccess":
          case "ConfigureFailure":
            return [{ type: "Unrecognized", ...common, messageType: message.type, body: message }]
        }
      }
    }
  }
}
