/** When to try again to get a session. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { FluxError } from "../FluxError.ts"

/** When to try again, as a caller sets it; its input is what the last session failed with. */
export type Retry = Schedule.Schedule<unknown, FluxError>

/** For so long, ms. */
export const maxMillis = 30_000
const firstDelay = 100
const maxDelay = 5000

/** See `Transcriber.defaultRetry`. */
export const defaultRetry: Schedule.Schedule<Duration.Duration, FluxError> = Schedule.exponential(firstDelay).pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.next, (share) => Duration.millis(Math.floor(share * Math.min(maxDelay, Duration.toMillis(duration)))))
  ),
  Schedule.upTo({ duration: maxMillis }),
  Schedule.setInputType<FluxError>()
)
