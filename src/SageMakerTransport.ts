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
import { parseUrl, regionOf } from "./sagemaker/address.ts"
import { endpointVariables, ignoringVariable } from "./sagemaker/awsConfig.ts"
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

/** The environment's region is a machine's habit; a URL that names one was meant. */
const preferUrlRegion = (options: Options, configured: string | undefined): Options => {
  const url = parseUrl(options.endpointUrl ?? configured)
  return url === undefined || regionOf(url) === undefined ? options : { ...options, region: undefined }
}

/** The URL that holds where no other is given; see `Options.endpointUrl`. Read here for the sake of its region alone. */
const configuredUrl = Config.all({
  ignored: Config.String(ignoringVariable).pipe(Config.withDefault("")),
  urls: Config.all(endpointVariables.map((name) => Config.String(name).pipe(Config.withDefault(""))))
}).pipe(Config.map(({ ignored, urls }) => ignored.trim().toLowerCase() === "true" ? undefined : urls.find((url) => url.trim() !== "")))

/**
 * The environment: `FLUX_ENDPOINT_NAME`, `FLUX_ENDPOINT_URL`, `FLUX_TARGET_VARIANT`, `FLUX_CA_FILE`, `FLUX_CAPABILITIES` (a
 * profile's name), `FLUX_CONNECTIONS`; `AWS_REGION` or `AWS_DEFAULT_REGION`, unless the URL (also that of `AWS_ENDPOINT_URL`)
 * names a region.
 */
export const config: Config.Config<Options> = Config.all({
  configured: configuredUrl,
  endpointName: scalar(Schema.String, "FLUX_ENDPOINT_NAME"),
  endpointUrl: scalar(Schema.String, "FLUX_ENDPOINT_URL"),
  variant: scalar(Schema.String, "FLUX_TARGET_VARIANT"),
  caFile: scalar(Schema.String, "FLUX_CA_FILE"),
  capabilities: scalar(Schema.Literals(profileNames), "FLUX_CAPABILITIES"),
  connections: scalar(Schema.Literals(["isolated", "shared"]), "FLUX_CONNECTIONS"),
  region: Config.map(
    Config.all([scalar(Schema.String, "AWS_REGION"), scalar(Schema.String, "AWS_DEFAULT_REGION")]),
    ([region, otherwise]) => region ?? otherwise
  )
}).pipe(Config.map(({ configured, ...options }) => preferUrlRegion(options, configured)))

/** A transport to one endpoint, from any Config; by default the environment, see {@link config}. */
export const layerConfig = (
  source: Config.Config<Options> = config
): Layer.Layer<FluxTransport, FluxError.FluxError | Config.ConfigError> =>
  Layer.effect(FluxTransport, Effect.flatMap(source, make))
