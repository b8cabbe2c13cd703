/**
 * What the AWS environment and the profile say about the endpoint's address and the trusted certificates, in the order of
 * AWS's own tools: variables before the profile, the service's own value before the global one. The SDK reads both, as it
 * does for region and credentials.
 */
import { getProfileName, loadConfig } from "@smithy/core/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as FluxError from "../FluxError.ts"
import * as variables from "./variables.ts"
import type { Section } from "./variables.ts"

/** A value, and the name of the variable or of the place in the profile that it comes from. */
export interface Found {
  readonly value: string
  readonly source: string
}

type Answer = Result.Result<Found | undefined, FluxError.SettingsIssue>

/** How the variables and the shared files name the service. */
const service = { variable: "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", key: "sagemaker_runtime.endpoint_url" }

/** The variables that hold an endpoint's address, the one that goes first in front. */
const endpointVariables: ReadonlyArray<string> = [service.variable, "AWS_ENDPOINT_URL"]

/** The first of `names` that has a value. */
const first = (section: Section, names: ReadonlyArray<string>, place: string): Answer | undefined => {
  const found = variables.first(section, names)
  return found && Result.succeed({ value: found.value, source: `${found.name}${place}` })
}

const ofProfile = (): string => ` of the profile ${getProfileName({})}`

/** Asks the SDK anew: what it has read, and the files themselves, it would keep as long as the process lasts. */
const load = (
  ofEnvironment: (env: Section) => Answer | undefined,
  ofFiles: (profile: Section, file: Readonly<Record<string, Section | undefined>>) => Answer | undefined
): Effect.Effect<Answer> =>
  Effect.tryPromise(() =>
    loadConfig<Answer>({
      environmentVariableSelector: ofEnvironment,
      configFileSelector: (profile, file = {}) => ofFiles(profile, file),
      default: Result.succeed(undefined)
    }, { ignoreCache: true })()
  ).pipe(Effect.option, Effect.map(Option.getOrElse(() => Result.succeed(undefined))))

/** An address that stands in the profile: its services section goes before the profile itself. */
const urlOfProfile = (profile: Section, file: Readonly<Record<string, Section | undefined>>): Answer | undefined => {
  const { services } = profile
  if (services !== undefined) {
    const section = file[`services.${services}`]
    if (section === undefined) {
      return Result.fail({ setting: `services${ofProfile()}`, problem: `the shared config file has no section [services ${services}]` })
    }
    const own = first(section, [service.key], ` in [services ${services}]`)
    if (own !== undefined) return own
  }
  return first(profile, ["endpoint_url"], ofProfile())
}

/** The endpoint's address, unless there is none or such addresses are to be ignored. */
export const endpointUrl: Effect.Effect<Answer> = Effect.gen(function*() {
  const ignored = yield* load(
    (env) => first(env, ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], ""),
    (profile) => first(profile, ["ignore_configured_endpoint_urls"], ofProfile())
  )
  if (Result.isFailure(ignored)) return ignored
  if (ignored.success !== undefined) {
    const { source, value } = ignored.success
    if (value.toLowerCase() === "true") return Result.succeed(undefined)
    if (value.toLowerCase() !== "false") return Result.fail({ setting: source, problem: "must be true or false" })
  }
  return yield* load((env) => first(env, endpointVariables, ""), urlOfProfile)
})

/** The path of a file of certificates. */
export const caBundle: Effect.Effect<Answer> = load(
  (env) => first(env, ["AWS_CA_BUNDLE"], ""),
  (profile) => first(profile, ["ca_bundle"], ofProfile())
)
