/**
 * The credentials that sessions are signed with. The SDK keeps them until they near their expiration; here they are
 * also refreshed where AWS says that they have expired, once for all who were told so.
 */
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FluxError from "../FluxError.ts"
import * as awsKeys from "../internal/awsKeys.ts"
import { ChainError, type Trail } from "./chain.ts"
import { bareError } from "./errors.ts"
import { sourceOf } from "./sources.ts"

/** Gives the credentials of now, as the SDK's clients do; a forced refresh passes over those that are kept. */
export interface Provider {
  (options?: { readonly forceRefresh?: boolean }): Promise<AwsCredentialIdentity>
  /** What the SDK's default chain says; absent for a provider of the caller's own. */
  readonly trail?: Trail | undefined
}

/** Credentials as they were had at one time. A refresh makes others of them, even where it gives the same keys. */
export interface Held {
  readonly identity: AwsCredentialIdentity
}

/** The credentials of one endpoint's sessions. */
export interface Credentials {
  /** Those of now. Fails with `CredentialsUnavailable`, also where the provider has said nothing for too long. */
  readonly take: Effect.Effect<Held, FluxError.FluxError>
  /** What was had after `held`, by a forced refresh if nothing was. May have the same keys. */
  readonly renew: (held: Held) => Effect.Effect<Held, FluxError.FluxError>
  /** Notes that AWS says they have expired. */
  readonly spend: (held: Held) => void
  /** Whether AWS has said so. */
  readonly isSpent: (held: Held) => boolean
}

/** What may stand in no error. */
export const secretsOf = ({ accessKeyId, secretAccessKey, sessionToken = "" }: AwsCredentialIdentity): ReadonlyArray<string> =>
  [accessKeyId, secretAccessKey, sessionToken]

/** Whether to sign with the one is to sign with the other. */
export const sameKeys = (one: Held, other: Held): boolean => {
  const secrets = secretsOf(other.identity)
  return secretsOf(one.identity).every((secret, n) => secret === secrets[n])
}

/** Credentials that cannot be used. */
export const unusable = (cause: Error): FluxError.FluxError =>
  FluxError.make(new FluxError.CredentialsUnavailable({ cause, ...(cause instanceof ChainError ? { todo: cause.todo } : {}) }), "open")

/**
 * How long a provider may take, seconds: a chain asks services of the network. Less than a conversation waits for a
 * session, so that it ends with the provider's name, and more than one attempt: whoever tries again waits on.
 */
const defaultPatience = 25

/** Keeps a provider's credentials for as long as it would. Promises, as none of those who share one may end it. */
export const make = (provider: Provider, patience = defaultPatience): Credentials => {
  let latest: Held | undefined
  let taking: Promise<Held> | undefined
  let renewing: Promise<Held> | undefined
  /** When the one or the other began, ms. */
  let since = 0
  const spent = new WeakSet<Held>()
  const { trail } = provider
  const secrets = (): ReadonlyArray<string> => latest === undefined ? [] : secretsOf(latest.identity)

  const ask: (options?: { readonly forceRefresh: true }) => Promise<Held> = async (options) => {
    const identity = await provider(options).catch(async (cause: unknown) => {
      throw trail === undefined ? cause : await trail.explain(cause, secrets()).catch(() => cause)
    })
    const problem = problemOf(identity)
    if (problem !== undefined) throw problem
    return { identity }
  }

  const look = async (): Promise<Held> => {
    try {
      const held = await ask()
      latest = latest !== undefined && sameKeys(latest, held) ? latest : held
      return latest
    } finally {
      taking = undefined
    }
  }

  const refresh = async (held: Held): Promise<Held> => {
    try {
      // The SDK lets a refresh join a look-up under way, which may give the old ones again.
      await taking?.catch(() => undefined)
      if (latest === undefined || latest === held) latest = await ask({ forceRefresh: true })
      return latest
    } finally {
      renewing = undefined
    }
  }

  const late = Effect.suspend(() => {
    const plain = new Error(`nothing came within ${patience} s`)
    return trail === undefined ? Effect.succeed(plain) : Effect.orElseSucceed(Effect.tryPromise(() => trail.late(patience)), () => plain)
  })
  const had = (promise: () => Promise<Held>): Effect.Effect<Held, FluxError.FluxError> =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      if (taking === undefined && renewing === undefined) since = now
      return yield* Effect.tryPromise({
        try: promise,
        catch: (cause) => unusable(cause instanceof ChainError ? cause : bareError(cause, secrets()))
      }).pipe(Effect.timeoutOrElse({
        duration: Math.max(0, since + patience * 1000 - now),
        orElse: () => Effect.flatMap(late, (cause) => Effect.fail(unusable(cause)))
      }))
    }).pipe(Effect.ensuring(Effect.suspend(() => Effect.forEach(trail?.warnings() ?? [], (warning) => Effect.logWarning(warning)))))

  return {
    take: had(() => renewing ?? (taking ??= look())),
    renew: (held) => had(() => renewing ??= refresh(held)),
    spend: (held) => void spent.add(held),
    isSpent: (held) => spent.has(held)
  }
}

/** Why keys cannot be signed with: which of them, from where, and never what they are. */
const problemOf = (identity: AwsCredentialIdentity): ChainError | undefined => {
  if (identity.accessKeyId === "" && identity.secretAccessKey === "") return new ChainError("the keys are empty", undefined)
  const found = awsKeys.problemOf(identity)
  if (found === undefined) return undefined
  const { key, problem } = found
  const source = sourceOf(identity)
  const name = source?.keys?.[key]
  const where = source === undefined ? "" : ` (${name === undefined ? "" : `${name}, `}from ${source.name})`
  return new ChainError(`the ${awsKeys.names[key]} ${problem}${where}`, `Set ${name ?? "it"} to the key alone: no blanks, line ends or quotes around it`)
}
