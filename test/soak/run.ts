/** Many calls at once on one simulated endpoint, and what came of them. */
import * as Effect from "effect/Effect"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import * as calls from "./call.ts"
import { check, failure } from "./check.ts"
import { generator, type Speech } from "./script.ts"

/** What to run. */
export interface Plan {
  readonly conversations: number
  readonly seconds: number
  readonly seed: number
  readonly speech: Speech
  readonly speed: number
  readonly acts: boolean
  readonly settings?: ((random: () => number) => FluxSettings.SettingsPatch) | undefined
}

/** A call, and what is wrong with it. */
export interface Result {
  readonly outcome: calls.Outcome
  readonly sessions: ReadonlyArray<SessionRecord>
  readonly failed: string | undefined
  readonly wrong: ReadonlyArray<string>
}

/** Runs the plan; the ledger is asked for when all calls are over. */
export const run = Effect.fnUntraced(function*(plan: Plan, ledger: Effect.Effect<ReadonlyArray<SessionRecord>>) {
  const transcriber = yield* Transcriber.Transcriber
  const random = generator(plan.seed)
  const callers = Array.from({ length: plan.conversations }, (_, at): calls.Caller => ({
    id: `call-${at}`,
    seconds: plan.seconds,
    seed: Math.floor(random() * 2 ** 32),
    speed: plan.speed,
    acts: plan.acts,
    settings: plan.settings?.(random) ?? {}
  }))
  const outcomes = yield* Effect.forEach(callers, (caller) => calls.make(transcriber, caller), { concurrency: "unbounded" })
  const records = yield* ledger
  return outcomes.map((outcome): Result => {
    const sessions = records.filter(({ query }) => query.endsWith(`&tag=${outcome.id}`))
    return { outcome, sessions, failed: failure(outcome), wrong: check(outcome, sessions, plan.speech.words) }
  })
})
