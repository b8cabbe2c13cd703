/** What one session tells the conversation it belongs to, and how an application sees that. Pure. */
import type * as FluxEvent from "../FluxEvent.ts"
import type { TurnInfo, Unreadable, Unrecognized, Warning } from "../FluxMessage.ts"
import { defaults } from "./settings.ts"
import type { Usage } from "./timeline.ts"
import * as turns from "./turns.ts"

/** What Flux says, and what the session itself decides. */
export type Signal =
  | { readonly type: "Connected"; readonly requestId: string; readonly variant: string | undefined }
  | {
    readonly type: "Message"
    /** Times of a TurnInfo are of the conversation. */
    readonly message: TurnInfo | Warning | Unrecognized | Unreadable
    /** The message as it came. */
    readonly text: string
  }
  | { readonly type: "SettingsApplied"; readonly settings: ReadonlyArray<string> }
  | {
    readonly type: "SettingsRejected"
    readonly settings: ReadonlyArray<string>
    readonly code?: string | undefined
    readonly description?: string | undefined
  }
  /** Audio of the conversation was not sent, from and to in seconds. */
  | { readonly type: "AudioDropped"; readonly from: number; readonly to: number }
  /** The watchdog's silence reached its cap: the open turn ends here. */
  | { readonly type: "TurnCapped" }
  | { readonly type: "Notice"; readonly code: string; readonly description: string }
  /** The reader has stopped: nothing more comes for an open turn. */
  | { readonly type: "ReaderStopped"; readonly ending: "closed" | "lost" }
  | { readonly type: "Disconnected"; readonly requestId: string }
  /** Another session is needed; `attempt` from 1. */
  | { readonly type: "Reconnecting"; readonly attempt: number; readonly reason: string; readonly detail: string }
  /** From now on this session tells; what it says up to there was told before. */
  | ({ readonly type: "Carried" } & turns.Carried)
  | { readonly type: "Resumed"; readonly behindSeconds: number }

/** The session that signals come from, as it is now. */
export interface Source extends Pick<turns.TurnOptions, "settings"> {
  /** Number of the session in the conversation. */
  readonly session: number
  /** SageMaker's id of it; empty before there is one. */
  readonly requestId: () => string
  /** What was sent so far; with `told`, as far as Flux has told of it. */
  readonly usage: (told: boolean) => Usage
}

/** Turns signals into events; keeps the state of the turns between calls. `receivedAt` is wall time, ms since 1970. */
export const toEvents = (options: {
  readonly id: string
  /** Put Flux's own message into turn events. */
  readonly raw: boolean
}): (signal: Signal, source: Source, receivedAt: number) => ReadonlyArray<FluxEvent.FluxEvent> => {
  /** Where the signal in hand comes from. */
  let source: Source | undefined
  const reducer = turns.make({ id: options.id, settings: () => source?.settings() ?? defaults })
  const reported = new WeakMap<Source, Usage>()
  /** What came since this was last asked: up to the end of a turn, or the rest. */
  const usage = (from: Source, told: boolean): Usage => {
    const all = from.usage(told)
    const before = reported.get(from) ?? nothing
    const replayedSeconds = rounded((all.replayedSeconds ?? 0) - (before.replayedSeconds ?? 0))
    reported.set(from, all)
    return {
      audioSeconds: rounded(all.audioSeconds - before.audioSeconds),
      injectedSeconds: rounded(all.injectedSeconds - before.injectedSeconds),
      ...(replayedSeconds > 0 ? { replayedSeconds } : {})
    }
  }
  const billed = (events: ReadonlyArray<turns.TurnEvent>, from: Source): ReadonlyArray<FluxEvent.FluxEvent> =>
    events.map((event) => (event.type === "EndOfTurn" ? { ...event, usage: usage(from, true) } : event))

  return (signal, from, receivedAt) => {
    source = from
    const common = { id: options.id, receivedAt }
    switch (signal.type) {
      case "Connected":
        return [{
          type: "Connected",
          ...common,
          session: from.session,
          requestId: signal.requestId,
          ...(signal.variant === undefined ? {} : { variant: signal.variant })
        }]
      case "Disconnected":
        return [{ type: "Disconnected", ...common, session: from.session, requestId: signal.requestId, usage: usage(from, false) }]
      case "TurnCapped":
        return billed(reducer.close("closed", receivedAt), from)
      case "ReaderStopped":
        return billed(reducer.close(signal.ending, receivedAt), from)
      case "SettingsApplied":
        return [{ type: "SettingsApplied", ...common, settings: signal.settings }]
      case "SettingsRejected":
        return [{
          type: "SettingsRejected",
          ...common,
          settings: signal.settings,
          ...(signal.code === undefined ? {} : { code: signal.code }),
          ...(signal.description === undefined ? {} : { description: signal.description })
        }]
      case "AudioDropped":
        return [{ type: "AudioDropped", ...common, audioStart: signal.from, audioEnd: signal.to }]
      case "Carried":
        reducer.carry(signal)
        return []
      case "Reconnecting":
        return [{ type: "Reconnecting", ...common, attempt: signal.attempt, reason: signal.reason, detail: signal.detail }]
      case "Resumed":
        return [{ type: "Resumed", ...common, session: from.session, behindSeconds: rounded(signal.behindSeconds) }]
      case "Notice":
        return [{ type: "Warning", ...common, code: signal.code, description: signal.description }]
      case "Message": {
        const { message } = signal
        switch (message.type) {
          case "TurnInfo":
            return billed(reducer.take(message, receivedAt, options.raw ? JSON.parse(signal.text) : undefined), from)
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
        }
      }
    }
  }
}

/** To the microsecond: sums of deltas stay what was sent, without noise in the last digits. */
const rounded = (seconds: number): number => Math.round(seconds * 1e6) / 1e6

const nothing: Usage = { audioSeconds: 0, injectedSeconds: 0 }
