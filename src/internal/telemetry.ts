/**
 * Names of metrics and spans, and the metrics themselves; public by way of Observability. Counters are incremental: only
 * then does OTLP call them monotonic, and a collector make rates of them.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** Metrics; units in their `unit` attribute. */
export const metricNames = {
  sessionsOpen: "flux.sessions.open",
  connectDuration: "flux.connect.duration",
  turnLatency: "flux.turn.latency",
  audioSeconds: "flux.audio.seconds",
  messages: "flux.messages",
  reconnects: "flux.reconnects",
  outboxBytes: "flux.outbox.bytes",
  behindSeconds: "flux.behind.seconds",
  errors: "flux.errors"
} as const

/** Spans, from the outside in; `connect` ones are stages of a session. */
export const spanNames = {
  conversation: "flux.conversation",
  session: "flux.session",
  connectOpen: "flux.connect.open",
  connectConnected: "flux.connect.connected",
  turn: "flux.turn"
} as const

/**
 * Whether transcripts may stand in spans (`flux.transcript` of a turn). Default false: words are in no log, span or
 * error.
 */
export const RecordTranscripts: Context.Reference<boolean> = Context.Reference("effect-flux-sagemaker/RecordTranscripts", {
  defaultValue: () => false
})

/** What every span of a conversation says. */
export const spanAttributes = (call: { readonly id: string; readonly model: string }): Readonly<Record<string, string>> => ({
  "gen_ai.operation.name": "speech_to_text",
  "gen_ai.provider.name": "deepgram",
  "gen_ai.request.model": call.model,
  "gen_ai.conversation.id": call.id
})

const seconds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30]

/** Sessions that Flux has said Connected to, and that are not over. */
export const sessionsOpen = Metric.gauge(metricNames.sessionsOpen, {
  description: "Sessions that are connected",
  attributes: { unit: "{session}" }
})

const connectDuration = Metric.histogram(metricNames.connectDuration, {
  description: "Time from opening to the response headers (stage open), and from there to Flux's Connected (stage connected)",
  boundaries: seconds,
  attributes: { unit: "s" }
})
/** By stage. */
export const connect = {
  open: Metric.withAttributes(connectDuration, { stage: "open" }),
  connected: Metric.withAttributes(connectDuration, { stage: "connected" })
}

/** Receipt of an EndOfTurn minus the time its last audio was sent. */
export const turnLatency = Metric.histogram(metricNames.turnLatency, {
  description: "Receipt of an EndOfTurn minus the time at which the audio it reaches to was sent",
  boundaries: seconds,
  attributes: { unit: "s" }
})

const audioSeconds = Metric.counter(metricNames.audioSeconds, {
  description: "Audio sent; injected is silence of this client",
  incremental: true,
  attributes: { unit: "s" }
})
/** By who made it. */
export const audio = {
  offered: Metric.withAttributes(audioSeconds, { injected: "false" }),
  injected: Metric.withAttributes(audioSeconds, { injected: "true" })
}

const messages = Metric.counter(metricNames.messages, {
  description: "Messages of Flux",
  incremental: true,
  attributes: { unit: "{message}" }
})
/** By type, and a TurnInfo by its event; what is not known counts as one. */
export const message = Object.fromEntries(
  [
    "Connected",
    "Update",
    "StartOfTurn",
    "EagerEndOfTurn",
    "TurnResumed",
    "EndOfTurn",
    "ConfigureSuccess",
    "ConfigureFailure",
    "Warning",
    "Error",
    "Unrecognized",
    "Unreadable"
  ].map((type) => [type, Metric.withAttributes(messages, { type })])
)

/** Audio that waits to be sent, of all sessions. */
export const outboxBytes = Metric.gauge(metricNames.outboxBytes, {
  description: "Audio that waits to be sent",
  attributes: { unit: "By" }
})

/** How far Flux is behind the caller, at each of its messages. */
export const behind = Metric.histogram(metricNames.behindSeconds, {
  description: "Audio offered and not yet transcribed, at each message of Flux",
  boundaries: seconds,
  attributes: { unit: "s" }
})

const reconnects = Metric.counter(metricNames.reconnects, {
  description: "Sessions that were needed in the place of another one",
  incremental: true,
  attributes: { unit: "{session}" }
})
/** Why: `failure`, `age` or `settings`. */
export const reconnectsBy = (cause: "failure" | "age" | "settings"): Metric.Counter<number> => Metric.withAttributes(reconnects, { cause })

const errors = Metric.counter(metricNames.errors, {
  description: "Sessions that failed",
  incremental: true,
  attributes: { unit: "{error}" }
})
/** By the tag of the reason; `Defect` where something broke that should not. */
export const errorsBy = (reason: string): Metric.Counter<number> => Metric.withAttributes(errors, { reason })
