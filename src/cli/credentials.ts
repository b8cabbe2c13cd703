/** What `flux-stt doctor` says of AWS credentials: where they come from and how long they last, and nothing of themselves. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FluxError from "../FluxError.ts"
import * as Credentials from "../sagemaker/credentials.ts"
import { sourceOf } from "../sagemaker/sources.ts"
import * as Finding from "./Finding.ts"

const check = "credentials"

/** Asks a provider, and looks at what it gives. */
export const credentials = Effect.fnUntraced(function*(
  provider: Credentials.Provider,
  target: Finding.Target
): Effect.fn.Return<Finding.Finding> {
  const now = yield* Clock.currentTimeMillis
  return yield* Credentials.make(provider, { patience: bound }).take.pipe(
    Effect.map(({ identity }) => judge(identity, now)),
    Effect.flatMap((finding) => asWanted(finding, provider)),
    Effect.catchTag("FluxError", (error: FluxError.FluxError) => Effect.succeed(Finding.fromError(check, error, target)))
  )
})

/** What is to be said of credentials, in ms of now. */
const judge = (identity: Credentials.Held["identity"], now: number): Finding.Finding => {
  const source = `from ${sourceOf(identity)?.name ?? unmarked}`
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
}

/** The SDK goes on without a word where AWS_PROFILE names a profile that gives none. */
const asWanted = (finding: Finding.Finding, { trail }: Credentials.Provider): Effect.Effect<Finding.Finding> =>
  trail === undefined || finding.state !== "ok" ? Effect.succeed(finding) : Effect.tryPromise(() => trail.passedOver()).pipe(
    Effect.orElseSucceed(() => undefined),
    Effect.map((words) => words === undefined ? finding : Finding.warning(check, `${finding.found}; ${words}`, "Correct AWS_PROFILE or that profile, or unset it"))
  )

/** How long a provider may take, seconds: a chain asks services of the network. */
const bound = 10

const lasting = (minutes: number): string =>
  minutes < 120 ? `${Math.max(1, Math.floor(minutes))} min` : `${Math.floor(minutes / 60)} h`

/** The SDK marks all but these. */
const unmarked = "the instance's role"
