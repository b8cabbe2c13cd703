/** From options to an endpoint that can be connected to, or the list of all that is wrong with them (protocol 1.3, 5.1). */
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime"
import type { AwsCredentialIdentity, AwsCredentialIdentityProvider } from "@smithy/types"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as FluxError from "../FluxError.ts"
import { type Capabilities, defaultProfile, type ProfileName, profileNames, profiles } from "../FluxTransport.ts"
import { isName, nameRule } from "../internal/endpointName.ts"
import { awsUrl, custom, regionOf } from "./address.ts"
import * as AwsConfig from "./awsConfig.ts"
import * as Chain from "./chain.ts"
import type { ConnectionMode } from "./connections.ts"
import type { Provider } from "./credentials.ts"
import * as Proxy from "./proxy.ts"
import { type Trust, trust } from "./trust.ts"

/**
 * Which endpoint, and how to reach it. Of what is not given, the SDK reads region, address, certificates and credentials: from
 * the process's variables and AWS's shared files, as they are when the transport is made. The proxy is Effect's to read, from
 * the ConfigProvider, which is the process's variables by default.
 */
export interface Options {
  /** The SageMaker endpoint's name: letters, digits and inner hyphens, at most 63. Required; may be absent here so that its lack is reported with all other problems. */
  readonly endpointName?: string | undefined
  /** The AWS region. Default: the one that the address names, wherever that comes from, else the SDK's (AWS_REGION, the profile). */
  readonly region?: string | undefined
  /**
   * The environment's region: a machine's habit, which holds for an address that names none. From `SageMakerTransport.config`.
   * @internal
   */
  readonly usualRegion?: string | undefined
  /** The production variant to ask for; default: SageMaker chooses by weight. */
  readonly variant?: string | undefined
  /**
   * In place of AWS's own endpoint for the region: `https://host:port`, or `http://` for a local simulator. An AWS host
   * without a port gets 8443, the only one that streams. Default: what AWS's own tools take (`AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`,
   * `AWS_ENDPOINT_URL`, the profile's `services` section or `endpoint_url`), where any host without a port gets 8443.
   */
  readonly endpointUrl?: string | undefined
  /**
   * A PEM file of certificates: the endpoint's is trusted by them in place of the usual roots, that of a proxy of https:// by
   * them besides the usual roots. For a proxy that opens TLS, or a simulator. Default: `AWS_CA_BUNDLE`, else `ca_bundle` of the profile.
   */
  readonly caFile?: string | undefined
  /** The same as PEM text, such as `SimulatorServer.certificate`; not together with `caFile`. */
  readonly ca?: string | undefined
  /**
   * The HTTP proxy whose tunnel leads to the endpoint: `http://user:password@host:port`, `https://...` or `host:port`; `false`:
   * none, whatever the environment says. Default, for https:// endpoints: `HTTPS_PROXY` or `ALL_PROXY`, unless `NO_PROXY`
   * names the endpoint's host. The proxy must allow CONNECT to the endpoint's port, 8443 at AWS.
   */
  readonly proxy?: string | false | undefined
  /**
   * Credentials, or a provider of them; default: the SDK's default chain. A provider is asked again shortly before their
   * expiration, and with `forceRefresh` when AWS says that they have expired.
   */
  readonly credentials?: AwsCredentialIdentity | AwsCredentialIdentityProvider | undefined
  /** What the deployed bundle understands: a profile's name, or changes to a profile (the one in `name`, else the default). Default: `flux-english-20260311`. */
  readonly capabilities?: ProfileName | Partial<Capabilities> | undefined
  /**
   * A TCP connection for each stream (`isolated`, default), or as many streams on one as the server's SETTINGS allow, 256 at
   * the most (`shared`); see {@link ConnectionMode}.
   */
  readonly connections?: ConnectionMode | undefined
  /** FIPS hosts; default: the SDK's setting (AWS_USE_FIPS_ENDPOINT), else off. */
  readonly useFips?: boolean | undefined
  /** Dual-stack hosts; default: the SDK's setting (AWS_USE_DUALSTACK_ENDPOINT), else off. */
  readonly useDualStack?: boolean | undefined
}

const regionPattern = /^[a-z0-9][a-z0-9-]{0,62}$/

const isProfileName = (name: string | undefined): name is ProfileName => profileNames.some((known) => known === name)

/** Collects what is wrong with options. */
type Report = (setting: string, problem: string) => void

const resolveCapabilities = (given: Options["capabilities"], report: Report): Capabilities => {
  if (typeof given === "object") {
    return { ...profiles[isProfileName(given.name) ? given.name : defaultProfile], ...given }
  }
  if (given !== undefined && !isProfileName(given)) report("capabilities", `must be one of ${profileNames.join(", ")}`)
  return profiles[isProfileName(given) ? given : defaultProfile]
}

const checkNames = (options: Options, report: Report): void => {
  if (options.endpointName === undefined || options.endpointName === "") {
    report("endpointName", "is required: the name of the SageMaker endpoint")
  } else if (!isName(options.endpointName)) report("endpointName", nameRule)
  if (options.variant !== undefined && !isName(options.variant)) report("variant", nameRule)
}

/** What a promise gives, if it gives anything. */
const attempt = <A>(promise: () => Promise<A>): Effect.Effect<A | undefined> =>
  Effect.tryPromise(promise).pipe(Effect.option, Effect.map(Option.getOrUndefined))

/** For the default chain, which otherwise reads the credentials file once a process, and would not see it renewed. */
const rereading = { ignoreCache: true }

/** An endpoint to connect to. */
export interface Resolved {
  readonly name: string
  readonly variant: string | undefined
  readonly region: string
  readonly url: URL
  /** PEM; see `Options.caFile`. */
  readonly ca: string | undefined
  readonly proxy: Proxy.Proxy | undefined
  readonly capabilities: Capabilities
  readonly credentials: Provider
}

