/** From options to an endpoint that can be connected to, or the list of all that is wrong with them (protocol 1.3, 5.1). */
import { X509Certificate } from "node:crypto"
import { readFile } from "node:fs/promises"
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime"
import type { AwsCredentialIdentity, AwsCredentialIdentityProvider } from "@smithy/types"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as FluxError from "../FluxError.ts"
import { type Capabilities, defaultProfile, type ProfileName, profileNames, profiles } from "../FluxTransport.ts"
import * as textFile from "../internal/textFile.ts"
import * as Chain from "./chain.ts"
import type { ConnectionMode } from "./connections.ts"
import type { Provider } from "./credentials.ts"

/** Which endpoint, and how to reach it. */
export interface Options {
  /** The SageMaker endpoint's name: letters, digits and inner hyphens, at most 63. Required; may be absent here so that its lack is reported with all other problems. */
  readonly endpointName?: string | undefined
  /** The AWS region. Default: the one named in `endpointUrl`, else the SDK's (AWS_REGION, the profile). */
  readonly region?: string | undefined
  /** The production variant to ask for; default: SageMaker chooses by weight. */
  readonly variant?: string | undefined
  /** In place of AWS's own endpoint for the region: `https://host:port`, or `http://` for a local simulator. An AWS host without a port gets 8443, the only one that streams. */
  readonly endpointUrl?: string | undefined
  /** A PEM file of certificates to trust in place of the usual roots, for a proxy or a simulator. */
  readonly caFile?: string | undefined
  /** The same as PEM text, such as `SimulatorServer.certificate`; not together with `caFile`. */
  readonly ca?: string | undefined
  /**
   * Credentials, or a provider of them; default: the SDK's default chain. A provider is asked again shortly before their
   * expiration, and with `forceRefresh` when AWS says that they have expired.
   */
  readonly credentials?: AwsCredentialIdentity | AwsCredentialIdentityProvider | undefined
  /** What the deployed bundle understands: a profile's name, or changes to a profile (the one in `name`, else the default). Default: `flux-english-20260311`. */
  readonly capabilities?: ProfileName | Partial<Capabilities> | undefined
  /** A TCP connection for each stream (`isolated`, default), or up to 100 streams on one (`shared`). */
  readonly connections?: ConnectionMode | undefined
  /** FIPS hosts; default: the SDK's setting (AWS_USE_FIPS_ENDPOINT), else off. */
  readonly useFips?: boolean | undefined
  /** Dual-stack hosts; default: the SDK's setting (AWS_USE_DUALSTACK_ENDPOINT), else off. */
  readonly useDualStack?: boolean | undefined
}

/** SageMaker streams on this port only; 443 accepts and then hangs (protocol 5.1). */
const streamingPort = "8443"
/** Protocol 1.3, for endpoint and variant. */
const namePattern = /^(?=.{1,63}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*$/
const nameRule = "must be letters and digits with hyphens between them, at most 63"
const regionPattern = /^[a-z0-9][a-z0-9-]{0,62}$/

const isProfileName = (name: string | undefined): name is ProfileName => profileNames.some((known) => known === name)

/** Collects what is wrong with options. */
type Report = (setting: keyof Options, problem: string) => void

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
  } else if (!namePattern.test(options.endpointName)) report("endpointName", nameRule)
  if (options.variant !== undefined && !namePattern.test(options.variant)) report("variant", nameRule)
}

/** The region in the host of an AWS endpoint, also of one within a VPC. */
export const regionOf = (url: URL): string | undefined =>
  /(?:^|\.)runtime(?:-fips)?\.sagemaker(?:-fips)?\.([a-z0-9-]+)\./.exec(url.hostname)?.[1]

/** An http(s) URL. */
export const parseUrl = (text: string | undefined): URL | undefined => {
  const url = text === undefined ? null : URL.parse(text)
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") ? url : undefined
}

const customUrl = (options: Options, report: Report): URL | undefined => {
  if (options.endpointUrl === undefined) return undefined
  const url = parseUrl(options.endpointUrl)
  if (url === undefined) {
    report("endpointUrl", "must be a URL that starts with https:// or http://")
    return undefined
  }
  if (`${url.username}${url.password}${url.search}${url.hash}` !== "") {
    report("endpointUrl", "must have no user, query or fragment")
  }
  if (url.port === "" && regionOf(url) !== undefined) url.port = streamingPort
  return url
}

/** AWS's own endpoint, if the SDK knows one. Its rules are for an older service of the same hosts, without the port and with other FIPS names. */
export const awsUrl = Option.liftThrowable(
  (client: SageMakerRuntimeClient, region: string, useFips: boolean, useDualStack: boolean): URL => {
    const { url } = client.config.endpointProvider({ Region: region, UseDualStack: useDualStack, UseFIPS: false })
    const own = new URL(url)
    if (useFips) own.hostname = own.hostname.replace(/^runtime\./, "runtime-fips.")
    own.port = streamingPort
    return own
  }
)

