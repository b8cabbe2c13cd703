/**
 * The credentials that sessions are signed with. The SDK keeps them until they near their expiration; here they are
 * also refreshed where AWS says that they have expired, once for all who were told so.
 */
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Effect from "effect/Effect"
import * as FluxError from "../FluxError.ts"
import { bareError } from "./errors.ts"

/** Gives the credentials of now, as the SDK's clients do; a forced refresh passes over those that are kept. */
export type Provider = (options?: { readonly forceRefresh?: boolean }) => Promise<AwsCredentialIdentity>

/** Credentials as they were had at one time. A refresh makes others of them, even where it gives the same keys. */
export interface Held {
  readonly identity: AwsCredentialIdentity
}

/** The credentials of one endpoint's sessions. */
export interface Credentials {
  /** Those of now. Fails with `CredentialsUnavailable`. */
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
  FluxError.make(new FluxError.CredentialsUnavailable({ cause }), "open")

/** Keeps a provider's credentials for as long as it would. Promises, as none of those who share one may end it. */
export const make = (provider: Provider): Credentials => {
  let latest: Held | undefined
  let taking: Promise<Held> | undefined
  let renewing: Promise<Held> | undefined
  const spent = new WeakSet<Held>()

  const ask: (options?: { readonly forceRefresh: true }) => Promise<Held> = async (options) => {
    const identity = await provider(options)
    if (identity.accessKeyId === "" || identity.secretAccessKey === "") throw new Error("the keys are empty")
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

  const had = (promise: () => Promise<Held>): Effect.Effect<Held, FluxError.FluxError> =>
    Effect.tryPromise({
      try: promise,
      catch: (cause) => unusable(bareError(cause, latest === undefined ? [] : secretsOf(latest.identity)))
    })

  return {
    take: had(() => renewing ?? (taking ??= look())),
    renew: (held) => had(() => renewing ??= refresh(held)),
    spend: (held) => void spent.add(held),
    isSpent: (held) => spent.has(held)
  }
}
