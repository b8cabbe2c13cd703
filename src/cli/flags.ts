/** The flags that mirror settings and the endpoint. A flag beats its `FLUX_*` variable. */
import { relative } from "node:path"
import type * as Config from "effect/Config"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { scalar } from "../internal/config.ts"
import { fieldIssues } from "../internal/schemaIssues.ts"
import { Encoding } from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import * as FluxSettings from "../FluxSettings.ts"
import { type ProfileName, profileNames, profiles } from "../FluxTransport.ts"

/** What may be left out; undefined then. */
export const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)

/** What may be given more than once, one value each time: commas are part of it, blanks around it are not. Not given it is undefined: an empty list leaves the environment's standing. */
export const repeatable = (flag: Flag.Flag<string>): Flag.Flag<ReadonlyArray<string> | undefined> =>
  Flag.map(Flag.atLeast(flag, 0), (values) => (values.length === 0 ? undefined : values.map((value) => value.trim())))

/** The path of a file, which shells complete; in the words of whoever gave it where it lies below the folder that is worked in. */
export const file = (name: string): Flag.Flag<string> => Flag.map(Flag.Path(name, { pathType: "either" }), asGiven)

/** Effect's paths come as absolute ones, `-` too. */
export const asGiven = (absolute: string): string => {
  const below = relative("", absolute)
  return below === "" || below.startsWith("..") ? absolute : below
}

/** How audio is coded, and what Flux is asked to do with it. Not checked here, so that all faults can be told together. */
export const settings = {
  model: optional(Flag.String("model")).pipe(
    Flag.withMetavar(FluxSettings.Model.literals.join("|")),
    Flag.withDescription("Model that the endpoint runs (default flux-general-en)")
  ),
  encoding: optional(Flag.String("encoding")).pipe(
    Flag.withMetavar(Encoding.literals.join("|")),
    Flag.withDescription("Encoding of raw audio (default linear16); a WAV file says so itself")
  ),
  sampleRate: optional(Flag.Int("sample-rate")).pipe(
    Flag.withMetavar("HZ"),
    Flag.withDescription("Sample rate of raw audio, or to convert a file to whose own rate Flux does not take (default 16000)")
  ),
  eotThreshold: optional(Flag.Finite("eot-threshold")).pipe(
    Flag.withMetavar("0.5-0.9"),
    Flag.withDescription("Confidence that ends a turn (Flux's default is 0.7)")
  ),
  eagerEotThreshold: optional(Flag.Finite("eager-eot-threshold")).pipe(
    Flag.withMetavar("0.3-0.9"),
    Flag.withDescription("Confidence that gives an EagerEndOfTurn; without it there are none")
  ),
  eotTimeoutMs: optional(Flag.Int("eot-timeout-ms")).pipe(
    Flag.withMetavar("MS"),
    Flag.withDescription("Silence that ends a turn whatever the confidence (Flux's default is 5000)")
  ),
  keyterm: repeatable(Flag.String("keyterm")).pipe(
    Flag.withMetavar("TERM"),
    Flag.withDescription("Term to listen for; may be repeated")
  ),
  languageHints: repeatable(Flag.String("language-hint")).pipe(
    Flag.withMetavar("LANGUAGE"),
    Flag.withDescription("Language to expect, flux-general-multi only; may be repeated")
  ),
  numerals: optional(Flag.Boolean("numerals")).pipe(
    Flag.withDescription("Write numbers as digits, where the endpoint can")
  ),
  profanityFilter: optional(Flag.Boolean("profanity-filter")).pipe(
    Flag.withDescription("Mask profanity, where the endpoint can")
  ),
  redact: optional(Flag.String("redact")).pipe(
    Flag.withMetavar("numbers|aggressive_numbers"),
    Flag.withDescription("Mask numbers, where the endpoint can")
  ),
  mipOptOut: optional(Flag.Boolean("mip-opt-out")).pipe(
    Flag.withDescription("Keep the audio out of Deepgram's model improvement programme")
  ),
  tag: repeatable(Flag.String("tag")).pipe(
    Flag.withMetavar("LABEL"),
    Flag.withDescription("Label for usage reports; may be repeated")
  ),
  maxSessionAge: optional(Flag.String("max-session-age")).pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("Age at which another session takes over, at the end of a turn (default \"25 minutes\")")
  ),
  minConfidence: optional(Flag.Finite("min-confidence")).pipe(
    Flag.withMetavar("0-1"),
    Flag.withDescription("A turn's mean word confidence must exceed this to be accepted")
  )
}