/** What options come to, as far as they do. */
export interface Examined extends Omit<Resolved, "name" | "region" | "url" | "ca" | "proxy"> {
  readonly issues: ReadonlyArray<FluxError.SettingsIssue>
  readonly region: string | undefined
  readonly url: URL | undefined
  /** The variable or the place in the profile that the address comes from; undefined where it is the option or AWS's own. */
  readonly urlSource: string | undefined
  readonly trust: Trust | undefined
  /** Undefined where there is no address, or what names the proxy is wrong. */
  readonly route: Proxy.Route | undefined
}

/** An address that is not AWS's own; no `url` where it is wrong. */
interface Custom {
  readonly url: URL | undefined
  readonly source: string
}

/** The address that is given, else the one that AWS's tools would take. */
const customAddress = Effect.fnUntraced(function*(given: string | undefined, report: Report): Effect.fn.Return<Custom | undefined> {
  const found = given === undefined ? yield* AwsConfig.endpointUrl : Result.succeed({ value: given, source: "endpointUrl" })
  if (Result.isFailure(found)) {
    report(found.failure.setting, found.failure.problem)
    return { url: undefined, source: found.failure.setting }
  }
  if (found.success === undefined) return undefined
  const { source, value } = found.success
  const { problems, url } = custom(value, given === undefined)
  for (const problem of problems) report(source, problem)
  return { url, source }
})

/** A client for what the SDK finds by itself, and the provider of credentials that it makes of options. */
const clientOf = (options: Options, region: string | undefined): { readonly client: SageMakerRuntimeClient; readonly provider: Provider } => {
  const trail = options.credentials === undefined ? Chain.make() : undefined
  const client = new SageMakerRuntimeClient({
    ...rereading,
    ...(trail === undefined ? {} : { logger: trail.logger }),
    ...(region === undefined ? {} : { region }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...(options.useFips === undefined ? {} : { useFipsEndpoint: options.useFips }),
    ...(options.useDualStack === undefined ? {} : { useDualstackEndpoint: options.useDualStack })
  })
  const ask: Provider = (how) => client.config.credentials(how)
  const provider = Object.assign<Provider, Pick<Provider, "trail" | "anew" | "isFixed">>(ask, {
    trail,
    anew: () => clientOf(options, region).provider,
    isFixed: typeof options.credentials === "object"
  })
  return { client, provider }
}

/** Looks at options, and at what the SDK finds where they say nothing. Connects to nothing. */
export const examine = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Examined> {
  const issues: Array<FluxError.SettingsIssue> = []
  const report: Report = (setting, problem) => issues.push({ setting, problem })
  checkNames(options, report)
  const capabilities = resolveCapabilities(options.capabilities, report)
  const address = yield* customAddress(options.endpointUrl, report)

  const urlRegion = address?.url && regionOf(address.url)
  const wanted = options.region ?? urlRegion ?? options.usualRegion
  const { client, provider } = clientOf(options, wanted)
  const region = yield* attempt(() => client.config.region())
  if (wanted !== undefined && (region === undefined || !regionPattern.test(wanted))) {
    report("region", "must be the name of an AWS region, such as us-east-1")
  } else if (region === undefined) report("region", "is required: give it, or set AWS_REGION")
  else if (urlRegion !== undefined && urlRegion !== region) {
    report("region", `is ${region}, but ${address?.source} is in ${urlRegion}`)
  }
  const useFips = options.useFips ?? (yield* attempt(() => client.config.useFipsEndpoint())) ?? false
  const useDualStack = options.useDualStack ?? (yield* attempt(() => client.config.useDualstackEndpoint())) ?? false
  if (address !== undefined && useFips) report("useFips", `cannot be combined with ${address.source}: give a FIPS host there`)
  if (address !== undefined && useDualStack) report("useDualStack", `cannot be combined with ${address.source}: give a dual-stack host there`)

  const regionIsSound = !issues.some(({ setting }) => setting === "region")
  const url = address !== undefined
    ? address.url
    : region === undefined || !regionIsSound
    ? undefined
    : Option.getOrUndefined(awsUrl(client, region, useFips, useDualStack))
  if (url === undefined && regionIsSound && address === undefined) report("region", "has no endpoint that the SDK knows")
  const route = url && (yield* Proxy.route(options.proxy, url))
  const proxy = route !== undefined && Result.isSuccess(route) ? route.success.proxy : undefined
  const trusted = yield* trust(options, url?.protocol !== "http:" || proxy?.url.protocol === "https:")
  if (Result.isFailure(trusted)) trusted.failure.forEach(({ problem, setting }) => report(setting, problem))
  if (route !== undefined && Result.isFailure(route)) report(route.failure.setting, route.failure.problem)
  return {
    issues,
    variant: options.variant,
    region,
    url,
    urlSource: options.endpointUrl === undefined ? address?.source : undefined,
    trust: Result.isSuccess(trusted) ? trusted.success : undefined,
    route: route !== undefined && Result.isSuccess(route) ? route.success : undefined,
    capabilities,
    credentials: provider
  }
})

/** Resolves options; fails with `InvalidSettings`, which names every problem. Connects to nothing. */
export const resolve = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Resolved, FluxError.FluxError> {
  const { capabilities, credentials, issues, region, route, trust, url, variant } = yield* examine(options)
  if (issues.length > 0 || region === undefined || url === undefined || options.endpointName === undefined) {
    return yield* FluxError.make(new FluxError.InvalidSettings({ issues }), "settings")
  }
  return { name: options.endpointName, variant, region, url, ca: trust?.ca, proxy: route?.proxy, capabilities, credentials }
})