/** What a promise gives, if it gives anything. */
const attempt = <A>(promise: () => Promise<A>): Effect.Effect<A | undefined> =>
  Effect.tryPromise(promise).pipe(Effect.option, Effect.map(Option.getOrUndefined))

/** Node takes any text for a list of certificates, and then trusts nobody. */
const isCertificate = (pem: string): boolean => Option.isSome(parseCertificate(pem))
const parseCertificate = Option.liftThrowable((pem: string) => new X509Certificate(pem))

/** For the default chain, which otherwise reads the credentials file once a process, and would not see it renewed. */
const rereading = { ignoreCache: true }

/** An endpoint to connect to. */
export interface Resolved {
  readonly name: string
  readonly variant: string | undefined
  readonly region: string
  readonly url: URL
  readonly ca: string | undefined
  readonly capabilities: Capabilities
  readonly credentials: Provider
}

/** What options come to, as far as they do. */
export interface Examined extends Omit<Resolved, "name" | "region" | "url"> {
  readonly issues: ReadonlyArray<FluxError.SettingsIssue>
  readonly region: string | undefined
  readonly url: URL | undefined
}

/** Looks at options, and at what the SDK finds where they say nothing. Connects to nothing. */
export const examine = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Examined> {
  const issues: Array<FluxError.SettingsIssue> = []
  const report: Report = (setting, problem) => issues.push({ setting, problem })
  checkNames(options, report)
  const capabilities = resolveCapabilities(options.capabilities, report)
  const custom = customUrl(options, report)
  const { caFile } = options
  const file = caFile === undefined ? undefined : yield* attempt(() => readFile(caFile))
  const decoded = file && textFile.decode(file)
  const ca = caFile === undefined ? options.ca : decoded && Result.getOrElse(decoded, () => "")
  if (caFile !== undefined && options.ca !== undefined) report("ca", "give either ca or caFile")
  if (caFile !== undefined && ca === undefined) report("caFile", `${caFile} cannot be read`)
  else if (decoded !== undefined && Result.isFailure(decoded)) report("caFile", `${caFile} holds no certificate in PEM form: it ${decoded.failure}`)
  else if (ca !== undefined && !isCertificate(ca)) {
    report(caFile === undefined ? "ca" : "caFile", `${caFile ?? "it"} holds no certificate in PEM form`)
  }

  const urlRegion = custom === undefined ? undefined : regionOf(custom)
  const wanted = options.region ?? urlRegion
  const trail = options.credentials === undefined ? Chain.make() : undefined
  const client = new SageMakerRuntimeClient({
    ...rereading,
    ...(trail === undefined ? {} : { logger: trail.logger }),
    ...(wanted === undefined ? {} : { region: wanted }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...(options.useFips === undefined ? {} : { useFipsEndpoint: options.useFips }),
    ...(options.useDualStack === undefined ? {} : { useDualstackEndpoint: options.useDualStack })
  })
  const region = yield* attempt(() => client.config.region())
  if (wanted !== undefined && (region === undefined || !regionPattern.test(wanted))) {
    report("region", "must be the name of an AWS region, such as us-east-1")
  } else if (region === undefined) report("region", "is required: give it, or set AWS_REGION")
  else if (urlRegion !== undefined && urlRegion !== region) {
    report("region", `is ${region}, but endpointUrl is in ${urlRegion}`)
  }
  const useFips = options.useFips ?? (yield* attempt(() => client.config.useFipsEndpoint())) ?? false
  const useDualStack = options.useDualStack ?? (yield* attempt(() => client.config.useDualstackEndpoint())) ?? false
  if (options.endpointUrl !== undefined && useFips) report("useFips", "cannot be combined with endpointUrl: give a FIPS host there")
  if (options.endpointUrl !== undefined && useDualStack) report("useDualStack", "cannot be combined with endpointUrl: give a dual-stack host there")

  const regionIsSound = !issues.some(({ setting }) => setting === "region")
  const url = custom ?? (region === undefined || !regionIsSound || options.endpointUrl !== undefined
    ? undefined
    : Option.getOrUndefined(awsUrl(client, region, useFips, useDualStack)))
  if (url === undefined && regionIsSound && options.endpointUrl === undefined) report("region", "has no endpoint that the SDK knows")
  return {
    issues,
    variant: options.variant,
    region,
    url,
    ca,
    capabilities,
    credentials: Object.assign<Provider, Pick<Provider, "trail">>((options) => client.config.credentials(options), { trail })
  }
})

/** Resolves options; fails with `InvalidSettings`, which names every problem. Connects to nothing. */
export const resolve = Effect.fnUntraced(function*(options: Options): Effect.fn.Return<Resolved, FluxError.FluxError> {
  const { issues, ...found } = yield* examine(options)
  const { region, url } = found
  if (issues.length > 0 || region === undefined || url === undefined || options.endpointName === undefined) {
    return yield* FluxError.make(new FluxError.InvalidSettings({ issues }), "settings")
  }
  return { ...found, name: options.endpointName, region, url }
})
