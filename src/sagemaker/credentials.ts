/**
 * The credentials that sessions are signed with. The SDK keeps them until they near their expiration; here they are
 * also refreshed where AWS says that they have expired, once for all who were told so, and used while they are good
 * where the provider fails.
 */
import type { AwsCredentialIdentity } from "@smithy/types"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as FluxError from "../FluxError.ts"
import { AttemptBound } from "../internal/attemptBound.ts"
import * as awsKeys from "../internal/awsKeys.ts"
import * as monotonic from "../internal/monotonic.ts"
import type { Trail } from "./chain.ts"
import { CredentialsProblem } from "./credentialsProblem.ts"
import { bareError } from "./errors.ts"
import * as healing from "./healing.ts"
import { type Source, sourceOf } from "./sources.ts"

/** Gives the credentials of now, as the SDK's clients do; a forced refresh passes over those that are kept. */
export interface Provider {
  (options?: { readonly forceRefresh?: boolean }): Promise<AwsCredentialIdentity>
  /** What the SDK's default chain says; absent for a provider of the caller's own. */
  readonly trail?: Trail | undefined
  /** The same that waits for nothing: the SDK has everybody wait for a look-up under way, also where that never ends. */
  readonly anew?: (() => Provider) | undefined
  /** It gives the same keys for ever. */
  readonly isFixed?: boolean
}

/** Credentials as they were had at one time. A refresh makes others of them, even where it gives the same keys. */
export interface Held {
  readonly identity: AwsCredentialIdentity
  /** As it was marked when they came: the SDK marks keys that it signs with as the program's. */
  readonly source: Source | undefined
}

/** The credentials of one endpoint's sessions. */
export interface Credentials {
  /**
   * Those of now, or those had last where the provider fails and they are good. Fails with `CredentialsUnavailable`, also
   * where the provider has said nothing for too long. They may look as if they had expired, where there are no others.
   */
  readonly take: Effect.Effect<Held, FluxError.FluxError>
  /** AWS says that `held` have expired: what was had after them, by a forced refresh if nothing was. May have the same keys. */
  readonly renew: (held: Held) => Effect.Effect<Held, FluxError.FluxError>
  /** Notes that AWS says they have expired. */
  readonly spend: (held: Held) => void
  /** Whether AWS has said so. */
  readonly isSpent: (held: Held) => boolean
  /** Whether the provider may have other keys than these in a moment. */
  readonly mayChange: (held: Held) => boolean
}

/** How credentials are kept. */
export interface Options {
  /** How long a provider may take, seconds. Less where one attempt at a session has less. Default: 12. */
  readonly patience?: number | undefined
  /** How far AWS's clock is ahead of this machine's, ms, as far as that is known; expirations are of AWS's time. Default: 0. */
  readonly clockOffset?: (() => number) | undefined
}

/** What may stand in no error. */
export const secretsOf = ({ accessKeyId, secretAccessKey, sessionToken = "" }: AwsCredentialIdentity): ReadonlyArray<string> =>
  [accessKeyId, secretAccessKey, sessionToken]

/** Whether to sign with the one is to sign with the other. */
export const sameKeys = (one: Held, other: Held): boolean => {
  const secrets = secretsOf(other.identity)
  return secretsOf(one.identity).every((secret, n) => secret === secrets[n])
}

/** Credentials that cannot be used. `transient`: the provider may give some when it is asked again. */
export const unusable = (cause: Error, transient = false): FluxError.FluxError => {
  const todo = cause instanceof CredentialsProblem ? { todo: cause.todo } : {}
  return FluxError.make(new FluxError.CredentialsUnavailable({ cause, ...todo, ...(transient ? { transient } : {}) }), "open")
}

/**
 * How long a provider may take, seconds: a chain asks services of the network. Less than `openTimeout`, 15 s by default, whose
 * error cannot name the provider: a lone session and a conversation both end with its name.
 */
const defaultPatience = 12
/** How much of an attempt's time is for the provider, for the same reason. */
const shareOfAttempt = 0.8
/** How long a provider is waited for where there are good keys in hand, ms; half of its time at the most. */
const grace = 1000
/** How long keys must last to be good, ms: the request is still to be made. */
const margin = 5000

