/** Metrics, spans and logs of the command over OTLP, where the environment names a collector. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { optional } from "../internal/config.ts"
import { faultsOfConfig } from "./flags.ts"
import { say } from "./print.ts"

const endpoints = Config.all(
  ["", "_TRACES", "_METRICS", "_LOGS"].map((signal) => optional(Config.String(`OTEL_EXPORTER_OTLP${signal}_ENDPOINT`)))
)

/** See `Observability.layerConfig`; loaded only where it is asked for, as it takes its time. */
export const layer: Layer.Layer<never> = Layer.unwrap(Effect.gen(function*() {
  const named = yield* endpoints
  if (named.every((endpoint) => endpoint === undefined)) return Layer.empty
  const { layerConfig } = yield* Effect.promise(() => import("../Observability.ts"))
  return layerConfig
})).pipe(
  // these variables are often the whole machine's, and no reason not to take a call
  Layer.catchTag("ConfigError", (error) =>
    Layer.effectDiscard(Effect.forEach(faultsOfConfig(error), (fault) =>
      say(`warning: nothing is exported, ${fault}`), { discard: true })))
)
