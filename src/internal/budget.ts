/** How often, for how long and how fast a conversation tries to get a session, until it has made progress. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as FluxError from "../FluxError.ts"
import type { TurnInfo } from "../FluxMessage.ts"

/** When to try again, as a caller sets it; its input is what the last session failed with. */
export type Retry = Schedule.Schedule<unknown, FluxError.FluxError>

/** See the module. */
export interface Budget {
  /** A session is needed from now on. */
  readonly down: () => void
  /** There is one. */
  readonly up: () => void
  /** Flux has told of audio, in seconds of the conversation: if it is new, what was spent is given back. */
  readonly take: (info: TurnInfo) => void
  /** A session is being opened. */
  readonly attempt: () => void
  /** How often since the last reset. */
  readonly attempts: () => number
  /** Fails when too much time has gone by without a session, from now on; where the caller has set when to try, never. */
  readonly expiry: Effect.Effect<never, FluxError.FluxError>
  /** How long to wait before trying again, ms; fails with what the conversation is to fail with. */
  readonly next: (error: FluxError.FluxError) => Effect.Effect<number, FluxError.FluxError>
  /** What it fails with when there is no more time. */
  readonly exhausted: () => FluxError.FluxError
}

/** So many sessions, in so long a time; a refusal that may be about the settings is tried again only twice. */
export const maxAttempts = 5
const maxMillis = 30_000
const maxRejections = 2
/** What is new: words so much later than all before, or audio that has none. In seconds. */
const newWords = 1
const newAudio = 10
const firstDelay = 100
const maxDelay = 5000

/** A new budget. `random` gives numbers from 0 to below 1. */
export const make = (options: {
  readonly now: () => number
  readonly random: () => number
  readonly retry?: Retry | undefined
}): Budget => {
  const { now, random, retry } = options
  let furthestWords = 0
  let furthest = 0
  let attempts = 0
  let rejections = 0
  let spent = 0
  let downSince: number | undefined
  let last: FluxError.FluxError | undefined
  let step: ((now: number, error: FluxError.FluxError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>) | undefined

  const left = (): number =>
    retry === undefined ? maxMillis - spent - (downSince === undefined ? 0 : now() - downSince) : Number.POSITIVE_INFINITY
  const exhaustedBy = (error: FluxError.FluxError): FluxError.FluxError => {
    const { reason, requestId, stage } = error
    // who has tried only once has not tried again
    return attempts <= 1 || reason._tag === "RetriesExhausted" ? error : FluxError.make(new FluxError.RetriesExhausted({ attempts, last: reason }), stage, requestId)
  }
  const exhausted = (): FluxError.FluxError =>
    exhaustedBy(last ?? FluxError.make(new FluxError.ConnectTimeout({ stage: "open", seconds: maxMillis / 1000 }), "open"))
  const byDefault = (error: FluxError.FluxError): Effect.Effect<number, FluxError.FluxError> => {
    if (error.reason._tag === "Rejected") rejections++
    const delay = Math.floor(random() * Math.min(maxDelay, firstDelay * 2 ** Math.max(0, attempts - 1)))
    return attempts >= maxAttempts || rejections > maxRejections || delay >= left()
      ? Effect.fail(exhaustedBy(error))
      : Effect.succeed(delay)
  }
  const bySchedule = (schedule: Retry, error: FluxError.FluxError): Effect.Effect<number, FluxError.FluxError> =>
    Effect.gen(function*() {
      step ??= yield* Schedule.toStep(schedule)
      return yield* Pull.matchEffect(step(now(), error), {
        onSuccess: ([, delay]) => Effect.succeed(Duration.toMillis(delay)),
        onFailure: Effect.failCause,
        onDone: () => Effect.fail(exhaustedBy(error))
      })
    })

  return {
    down: () => {
      downSince ??= now()
    },
    up: () => {
      if (downSince !== undefined) spent += now() - downSince
      downSince = undefined
    },
    take: ({ audio_window_end: end, transcript }) => {
      const isWords = transcript !== "" && end >= furthestWords + newWords
      const isAudio = end >= furthest + newAudio
      if (isWords) furthestWords = end
      if (isAudio) furthest = end
      if (!isWords && !isAudio) return
      attempts = 0
      rejections = 0
      spent = 0
      last = undefined
      step = undefined
    },
    attempt: () => {
      attempts++
    },
    attempts: () => attempts,
    expiry: Effect.suspend(() => {
      const time = left()
      return Number.isFinite(time) ? Effect.delay(Effect.suspend(() => Effect.fail(exhausted())), Math.max(0, time)) : Effect.never
    }),
    next: (error) => {
      last = error
      if (!error.isRetryable) return Effect.fail(error)
      return retry === undefined ? byDefault(error) : bySchedule(retry, error)
    },
    exhausted
  }
}
