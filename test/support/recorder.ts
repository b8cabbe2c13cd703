/** Records all that a program tells of itself: spans, logs of every level, metrics; nothing is left out. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"

/** A span, for comparison. */
export interface Seen {
  readonly name: string
  readonly parent: string | undefined
  readonly kind: Tracer.SpanKind
  readonly attributes: Readonly<Record<string, unknown>>
  /** How it ended: well, by interruption, or with what. */
  readonly status: string
}

/** All that can be known of an error. */
export const textOf = (error: unknown): string =>
  error instanceof Error ? [error.toString(), error.stack, JSON.stringify(error), textOf(error.cause)].join("\n") : String(error)

const textOfExit = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? "" : `${Cause.pretty(exit.cause)}\n${textOf(Cause.squash(exit.cause))}`

const statusOf = ({ status }: Tracer.Span): string => {
  if (status._tag === "Started") return "open"
  if (Exit.isSuccess(status.exit)) return "ok"
  if (Cause.hasInterruptsOnly(status.exit.cause)) return "interrupted"
  const error = Cause.squash(status.exit.cause)
  return error instanceof Error ? error.message : String(error)
}

/** A new one; `layer` is what records. */
export const make = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const logs: Array<string> = []
  const registry: Metric.MetricRegistry = new Map()
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const logger = Logger.make((line) => void logs.push(Logger.formatJson.log(line)))
  const metrics = Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry)

  return {
    layer: Layer.mergeAll(
      Layer.succeed(Tracer.Tracer, tracer),
      Logger.layer([logger]),
      Layer.succeed(References.MinimumLogLevel, "All"),
      Layer.succeed(Metric.MetricRegistry, registry)
    ),
    logs: (): ReadonlyArray<Readonly<Record<string, unknown>>> => logs.map((line) => JSON.parse(line)),
    spans: (): ReadonlyArray<Seen> =>
      spans.map((span) => ({
        name: span.name,
        parent: Option.getOrUndefined(Option.map(span.parent, (parent) => parent._tag === "Span" ? parent.name : "external")),
        kind: span.kind,
        attributes: Object.fromEntries(span.attributes),
        status: statusOf(span)
      })),
    /** State of a metric by its name and, after `|`, the values of its attributes but for the unit. */
    metrics: Effect.map(metrics, (all) =>
      Object.fromEntries(all.map(({ attributes = {}, id, state }) => {
        const { unit: _, ...others } = attributes
        return [[id, ...Object.values(others)].join("|"), state]
      }))),
    /** Attributes of metrics, each set once. */
    metricAttributes: Effect.map(metrics, (all) => all.map(({ attributes, id }) => ({ id, ...attributes }))),
    /** Everything, to look for what must not be in it. */
    text: Effect.map(metrics, (all) =>
      [
        ...logs,
        JSON.stringify(all),
        ...spans.map((span) =>
          [
            span.name,
            JSON.stringify([...span.attributes]),
            JSON.stringify(span.events, (_, value: unknown) => typeof value === "bigint" ? String(value) : value),
            span.status._tag === "Ended" ? textOfExit(span.status.exit) : ""
          ].join("\n")
        )
      ].join("\n"))
  }
}