/** A provider that was asked and has not answered yet. */
interface Asking {
  readonly promise: Promise<Held>
  readonly trail: Trail | undefined
  /** Monotonic, ms. */
  readonly begun: number
  /** When nobody waits for it any more, and the provider is asked again, ms. */
  readonly until: number
}

/** Why a provider gave none; without secrets. */
interface Failure {
  readonly cause: Error
  readonly transient: boolean
}

/** Keeps a provider's credentials for as long as it would. Promises, as none of those who share one may end it. */
export const make = (provider: Provider, { clockOffset = () => 0, patience = defaultPatience }: Options = {}): Credentials => {
  let source = provider
  let latest: Held | undefined
  /** When the latest expire, ms of AWS's time: a provider may prolong the same keys. */
  let lasts = Number.POSITIVE_INFINITY
  let taking: Asking | undefined
  let renewing: Asking | undefined
  const spent = new WeakSet<Held>()
  /** A refresh may give them again, which makes them no better. */
  let lastSpent: Held | undefined
  const warnings: Array<string> = []
  /** What was warned of since keys last came. */
  const told = new Set<string>()
  const secrets = (): ReadonlyArray<string> => latest === undefined ? [] : secretsOf(latest.identity)
  const patienceMillis = patience * 1000

  const warn = (kind: string, text: string): void => {
    if (told.has(kind)) return
    told.add(kind)
    warnings.push(text)
  }
  const keep = (held: Held): Held => {
    lasts = expirationOf(held.identity)
    return (latest = held)
  }
  const wall = (clock: Clock.Clock): number => clock.currentTimeMillisUnsafe() + clockOffset()
  /** Keys that can be signed with whatever the provider says. */
  const good = (clock: Clock.Clock): Held | undefined =>
    latest !== undefined && !(lastSpent !== undefined && sameKeys(latest, lastSpent)) && lasts > wall(clock) + margin ? latest : undefined
  const spend = (held: Held): void => {
    spent.add(held)
    lastSpent = held
  }

  const ask: (options?: { readonly forceRefresh: true }) => Promise<Held> = async (options) => {
    const { trail } = source
    const hadRole = latest !== undefined && latest.source === undefined
    const identity = await source(options).catch(async (cause: unknown) => {
      throw trail === undefined ? cause : await trail.explain(cause, secrets(), hadRole).catch(() => cause)
    })
    const problem = problemOf(identity)
    if (problem !== undefined) throw problem
    return { identity, source: sourceOf(identity) }
  }
  /**
   * Keys that look as if they had expired are passed over for good ones. Where there are none, they are signed with, and AWS
   * says whether they have: it may be the clock of this machine that is off.
   */
  const lasting = async (clock: Clock.Clock, held: Held, again?: () => Promise<Held>): Promise<Held> => {
    const expiration = expirationOf(held.identity)
    if (expiration > wall(clock)) {
      told.clear()
      return held
    }
    const when = `the keys expired at ${held.identity.expiration?.toISOString()}`
    if (good(clock) !== undefined) throw new CredentialsProblem(when, undefined, true)
    if (again !== undefined) return lasting(clock, await again())
    warn("expired", `AWS credentials: ${when} by the clock of this machine, and the provider gives no others: AWS will say`)
    return held
  }

  const look = (clock: Clock.Clock, now: number): Asking => {
    const wait = async (): Promise<Held> => {
      try {
        const held = await lasting(clock, await ask(), () => ask({ forceRefresh: true }))
        if (taking !== mine) return held
        if (latest === undefined || !sameKeys(latest, held)) return keep(held)
        lasts = expirationOf(held.identity)
        return latest
      } finally {
        if (taking === mine) taking = undefined
      }
    }
    const mine: Asking = { promise: later(wait), trail: source.trail, begun: now, until: now + patienceMillis }
    return mine
  }

  const refresh = (held: Held, clock: Clock.Clock, now: number): Asking => {
    const before = taking
    const wait = async (): Promise<Held> => {
      try {
        // The SDK lets a refresh join a look-up under way, which may give the old ones again.
        await before?.promise.catch(() => undefined)
        if (renewing !== mine) throw new Error("nobody waits for this refresh")
        if (latest !== undefined && latest !== held && !spent.has(latest)) return latest
        const renewed = await lasting(clock, await ask({ forceRefresh: true }))
        return renewing === mine ? keep(renewed) : renewed
      } finally {
        if (renewing === mine) renewing = undefined
      }
    }
    const mine: Asking = { promise: later(wait), trail: source.trail, begun: now, until: before?.until ?? now + patienceMillis }
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

  const failed = (cause: unknown): Failure =>
    cause instanceof CredentialsProblem
      ? { cause, transient: cause.transient }
      : { cause: bareError(cause, secrets()), transient: healing.thrownMayPass(cause) }
  /** Signs with the keys in hand all the same, and says why. */
  const instead = (held: Held, kind: string, why: string): Held => {
    warn(kind, `AWS credentials: the provider gives none, and those had before are used, which are good still: ${why}`)
    return held
  }

  /** Waits for one that is under way or begins, and then for another, until the caller's own time is over. */
  const had = (current: (clock: Clock.Clock, now: number) => Asking): Effect.Effect<Held, FluxError.FluxError> =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const own = Math.min(patienceMillis, shareOfAttempt * (yield* AttemptBound))
      let now = monotonic.millis(clock)
      const end = now + own
      const soon = (asking: Asking): number => Math.min(asking.begun + grace, end - own / 2)
      let mute: Asking | undefined
      for (;;) {
        forget(now)
        const asking = current(clock, now)
        const until = Math.min(asking.until, end, good(clock) === undefined ? Number.POSITIVE_INFINITY : soon(asking))
        const answer = yield* Effect.tryPromise({ try: () => asking.promise, catch: failed }).pipe(
          Effect.result,
          Effect.timeoutOption(Math.max(0, until - now))
        )
        const kept = good(clock)
        if (Option.isSome(answer)) {
          if (Result.isSuccess(answer.value)) return answer.value.success
          const { cause, transient } = answer.value.failure
          return kept === undefined ? yield* unusable(cause, transient) : instead(kept, "failed", cause.message)
        }
        now = monotonic.millis(clock)
        if (kept !== undefined && now >= soon(asking)) return instead(kept, "late", `nothing came within ${tenths(now - asking.begun)} s`)
        if (now >= asking.until) mute = asking
        if (now < end) continue
        forget(now)
        return yield* late((mute ?? asking).trail, tenths(own))
      }
    }).pipe(Effect.ensuring(Effect.suspend(() =>
      Effect.forEach([...warnings.splice(0), ...source.trail?.warnings() ?? []], (warning) => Effect.logWarning(warning)))))

  return {
    take: had((clock, now) => renewing ?? (taking ??= look(clock, now))),
    renew: (held) =>
      Effect.suspend(() => {
        spend(held)
        return had((clock, now) => renewing ??= refresh(held, clock, now))
      }),
    spend,
    isSpent: (held) => spent.has(held),
    mayChange: (held) => provider.isFixed !== true && held.source?.isFixed !== true
  }
}

/** Seconds, for people. */
const tenths = (millis: number): number => Math.round(millis / 100) / 10

/** Begins it once the caller has noted it. */
const later = (begin: () => Promise<Held>): Promise<Held> => Promise.resolve().then(begin)

/** Nothing came in so many seconds. */
const late = (trail: Trail | undefined, seconds: number): Effect.Effect<never, FluxError.FluxError> => {
  const plain = new Error(`nothing came within ${seconds} s`)
  const named = trail === undefined ? Effect.succeed(plain) : Effect.orElseSucceed(Effect.tryPromise(() => trail.late(seconds)), () => plain)
  return Effect.flatMap(named, (cause) => Effect.fail(unusable(cause, true)))
}

/** When keys expire, ms; never where they say nothing of it, or no date. */
const expirationOf = ({ expiration }: AwsCredentialIdentity): number => {
  const millis = expiration?.getTime()
  return millis === undefined || Number.isNaN(millis) ? Number.POSITIVE_INFINITY : millis
}

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
