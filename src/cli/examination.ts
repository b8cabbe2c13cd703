/** The checks of `flux-stt doctor`, in order: each is told as it is made, and what comes to depend on a failed one is skipped. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as FluxSettings from "../FluxSettings.ts"
import { defaultProfile, type ProfileName } from "../FluxTransport.ts"
import * as SageMakerTransport from "../SageMakerTransport.ts"
import * as endpoint from "../sagemaker/endpoint.ts"
import { credentials } from "./credentials.ts"
import * as Finding from "./Finding.ts"
import * as flags from "./flags.ts"
import * as nodeVersion from "./nodeVersion.ts"
import * as reach from "./reach.ts"
import * as rehearsal from "./rehearsal.ts"

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
export const examine = Effect.fnUntraced(function*(
  input: Input,
  tell: (finding: Finding.Finding) => Effect.Effect<void>
) {
  yield* tell(node(nodeVersion.judge()))

  const faults = flags.makeFaults()
  const asked = flags.overlay<Record<string, unknown>>(faults.collect(yield* flags.read(FluxSettings.config)) ?? {}, input.settings)
  const profile = faults.collect(yield* flags.profile(input.capabilities))
  const settings = faults.collect(flags.checkSettings(asked, profile))
  yield* tell(
    settings === undefined || faults.all.length > 0
      ? Finding.failed("settings", faults.all.join("; "), "Correct the flags or FLUX_* variables named here, or the profile (--capabilities)")
      : Finding.ok("settings", `${settings.model}, ${settings.encoding} at ${settings.sampleRate} Hz; ${profile ?? defaultProfile} takes them`)
  )

  const env = yield* flags.read(SageMakerTransport.config)
  const options = flags.overlay<SageMakerTransport.Options>(Result.getOrElse(env, () => ({})), { ...input.endpoint, capabilities: profile })
  const found = yield* endpoint.examine(options)
  const { issues, region, url } = found
  const wrong = (name: string): string => issues.filter(({ setting }) => setting === name).map(({ problem }) => problem).join("; ")
  const others = [
    ...issues.filter(({ setting }) => setting !== "endpointName" && setting !== "region").map(({ problem, setting }) => `${setting}: ${problem}`),
    ...(Result.isFailure(env) ? env.failure : [])
  ]
  const target = { name: options.endpointName, region }

  const unread = (check: string): Finding.Finding => Finding.skipped(check, "the environment cannot be read: see address")
  yield* tell(wrong("endpointName") === ""
    ? Finding.ok("endpoint", `${options.endpointName}${options.variant === undefined ? "" : `, variant ${options.variant}`}`)
    : Result.isFailure(env) && input.endpoint.endpointName === undefined
    ? unread("endpoint")
    : Finding.failed("endpoint", wrong("endpointName"), "Give its name: --endpoint-name or FLUX_ENDPOINT_NAME. `aws sagemaker list-endpoints` lists them"))
  yield* tell(wrong("region") === ""
    ? Finding.ok("region", `${region} (${regionSource(input.endpoint.region, options.region, options.endpointUrl)})`)
    : Result.isFailure(env) && input.endpoint.region === undefined
    ? unread("region")
    : Finding.failed("region", wrong("region"), "Give the one that the endpoint is deployed in: --region or AWS_REGION"))
  yield* tell(yield* credentials(found.credentials, target))
  yield* tell(others.length === 0 && url !== undefined
    ? Finding.ok("address", url.origin)
    : others.length === 0
    ? Finding.skipped("address", "there is none without a region")
    : Finding.failed("address", others.join("; "), "Correct the flags or variables named here"))

  const reached = url === undefined || others.length > 0
    ? yield* Effect.as(Effect.forEach(reach.checks, (check) => tell(Finding.skipped(check, "there is no address")), { discard: true }), false)
    : yield* reach.reach({ url, ca: found.ca, target, tell })
  if (!input.connect) return
  if (settings === undefined || issues.length > 0 || others.length > 0 || !reached) {
    const why = reached ? "what is named above is wrong" : "the endpoint is not reached"
    return yield* Effect.forEach(rehearsal.checks, (check) => tell(Finding.skipped(check, why)), { discard: true })
  }
  yield* SageMakerTransport.make(options).pipe(
    Effect.flatMap((transport) => rehearsal.rehearse({ transport, settings, target, tell })),
    Effect.catchTag("FluxError", (error) => tell(Finding.fromError("session", error, target))),
    Effect.scoped
  )
})

/** Whether Node is new enough. */
const node = ({ isTooOld, needed, version }: nodeVersion.Verdict): Finding.Finding =>
  isTooOld ? Finding.failed("node", `${version} is too old`, `Install Node ${needed} or later`) : Finding.ok("node", version)

const regionSource = (flag: string | undefined, env: string | undefined, url: string | undefined): string => {
  if (flag !== undefined) return "--region"
  if (env !== undefined) return "AWS_REGION"
  return url === undefined ? "from the AWS configuration" : "from the endpoint's address"
}
