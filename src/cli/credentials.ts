/** What `flux-stt doctor` says of AWS credentials: where they come from and how long they last, and nothing of themselves. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FluxError from "../FluxError.ts"
import * as Credentials from "../sagemaker/credentials.ts"
import * as Finding from "./Finding.ts"

const check = "credentials"

/** Asks a provider, and looks at what it gives. */
export const credentials = Effect.fnUntraced(function*(
  provider: Credentials.Provider,
  target: Finding.Target
): Effect.fn.Return<Finding.Finding> {
  const now = yield* Clock.currentTimeMillis
  return yield* Credentials.make(provider).take.pipe(
    Effect.timeoutOrElse({
      duration: `${bound} seconds`,
      orElse: () => Effect.fail(Credentials.unusable(new Error(`nothing came within ${bound} s`)))
    }),
    Effect.map(({ identity }) => {
      const source = sourceOf(identity)
      if (identity.expiration === undefined) {
        const kind = identity.sessionToken === undefined ? "do not expire" : "temporary, until when is not told"
        return Finding.ok(check, `${source}; ${kind}`)
      }
      if (Number.isNaN(identity.expiration.getTime())) {
        return Finding.warning(check, `${source}; their expiration is no date`, "Correct it at their source: they cannot be renewed in time")
      }
      const minutes = (identity.expiration.getTime() - now) / 60_000
      const when = identity.expiration.toISOString()
      return minutes <= 0
        ? Finding.failed(check, `${source}; expired at ${when}`, "Renew them at their source (aws sso login, a new role session, ...)")
        : Finding.ok(check, `${source}; expire in ${lasting(minutes)} (${when})`)
    }),
    Effect.catchTag("FluxError", (error: FluxError.FluxError) => Effect.succeed(Finding.fromError(check, error, target)))
  )
})

/** How long a provider may take, seconds: a chain asks services of the network. */
const bound = 10

const lasting = (minutes: number): string =>
  minutes < 120 ? `${Math.max(1, Math.floor(minutes))} min` : `${Math.floor(minutes / 60)} h`

const sourceOf = (identity: object): string => {
  const marks: unknown = "$source" in identity ? identity.$source : undefined
  const marked = typeof marks === "object" && marks !== null ? new Set(Object.keys(marks)) : new Set<string>()
  return `from ${sources.find(([mark]) => marked.has(mark))?.[1] ?? unmarked}`
}

/** Where credentials come from, by the SDK's marks, the innermost source first. */
const sources: ReadonlyArray<readonly [mark: string, source: string]> = [
  ["CREDENTIALS_ENV_VARS", "environment variables"],
  ["CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN", "a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)"],
  ["CREDENTIALS_PROFILE_STS_WEB_ID_TOKEN", "a web identity token of a profile"],
  ["CREDENTIALS_PROFILE_SSO", "SSO by a profile"],
  ["CREDENTIALS_PROFILE_SSO_LEGACY", "SSO by a profile"],
  ["CREDENTIALS_PROFILE_PROCESS", "the credential_process of a profile"],
  ["CREDENTIALS_PROFILE_LOGIN", "aws login by a profile"],
  ["CREDENTIALS_PROFILE_SOURCE_PROFILE", "a role assumed by a profile"],
  ["CREDENTIALS_PROFILE_NAMED_PROVIDER", "a role assumed by a profile"],
  ["CREDENTIALS_PROFILE", "a profile in the shared files"],
  ["CREDENTIALS_SSO", "SSO"],
  ["CREDENTIALS_SSO_LEGACY", "SSO"],
  ["CREDENTIALS_PROCESS", "a credential_process"],
  ["CREDENTIALS_LOGIN", "aws login"],
  ["CREDENTIALS_HTTP", "the container's role"],
  ["CREDENTIALS_IMDS", "the instance's role"]
]
/** The SDK marks all but these. */
const unmarked = "the instance's role"

