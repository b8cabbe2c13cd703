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
  audioReplayed: "flux.audio.replayed",
  messages: "flux.messages",
  reconnects: "flux.reconnects",
  outboxBytes: "flux.outbox.bytes",
  behindSeconds: "flux.behind.seconds",
  errors: "flux.errors",
  replyDrafts: "flux.reply.drafts",
  replyGained: "flux.reply.gained"
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
 * Of a context no more than metrics look at. One that all conversations share, where they share that, is at hand in the
 * processor's cache.
 */
export const metricContext = (of: Context.Context<never>): Context.Context<never> => {
  const registry = Context.get(of, Metric.MetricRegistry)
  const attributes = Context.get(of, Metric.CurrentMetricAttributes)
  const known = contexts.get(registry)
  if (known !== undefined && Context.get(known, Metric.CurrentMetricAttributes) === attributes) return known
  const made = Context.empty().pipe(
    Context.add(Metric.MetricRegistry, registry),
    Context.add(Metric.CurrentMetricAttributes, attributes)
  )
  contexts.set(registry, made)
  return made
}
/** The latest one of each registry. */
const contexts = new WeakMap<object, Context.Context<never>>()

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

const connectDuration = (stage: string): Metric.Histogram<number> =>
  Metric.histogram(metricNames.connectDuration, {
    description: "Time from opening to the response headers (stage open), and from there to Flux's Connected (stage connected)",
    boundaries: seconds,
    attributes: { unit: "s", stage }
  })
/** By stage. */
export const connect = { open: connectDuration("open"), connected: connectDuration("connected") }

/** Receipt of an EndOfTurn minus the time its last audio was sent. */
export const turnLatency = Metric.histogram(metricNames.turnLatency, {
  description: "Receipt of an EndOfTurn minus the time at which the audio it reaches to was sent",
  boundaries: seconds,
  attributes: { unit: "s" }
})

const audioSeconds = (injected: string): Metric.Counter<number> =>
  Metric.counter(metricNames.audioSeconds, {
    description: "Audio sent; injected is silence of this client",
    incremental: true,
    attributes: { unit: "s", injected }
  })
/** By who made it. */
export const audio = { offered: audioSeconds("false"), injected: audioSeconds("true") }

/** Of the audio of callers that was sent. */
export const replayed = Metric.counter(metricNames.audioReplayed, {
  description: "Audio sent that another session of the call had been sent before",
  incremental: true,
  attributes: { unit: "s" }
})

const messages = (type: string): Metric.Counter<number> =>
  Metric.counter(metricNames.messages, { description: "Messages of Flux", incremental: true, attributes: { unit: "{message}", type } })
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
  ].map((type) => [type, messages(type)])
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

const drafts = Metric.counter(metricNames.replyDrafts, {
  description: "Drafts of replies that were begun, by what became of them",
  incremental: true,
  attributes: { unit: "{draft}" }
})
/** By what became of it. */
export const replyDrafts = (outcome: string): Metric.Counter<number> => Metric.withAttributes(drafts, { outcome })

/** Of a reply whose speech began. */
export const replyGained = Metric.histogram(metricNames.replyGained, {
  description: "How much earlier speech began than with a draft begun at EndOfTurn",
  boundaries: seconds,
  attributes: { unit: "s" }
})
