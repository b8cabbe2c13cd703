/**
 * The way to a Flux endpoint on AWS SageMaker: HTTP/2, AWS event stream, SigV4 chunk signatures (protocol 5).
 *
 * ```ts
 * const transport = SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-1" })
 * ```
 *
 * Two endpoints are two layers. Region and credentials come from the AWS SDK's default chain unless they are given; address,
 * trusted certificates and proxy from the environment, as for AWS's own tools.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as FluxError from "./FluxError.ts"
import { FluxTransport, profileNames } from "./FluxTransport.ts"
import { scalar } from "./internal/config.ts"
import * as Connections from "./sagemaker/connections.ts"
import { type Options, resolve } from "./sagemaker/endpoint.ts"
import * as SageMakerOpen from "./sagemaker/open.ts"

export type { ConnectionMode } from "./sagemaker/connections.ts"
export type { Options } from "./sagemaker/endpoint.ts"

/**
 * A transport to one endpoint. Fails with `InvalidSettings`, which names every problem, before any connection; opening
 * fails with the reasons of protocol 5.9. Closing the Scope closes shared connections.
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<FluxTransport["Service"], FluxError.FluxError, Scope.Scope> {
  const endpoint = yield* resolve(options)
  const connections = yield* Effect.acquireRelease(
    Effect.sync(() => Connections.make(options.connections ?? "isolated", endpoint)),
    (connections) => connections.close
  )
  return FluxTransport.of({
    capabilities: endpoint.capabilities,
    open: Effect.fn("SageMakerTransport.open")(SageMakerOpen.make(endpoint, connections))
  })
})

/** A transport to one endpoint, from code. */
export const layer = (options: Options): Layer.Layer<FluxTransport, FluxError.FluxError> =>
  Layer.effect(FluxTransport, make(options))

/**
 * What the ConfigProvider says: `FLUX_ENDPOINT_NAME`, `FLUX_ENDPOINT_URL`, `FLUX_TARGET_VARIANT`, `FLUX_CA_FILE`,
 * `FLUX_CAPABILITIES` (a profile's name), `FLUX_CONNECTIONS`; `AWS_REGION`, else `AWS_DEFAULT_REGION`, for an address that names
 * no region. See {@link Options} for what the SDK reads.
 */
export const config: Config.Config<Options> = Config.all({
  endpointName: scalar(Schema.String, "FLUX_ENDPOINT_NAME"),
  endpointUrl: scalar(Schema.String, "FLUX_ENDPOINT_URL"),
  variant: scalar(Schema.String, "FLUX_TARGET_VARIANT"),
  caFile: scalar(Schema.String, "FLUX_CA_FILE"),
  capabilities: scalar(Schema.Literals(profileNames), "FLUX_CAPABILITIES"),
  connections: scalar(Schema.Literals(["isolated", "shared"]), "FLUX_CONNECTIONS"),
  usualRegion: Config.map(
    Config.all([scalar(Schema.String, "AWS_REGION"), scalar(Schema.String, "AWS_DEFAULT_REGION")]),
    ([region, otherwise]) => region ?? otherwise
  )
})

/** A transport to one endpoint, from any Config; by default the environment, see {@link config}. */
export const layerConfig = (
  source: Config.Config<Options> = config
): Layer.Layer<FluxTransport, FluxError.FluxError | Config.ConfigError> =>
  Layer.effect(FluxTransport, Effect.flatMap(source, make))