/** What the deployed Flux bundle understands; see {@link profile}. */
export const capabilities = optional(Flag.Literals("capabilities", profileNames)).pipe(
  Flag.withDescription("What the endpoint's bundle understands, or FLUX_CAPABILITIES (default flux-english-20260311)")
)

/** Where Flux runs. */
export const endpoint = {
  endpointName: optional(Flag.String("endpoint-name")).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("SageMaker endpoint, or FLUX_ENDPOINT_NAME")
  ),
  region: optional(Flag.String("region")).pipe(
    Flag.withDescription("AWS region of the endpoint (default: as the AWS SDK finds it)")
  ),
  endpointUrl: optional(Flag.String("endpoint-url")).pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription("Another address than SageMaker's, such as that of flux-stt simulate")
  ),
  variant: optional(Flag.String("target-variant")).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("Production variant to be invoked")
  ),
  caFile: optional(file("ca-file")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Certificates to trust in place of the usual roots, as PEM")
  )
}

/** The fields of `over` that are there, laid over `base`. */
export const overlay = <A extends object>(base: A, over: Partial<A>): A => ({
  ...base,
  ...Object.fromEntries(Object.entries(over).filter(([, value]) => value !== undefined))
})

/** What was found, or what is wrong, one line a fault. */
export type Checked<A> = Result.Result<A, ReadonlyArray<string>>

/** The faults that an error names: one for each broken setting. */
export const faultsOf = ({ reason }: FluxError): ReadonlyArray<string> =>
  reason._tag === "InvalidSettings"
    ? reason.issues.map(({ problem, setting }) => `${setting}: ${problem}`)
    : [reason.message]

/** Faults of several things that are checked, to be told together. */
export interface Faults {
  readonly all: ReadonlyArray<string>
  readonly add: (...faults: ReadonlyArray<string>) => void
  /** What was found; else its faults are added. */
  readonly collect: <A>(checked: Checked<A>) => A | undefined
}

/** A new {@link Faults}. */
export const makeFaults = (): Faults => {
  const all: Array<string> = []
  const add = (...faults: ReadonlyArray<string>): void => void all.push(...faults)
  return {
    all,
    add,
    collect: (checked) => {
      if (Result.isSuccess(checked)) return checked.success
      add(...checked.failure)
      return undefined
    }
  }
}

/** Settings for an endpoint, from flags over the environment. */
export const checkSettings = (
  patch: Readonly<Record<string, unknown>>,
  profile: ProfileName | undefined
): Checked<FluxSettings.Settings> =>
  Result.mapError(FluxSettings.resolveUnknown(FluxSettings.defaults, patch, profile && profiles[profile]), faultsOf)

/** What is asked for by flags over the environment; not checked, but that the environment can be read. */
export const askedSettings = (
  { collect }: Faults,
  given: Readonly<Record<string, unknown>>
): Effect.Effect<Readonly<Record<string, unknown>>> =>
  Effect.map(read(FluxSettings.config), (env) => overlay<Record<string, unknown>>(collect(env) ?? {}, given))

/** Reads a Config; what it cannot read is a fault that names the variable. */
export const read = <A>(config: Config.Config<A>): Effect.Effect<Checked<A>> => Effect.result(Effect.mapError(config, faultsOfConfig))

/** What a Config could not read, by variable. */
export const faultsOfConfig = ({ cause, message }: Config.ConfigError): ReadonlyArray<string> =>
  Schema.isSchemaError(cause)
    ? fieldIssues(cause).map((issue) => `${issue.path.replaceAll(".", "_")}: ${issue.message}`)
    : [message]

/** The profile that the flag, else the environment, names. */
export const profile = (given: ProfileName | undefined): Effect.Effect<Checked<ProfileName | undefined>> =>
  given === undefined
    ? read(profileConfig)
    : Effect.succeed(Result.succeed(given))

const profileConfig = scalar(Schema.Literals(profileNames), "FLUX_CAPABILITIES")
