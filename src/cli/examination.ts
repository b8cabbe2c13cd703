/** The checks of `flux-stt doctor`, in order: each is told as it is made, and what comes to depend on a failed one is skipped. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { defaultProfile, type ProfileName } from "../FluxTransport.ts"
import * as SageMakerTransport from "../SageMakerTransport.ts"
import { regionOf } from "../sagemaker/address.ts"
import * as endpoint from "../sagemaker/endpoint.ts"
import { credentials } from "./credentials.ts"
import * as Finding from "./Finding.ts"
import * as flags from "./flags.ts"
import * as nodeVersion from "./nodeVersion.ts"
import * as reach from "./reach.ts"
import * as rehearsal from "./rehearsal.ts"
import * as steps from "./steps.ts"

/** What is to be examined: flags over the environment. */
export interface Input {
  /** With a session. */
  readonly connect: boolean
  readonly capabilities: ProfileName | undefined
  readonly endpoint: { readonly [Name in keyof typeof flags.endpoint]?: string | undefined }
  /** As the flags of settings give them. */
  readonly settings: Readonly<Record<string, unknown>>
}

const ofThisSide = ["node", "settings", "endpoint", "region", "credentials", "address"]

/** The names of all checks, in order. */
export const checks = (connect: boolean): ReadonlyArray<string> => [...ofThisSide, ...reach.checks, ...(connect ? rehearsal.checks : [])]

/** Makes all checks, and tells each finding as it comes. */
export const examine = Effect.fnUntraced(function*(input: Input, tell: steps.Tell) {
  yield* tell(node(nodeVersion.judge()))
  const { profile, settings, told } = yield* examineSettings(input, tell)
  const { ca, hasAddress, options, route, target, url } = yield* examineEndpoint(input, profile, told, tell)
  const isReachable = url !== undefined && route !== undefined
  if (!isReachable) yield* steps.skip(tell, reach.checks, hasAddress ? "what is named above is wrong" : "there is no address that could be used")
  const reached = isReachable && (yield* reach.reach({ url, ca, route, target, tell }))
  if (!input.connect) return
  if (!reached) return yield* steps.skip(tell, rehearsal.checks, "the endpoint is not reached")
  if (settings === undefined || options === undefined) return yield* steps.skip(tell, rehearsal.checks, "what is named above is wrong")
  yield* SageMakerTransport.make(options).pipe(
    Effect.flatMap((transport) => rehearsal.rehearse({ transport, settings, target, tell })),
    Effect.catchTag("FluxError", (error) => tell(Finding.fromError("session", error, target))),
    Effect.scoped
  )
})

/** Whether the profile takes the settings; undefined where it does not. */
const examineSettings = Effect.fnUntraced(function*(input: Input, tell: steps.Tell) {
  const faults = flags.makeFaults()
  const asked = yield* flags.askedSettings(faults, input.settings)
  const profile = faults.collect(yield* flags.profile(input.capabilities))
  const settings = faults.collect(flags.checkSettings(asked, profile))
  const isSound = settings !== undefined && faults.all.length === 0
  yield* tell(isSound
    ? Finding.ok("settings", `${settings.model}, ${settings.encoding} at ${settings.sampleRate} Hz; ${profile ?? defaultProfile} takes them`)
    : Finding.failed("settings", faults.all.join("; "), "Correct the flags or FLUX_* variables named here, or the profile (--capabilities)"))
  return { profile, settings: isSound ? settings : undefined, told: faults.all }
})

/** Which endpoint, where, and as whom; `url` and `options` are undefined where they are of no use; `hasAddress` says whether that is for another reason than that there is none. */
const examineEndpoint = Effect.fnUntraced(function*(
  input: Input,
  profile: ProfileName | undefined,
  told: ReadonlyArray<string>,
  tell: steps.Tell
) {
  const env = yield* flags.read(SageMakerTransport.config)
  const options = flags.overlay<SageMakerTransport.Options>(Result.getOrElse(env, () => ({})), { ...input.endpoint, capabilities: profile })
  const { credentials: provider, issues, region, route, trust, url, urlSource } = yield* endpoint.examine(options)
  const target = { name: options.endpointName, region }
  const isUnread = Result.isFailure(env)
  const others = [
    ...issues.filter(({ setting }) => !hasOwnLine.test(setting)).map(({ problem, setting }) => `${setting}: ${problem}`),
    ...(isUnread ? env.failure.filter((fault) => !told.includes(fault)) : [])
  ]
  /** A setting that has a line for itself; of the environment's nothing is known where that cannot be read. */
  const own = (check: string, setting: "endpointName" | "region", found: string, todo: string): Finding.Finding => {
    const problem = issues.filter((issue) => issue.setting === setting).map((issue) => issue.problem).join("; ")
    if (isUnread && input.endpoint[setting] === undefined) return Finding.skipped(check, "the environment cannot be read: see what failed")
    return problem === "" ? Finding.ok(check, found) : Finding.failed(check, problem, todo)
  }
  const variant = issues.find(({ setting }) => setting === "variant")

  yield* tell(variant !== undefined ? Finding.failed("endpoint", `variant: ${variant.problem}`, "Correct it: --target-variant or FLUX_TARGET_VARIANT") : own(
    "endpoint",
    "endpointName",
    `${options.endpointName}${options.variant === undefined ? "" : `, variant ${options.variant}`}`,
    "Give its name: --endpoint-name or FLUX_ENDPOINT_NAME. `aws sagemaker list-endpoints` lists them"
  ))
  yield* tell(own(
    "region",
    "region",
    `${region} (${regionSource(options.region, url && regionOf(url), options.usualRegion)})`,
    "Give the one that the endpoint is deployed in: --region or AWS_REGION"
  ))
  yield* tell(yield* credentials(provider, target))
  yield* tell(
    others.length > 0
      ? Finding.failed("address", others.join("; "), "Correct the flags or variables named here")
      : isUnread
      ? Finding.skipped("address", "the environment cannot be read: see what failed")
      : url === undefined
      ? Finding.skipped("address", "there is none without a region")
      : Finding.ok("address", `${url.origin}${urlSource === undefined ? "" : ` (${urlSource})`}${trust === undefined ? "" : `, trusting ${trust.from}`}`)
  )
  const isReachable = others.length === 0 && !isUnread
  return {
    ca: trust?.ca,
    hasAddress: url !== undefined,
    route,
    target,
    url: isReachable ? url : undefined,
    options: isReachable && issues.length === 0 ? options : undefined
  }
})

/** Whether Node is new enough. */
const node = ({ isTooOld, needed, version }: nodeVersion.Verdict): Finding.Finding =>
  isTooOld ? Finding.failed("node", `${version} is too old`, `Install Node ${needed} or later`) : Finding.ok("node", version)

/** Settings that are not told as the address's. */
const hasOwnLine = /^(endpointName|region|variant)$/

const regionSource = (flag: string | undefined, inUrl: string | undefined, env: string | undefined): string => {
  if (flag !== undefined) return "--region"
  if (inUrl !== undefined) return "from the endpoint's address"
  return env === undefined ? "from the AWS configuration" : "from the environment"
}
