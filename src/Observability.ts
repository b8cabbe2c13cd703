/**
 * What this package tells of itself: names of metrics and spans, whether transcripts may stand in spans, and a layer that
 * exports all of it, with your program's own metrics, spans and logs, over OTLP.
 *
 * ```ts
 * program.pipe(Effect.provide(Observability.layerConfig))
 * ```
 *
 * Metrics are always counted and cost nothing to speak of; no span is made per chunk of audio. Metrics carry no ids.
 * Spans and logs carry the conversation's id, SageMaker's request id, the session's number and the turn's, and never
 * credentials, audio, keyterms, tags or (but for {@link RecordTranscripts}) words.
 */
import { randomUUID } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { optional } from "./internal/config.ts"

export { metricNames, RecordTranscripts, spanNames } from "./internal/telemetry.ts"

/** How OTLP is spelled; default `http/protobuf`, as OpenTelemetry has it. */
export type Protocol = (typeof protocols)[number]

/** Where to export to, from code. What is left out is as the environment says. */
export interface Options {
  /** The collector's base URL, such as `http://localhost:4318`. */
  readonly endpoint?: string | undefined
  readonly protocol?: Protocol | undefined
  /** What the process is called; default `effect-flux-sagemaker`. */
  readonly serviceName?: string | undefined
  /** Sent with every export: keys of a vendor, say. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const protocols = ["http/protobuf", "http/json"] as const

/** What is read here; the rest is read by Effect's exporters. */
const config = Config.all({
  protocol: Config.withDefault(Config.Literals(protocols, "OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf"),
  attributes: optional(Config.String("OTEL_RESOURCE_ATTRIBUTES"))
})

const says = (attributes: string | undefined, key: string): boolean =>
  attributes?.split(",").some((pair) => pair.split("=", 1)[0]?.trim() === key) ?? false

/** A new layer each time: what it reads may be another. */
const make = (): Layer.Layer<never, Config.ConfigError> =>
  Layer.unwrap(Effect.map(config, ({ attributes, protocol }) => {
    const defaults = {
      // Effect takes "none" for the default, OpenTelemetry "otlp"
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_LOGS_EXPORTER: "otlp",
      ...(says(attributes, "service.name") ? {} : { OTEL_SERVICE_NAME: "effect-flux-sagemaker" })
    }
    return Otlp.layerFromConfig({
      // without it the counters of two processes are one series that jumps
      resource: { attributes: says(attributes, "service.instance.id") ? {} : { "service.instance.id": randomUUID() } }
    }).pipe(
      Layer.provide(protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
      Layer.provide(FetchHttpClient.layer),
      Layer.provide(ConfigProvider.layerAdd(ConfigProvider.fromEnvRecord(defaults)))
    )
  })).pipe(
    // Effect's exporters die of a variable that cannot be read
    Layer.catchCause((cause) => {
      const error = Cause.squash(cause)
      return Layer.effectDiscard(error instanceof Config.ConfigError ? Effect.fail(error) : Effect.die(error))
    })
  )

/**
 * Exports traces, metrics and logs as the standard `OTEL_*` variables say: `OTEL_EXPORTER_OTLP_ENDPOINT` (or one a signal,
 * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_PROTOCOL` (`http/protobuf`,
 * default, or `http/json`), `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_METRIC_EXPORT_INTERVAL` (ms),
 * `OTEL_TRACES_EXPORTER=none`, `OTEL_SDK_DISABLED=true`, and so on. Without an endpoint it does nothing, so it can always
 * be provided. A collector that does not answer never disturbs a call; closing the layer exports what is left, for at
 * most three seconds. Loggers that are there stay.
 */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = make()

/** The same from code. */
export const layer = ({ endpoint, headers, protocol, serviceName }: Options = {}): Layer.Layer<never, Config.ConfigError> => {
  const given = {
    ...(endpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
    ...(protocol === undefined ? {} : { OTEL_EXPORTER_OTLP_PROTOCOL: protocol }),
    ...(serviceName === undefined ? {} : { OTEL_SERVICE_NAME: serviceName }),
    ...(headers === undefined ? {} : { OTEL_EXPORTER_OTLP_HEADERS: listOf(headers) })
  }
  return make().pipe(Layer.provide(ConfigProvider.layerAdd(ConfigProvider.fromEnvRecord(given), { asPrimary: true })))
}

const listOf = (headers: Readonly<Record<string, string>>): string =>
  Object.entries(headers).map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join(",")
