/** How often, for how long and how fast a conversation tries to get a session, until it has made progress. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as FluxError from "../FluxError.ts"
import type { TurnInfo } from "../FluxMessage.ts"
import { maxRefusals } from "./acceptedSettings.ts"
import * as monotonic from "./monotonic.ts"
import * as prospects from "./prospects.ts"
import { defaultRetry, maxMillis, type Retry } from "./retry.ts"
import type { SessionLimit } from "./sessionLimit.ts"
import * as sessionLimits from "./sessionLimit.ts"
import * as stopwatches from "./stopwatch.ts"

/** See the module. */
export interface Budget {
  /** Runs while a session is tried for, and stands while that waits for a permit: waiting is no attempt, and takes no time of it. */
  readonly time: Pick<stopwatches.Stopwatch, "run" | "pause">
  /** Flux has told of audio, in seconds of the conversation: if it is new, what was spent is given back. */
  readonly take: (info: TurnInfo) => void
  /** A session has lived for so many ms and is over. One that lived for as long as is tried for one ends an outage, too. */
  readonly outlived: (millis: number) => void
  /** A session is being opened. */
  readonly attempt: () => void
  /** How often since the last reset. */
  readonly attempts: () => number
  /** Whether another session may cure it, as far as is known now. */
  readonly mayHeal: (error: FluxError.FluxError) => boolean
  /** Fails when so many ms of its time have gone by. */
  readonly after: (millis: number) => Effect.Effect<never, FluxError.FluxError>
  /** Fails when too much time has gone by without a session; where the caller has set when to try, never. */
  readonly expiry: Effect.Effect<never, FluxError.FluxError>
  /** How long to wait before trying again, ms; fails with what the conversation is to fail with. */
  readonly next: (error: FluxError.FluxError) => Effect.Effect<number, FluxError.FluxError>
}

/** A server that was never reached is tried for so long, ms: its name may be mistyped. */
const briefMillis = 5000
/** The last attempt begins so long before the time is over, ms. */
const lastChance = 1000
/** What is new: words so much later than all before, or audio that has none. In seconds. */
const newWords = 1
const newAudio = 10

type Step = (now: number, error: FluxError.FluxError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>
type Exhausted = Partial<Pick<FluxError.RetriesExhausted, "bound" | "seconds">>

const exhausted = (error: FluxError.FluxError, attempts: number, how: Exhausted): FluxError.FluxError => {
  const { reason, requestId, stage } = error
  // who has tried only once has not tried again
  if (attempts <= 1 || reason._tag === "RetriesExhausted") return error
  return FluxError.make(new FluxError.RetriesExhausted({ ...how, attempts, last: reason }), stage, requestId)
}
/** What a call fails with that has had all its sessions, of which the last one failed so. */
export const outOfSessions = (error: FluxError.FluxError): FluxError.FluxError =>
  exhausted(error, sessionLimits.maxSessions, { bound: "sessions" })

/** A new budget. */
export const make = (options: {
  readonly clock: Clock.Clock
  /** The caller's own; then there is no other bound, and what `isRetryable` says holds. */
  readonly retry?: Retry | undefined
  /** Whether the call was Connected before. */
  readonly wasConnected: () => boolean
  /** Whether a refusal, a 400 or a 424, may be about the settings that are asked for now. */
  readonly suspectsSettings: () => boolean
  readonly sessions: Pick<SessionLimit, "isReached">
}): Budget => {
  const { clock, retry, suspectsSettings, wasConnected } = options
  const time = stopwatches.make(clock)
  let furthestWords = 0
  let furthest = 0
  let attempts = 0
  let rejections = 0
  /** Its time when progress was last made. */
  let spentBefore = 0
  /** Something has answered. */
  let reached = false
  let last: FluxError.FluxError | undefined
  let step: Step | undefined

  const giveBack = (): void => {
    attempts = 0
    rejections = 0
    spentBefore = time.elapsed()
    last = undefined
    step = undefined
  }
  const spent = (): number => time.elapsed() - spentBefore
  const exhaustedBy = (error: FluxError.FluxError, how: Exhausted = {}): FluxError.FluxError => exhausted(error, attempts, how)
  const outOfTime = (): FluxError.FluxError =>
    exhaustedBy(
      last ?? FluxError.make(new FluxError.ConnectTimeout({ stage: "open", seconds: maxMillis / 1000 }), "open"),
      { bound: "time", seconds: Math.round(spent() / 100) / 10 }
    )
  const stepped = (schedule: Retry, now: number, error: FluxError.FluxError): Effect.Effect<number, FluxError.FluxError> =>
    Effect.gen(function*() {
      step ??= yield* Schedule.toStep(schedule)
      return yield* Pull.matchEffect(step(now, error), {
        onSuccess: ([, delay]) => Effect.succeed(Duration.toMillis(delay)),
        onFailure: Effect.failCause,
        onDone: () => Effect.suspend(() => Effect.fail(retry === undefined ? outOfTime() : exhaustedBy(error)))
      })
    })
  const byDefault = (error: FluxError.FluxError): Effect.Effect<number, FluxError.FluxError> => {
    const prospect = prospects.of(error, wasConnected())
    if (prospect !== "brief") reached = true
    if (options.sessions.isReached()) return Effect.fail(outOfSessions(error))
    if (error.reason._tag === "Rejected" && suspectsSettings() && ++rejections >= maxRefusals) {
      return Effect.fail(exhaustedBy(error, { bound: "rejections" }))
    }
    const left = (reached ? maxMillis : briefMillis) - spent() - lastChance
    if (left <= 0) return Effect.fail(outOfTime())
    return Effect.map(stepped(defaultRetry, time.elapsed(), error), (delay) => Math.min(delay, left))
  }

  const mayHeal: Budget["mayHeal"] = (error) => {
    if (retry !== undefined) return error.isRetryable
    const isRefusal = error.reason._tag === "InvalidRequest" && suspectsSettings()
    return !isRefusal && prospects.of(error, wasConnected()) !== "none"
  }
  const after: Budget["after"] = (millis) =>
    Effect.suspend(() => Effect.andThen(time.reach(time.elapsed() + millis), Effect.suspend(() => Effect.fail(outOfTime()))))

  return {
    time,
    take: ({ audio_window_end: end, transcript }) => {
      const isWords = transcript !== "" && end >= furthestWords + newWords
      const isAudio = end >= furthest + newAudio
      if (isWords) furthestWords = end
      if (isAudio) furthest = end
      if (isWords || isAudio) giveBack()
    },
    outlived: (millis) => {
      if (retry === undefined && millis >= maxMillis) giveBack()
    },
    attempt: () => {
      attempts++
    },
    attempts: () => attempts,
    mayHeal,
    after,
    expiry: Effect.suspend(() => retry === undefined ? after(Math.max(0, maxMillis - spent())) : Effect.never),
    next: (error) => {
      last = error
      if (!mayHeal(error)) return Effect.fail(error)
      return retry === undefined ? byDefault(error) : stepped(retry, monotonic.millis(clock), error)
    }
  }
}
