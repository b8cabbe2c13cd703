/**
 * The credentials that sessions are signed with. The SDK keeps them until they near their expiration; here they are
 * also refreshed where AWS says that they have expired, once for all who were told so.
 */
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FluxError from "../FluxError.ts"
import * as awsKeys from "../internal/awsKeys.ts"
import type { Trail } from "./chain.ts"
import { CredentialsProblem } from "./credentialsProblem.ts"
import { bareError } from "./errors.ts"
import { sourceOf } from "./sources.ts"

/** Gives the credentials of now, as the SDK's clients do; a forced refresh passes over those that are kept. */
export interface Provider {
  (options?: { readonly forceRefresh?: boolean }): Promise<AwsCredentialIdentity>
  /** What the SDK's default chain says; absent for a provider of the caller's own. */
  readonly trail?: Trail | undefined
  /** The same that waits for nothing: the SDK has everybody wait for a look-up under way, also where that never ends. */
  readonly anew?: (() => Provider) | undefined
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
  FluxError.make(new FluxError.CredentialsUnavailable({ cause, ...(cause instanceof CredentialsProblem ? { todo: cause.todo } : {}) }), "open")

/**
 * How long a provider may take, seconds: a chain asks services of the network. Less than `openTimeout`, 15 s by default, whose
 * error cannot name the provider: a lone session and a conversation both end with its name.
 */
const defaultPatience = 12

/** A provider that was asked and has not answered yet. */
interface Asking {
  readonly promise: Promise<Held>
  readonly trail: Trail | undefined
  /** When nobody waits for it any more, and the provider is asked again, ms. */
  readonly until: number
}

/** Keeps a provider's credentials for as long as it would. Promises, as none of those who share one may end it. */
export const make = (provider: Provider, patience = defaultPatience): Credentials => {
  let source = provider
  let latest: Held | undefined
  let taking: Asking | undefined
  let renewing: Asking | undefined
  const spent = new WeakSet<Held>()
  const warnings: Array<string> = []
  const secrets = (): ReadonlyArray<string> => latest === undefined ? [] : secretsOf(latest.identity)
  const patienceMillis = patience * 1000

  const ask: (options?: { readonly forceRefresh: true }) => Promise<Held> = async (options) => {
    const { trail } = source
    const identity = await source(options).catch(async (cause: unknown) => {
      throw trail === undefined ? cause : await trail.explain(cause, secrets()).catch(() => cause)
    })
    const problem = problemOf(identity)
    if (problem !== undefined) throw problem
    return { identity }
  }

  const look = (now: number): Asking => {
    const wait = async (): Promise<Held> => {
      try {
        const held = await ask()
        if (taking !== mine) return held
        latest = latest !== undefined && sameKeys(latest, held) ? latest : held
        return latest
      } finally {
        if (taking === mine) taking = undefined
      }
    }
    const mine: Asking = { promise: later(wait), trail: source.trail, until: now + patienceMillis }
    return mine
  }

  const refresh = (held: Held, now: number): Asking => {
    const before = taking
    const wait = async (): Promise<Held> => {
      try {
        // The SDK lets a refresh join a look-up under way, which may give the old ones again.
        await before?.promise.catch(() => undefined)
        if (renewing !== mine) throw new Error("nobody waits for this refresh")
        if (latest !== undefined && latest !== held) return latest
        const renewed = await ask({ forceRefresh: true })
        return renewing === mine ? (latest = renewed) : renewed
      } finally {
        if (renewing === mine) renewing = undefined
      }
    }
    const mine: Asking = { promise: later(wait), trail: source.trail, until: before?.until ?? now + patienceMillis }
    return mine
  }

  /** Gives up those that have not answered in time: who comes next asks the provider anew. */
  const forget = (now: number): void => {
    const mute = [taking, renewing].filter((asking) => asking !== undefined && now >= asking.until)
    if (mute.length === 0) return
    if (mute.includes(taking)) taking = undefined
    if (mute.includes(renewing)) renewing = undefined
    warnings.push(...source.trail?.warnings() ?? [])
    source = source.anew?.() ?? source
  }

  const late = (trail: Trail | undefined) => {
    const plain = new Error(`nothing came within ${patience} s`)
    return trail === undefined ? Effect.succeed(plain) : Effect.orElseSucceed(Effect.tryPromise(() => trail.late(patience)), () => plain)
  }
  /** Waits for one that is under way or begins, and then for another, until the caller's own time is over. */
  const had = (current: (now: number) => Asking): Effect.Effect<Held, FluxError.FluxError> =>
    Effect.gen(function*() {
      let now = yield* Clock.currentTimeMillis
      const end = now + patienceMillis
      let mute: Asking | undefined
      for (;;) {
        forget(now)
        const asking = current(now)
        const answer = yield* Effect.tryPromise({
          try: () => asking.promise,
          catch: (cause) => unusable(cause instanceof CredentialsProblem ? cause : bareError(cause, secrets()))
        }).pipe(Effect.timeoutOption(Math.min(asking.until, end) - now))
        if (Option.isSome(answer)) return answer.value
        now = yield* Clock.currentTimeMillis
        if (now >= asking.until) mute = asking
        if (now < end) continue
        forget(now)
        return yield* Effect.flatMap(late((mute ?? asking).trail), (cause) => Effect.fail(unusable(cause)))
      }
    }).pipe(Effect.ensuring(Effect.suspend(() =>
      Effect.forEach([...warnings.splice(0), ...source.trail?.warnings() ?? []], (warning) => Effect.logWarning(warning)))))

  return {
    take: had((now) => renewing ?? (taking ??= look(now))),
    renew: (held) => had((now) => renewing ??= refresh(held, now)),
    spend: (held) => void spent.add(held),
    isSpent: (held) => spent.has(held)
  }
}

/** Begins it once the caller has noted it. */
const later = (begin: () => Promise<Held>): Promise<Held> => Promise.resolve().then(begin)

/** Why keys cannot be signed with: which of them, from where, and never what they are. */
const problemOf = (identity: AwsCredentialIdentity): CredentialsProblem | undefined => {
  if (identity.accessKeyId === "" && identity.secretAccessKey === "") return new CredentialsProblem("the keys are empty", undefined)
  const found = awsKeys.problemOf(identity)
  if (found === undefined) return undefined
  const { key, problem } = found
  const source = sourceOf(identity)
  const name = source?.keys?.[key]
  const where = source === undefined ? "" : ` (${name === undefined ? "" : `${name}, `}from ${source.name})`
  return new CredentialsProblem(`the ${awsKeys.names[key]} ${problem}${where}`, `Set ${name ?? "it"} to the key alone: no blanks, line ends or quotes around it`)
}
