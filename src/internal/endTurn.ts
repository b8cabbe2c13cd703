/**
 * Ends the open turn because the application says so: by ForceEndTurn where Flux takes it (protocol 3.3), else by
 * silence in real time until Flux ends it. Audio that is offered meanwhile belongs to the next turn and waits.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import { frameMillis } from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import * as FluxMessage from "../FluxMessage.ts"
import type { Frame, Outbox } from "./outbox.ts"
import type { Progress } from "./progress.ts"

/** See the module. */
export interface EndTurn {
  /** Completes when no turn is open that had begun in the audio before a sample of the conversation. One at a time. */
  readonly run: (asked: number) => Effect.Effect<void, FluxError>
  /** Flux has ended a turn, or said that there is none. */
  readonly ended: () => void
}

/** A new one. */
export const make = (options: {
  readonly outbox: Outbox
  readonly progress: Progress
  readonly now: () => number
  /** What was held is about to go on. */
  readonly beforeLetGo?: (() => void) | undefined
  /** Seconds of the session up to a sample of the conversation that was offered, silence included. */
  readonly secondsAt: (sample: number) => number
  /** Seconds of the session that were sent. */
  readonly sentSeconds: () => number
  /** Whether everything that may be sent has been sent. */
  readonly idle: () => boolean
  /** One frame of silence. */
  readonly silence: Frame
  /** Whether Flux takes ForceEndTurn. */
  readonly force: boolean
  /** How long Flux may take, ms: then the turn is given up. */
  readonly limit: () => number
  readonly giveUp: () => void
  /** The end of the session. */
  readonly sessionEnd: Effect.Effect<void, FluxError>
}): EndTurn => {
  const { now, outbox, progress } = options
  const one = Semaphore.makeUnsafe(1)
  /** How often it was done, and up to which sample of the conversation. */
  let completions = 0
  let reached = 0
  let waiter: Deferred.Deferred<void> | undefined

  const giveUp = (): void => {
    if (progress.turnOpen()) options.giveUp()
  }

  const byForce = (asked: number, until: number): Effect.Effect<void, FluxError> => {
    const answer = Deferred.makeUnsafe<void>()
    waiter = answer
    // too late: the session is closing, and its end ends the turn
    if (!outbox.inject({ dataType: "UTF8", bytes: FluxMessage.forceEndTurn }, asked)) return options.sessionEnd
    // audio that waits goes first, and may take its time
    const sent: Effect.Effect<void> = Effect.suspend(() => options.sentSeconds() >= until ? Effect.void : Effect.andThen(Effect.sleep(frameMillis), sent))
    const tooLate = Effect.andThen(sent, Effect.suspend(() => Effect.delay(Effect.sync(giveUp), options.limit())))
    return Effect.raceFirst(Deferred.await(answer), tooLate)
  }

  const bySilence = (asked: number, until: number): Effect.Effect<void, FluxError> => {
    let deadline: number | undefined
    const step: Effect.Effect<void, FluxError> = Effect.suspend(() => {
      if (progress.answered(until)) return Effect.void
      if (options.idle()) {
        deadline ??= now() + options.limit()
        if (now() >= deadline) return Effect.sync(giveUp)
        if (!outbox.inject(options.silence)) return options.sessionEnd
      }
      return Effect.andThen(Effect.sleep(frameMillis), step)
    })
    const letGo = Effect.sync(() => {
      options.beforeLetGo?.()
      // last, as the writer goes on right here
      outbox.letGo()
    })
    return Effect.ensuring(Effect.andThen(Effect.sync(() => outbox.hold(asked)), step), letGo)
  }

  const run = (asked: number): Effect.Effect<void, FluxError> => Effect.suspend(() => {
    const before = completions
    return one.withPermit(Effect.suspend(() => {
      const until = options.secondsAt(asked)
      // another one has done it meanwhile, or there is nothing to do
      if ((completions > before && asked <= reached) || progress.answered(until)) return Effect.void
      return Effect.tap(Effect.raceFirst(options.force ? byForce(asked, until) : bySilence(asked, until), options.sessionEnd), () =>
        Effect.sync(() => {
          completions += 1
          reached = Math.max(reached, asked)
        }))
    }))
  })

  return {
    run,
    ended: () => {
      if (waiter !== undefined) Deferred.doneUnsafe(waiter, Exit.void)
      waiter = undefined
    }
  }
}
