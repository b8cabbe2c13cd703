/** Many calls at once on one simulated endpoint, and what came of them. */
import * as Effect from "effect/Effect"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import * as audios from "./audio.ts"
import * as calls from "./call.ts"
import { check, type Verdict } from "./check.ts"
import { faults, generator, type Speech, speech } from "./script.ts"

/** What to run. */
export interface Plan {
  readonly conversations: number
  readonly seconds: number
  readonly seed: number
  /** How often things go wrong; 1 is often, 0 never. */
  readonly intensity: number
  /** Whether callers change settings, mute, end turns and pause, too. */
  readonly acts: boolean
  /** Who sees the call with this id, if anyone does. */
  readonly watch?: ((id: string) => Watch | undefined) | undefined
  /** So many seconds more were offered in a call. */
  readonly onOffered?: ((seconds: number) => Effect.Effect<void>) | undefined
}

/** Sees a call: its events as they come, and in the end what the endpoint saw of it. */
export interface Watch {
  readonly event: (event: FluxEvent) => void
  readonly session: (record: SessionRecord) => void
}

/** Calls share an endpoint, and a group of so many has one of its own. */
export const groupSize = 10

/** The id of a call. */
export const idOf = (call: number): string => `call-${call}`

/** Some of the calls, on one endpoint. */
export interface Group {
  readonly plan: Plan
  readonly seed: number
  /** Numbers of its calls, from the first to before the last. */
  readonly from: number
  readonly to: number
  readonly speech: Speech
}

/** The groups of a plan, made as they are asked for: what is said in one need not be kept. */
export const groups = (plan: Plan): ReadonlyArray<() => Group> =>
  Array.from({ length: Math.ceil(plan.conversations / groupSize) }, (_, at) => () => {
    const seed = Math.floor(generator(plan.seed + at * 7919)() * 2 ** 32)
    const from = at * groupSize
    return { plan, seed, from, to: Math.min(plan.conversations, from + groupSize), speech: speech(plan.seconds, seed) }
  })

/** What goes wrong in a group. */
export const faultsOf = ({ plan, seed }: Group, how: { readonly speed: number; readonly wire: boolean }) =>
  faults({ ...how, seed, intensity: plan.intensity, within: Math.min(150, plan.seconds) })

/** A call in numbers, and what is wrong with it. */
export interface Report {
  readonly id: string
  readonly verdict: Verdict
  readonly offered: number
  readonly sessions: number
  /** Names of the faults that happened, once for each session. */
  readonly faults: ReadonlyArray<string>
  readonly struck: number
  readonly rotations: number
  readonly behind: ReadonlyArray<number>
  readonly droppedSeconds: number
  readonly turns: number
  readonly updates: calls.Outcome["updates"]
}

/** Makes the calls of a group; the ledger is asked for when all of them are over. */
export const run = Effect.fnUntraced(function*(
  { from, plan, seed, speech, to }: Group,
  speed: number,
  ledger: Effect.Effect<ReadonlyArray<SessionRecord>>
) {
  const transcriber = yield* Transcriber.Transcriber
  const random = generator(seed)
  const audio = audios.make()
  const callers = Array.from({ length: to - from }, (_, at): calls.Caller => {
    const id = idOf(from + at)
    return {
      id,
      audio,
      speed,
      speech,
      seconds: plan.seconds,
      seed: Math.floor(random() * 2 ** 32),
      acts: plan.acts,
      settings: settings(plan, speed, random),
      watch: plan.watch?.(id)?.event,
      onOffered: plan.onOffered
    }
  })
  const outcomes = yield* Effect.forEach(callers, (caller) => calls.make(transcriber, caller), { concurrency: "unbounded" })
  const records = yield* ledger
  return outcomes.map((outcome, at): Report => {
    const id = idOf(from + at)
    const sessions = records.filter(({ query }) => query.endsWith(`&tag=${id}`))
    for (const record of sessions) plan.watch?.(id)?.session(record)
    const names = sessions.map(({ faults }) => [...new Set(faults.map(({ fault }) => fault))])
    const { behind, dropped, sessions: connected, turns } = outcome.heard
    return {
      id,
      verdict: check(outcome, sessions, speech, speed),
      turns,
      behind,
      offered: outcome.offered,
      updates: outcome.updates,
      sessions: sessions.length,
      faults: names.flat(),
      struck: names.filter((all) => all.length > 0).length,
      rotations: Math.max(0, connected - 1 - behind.length),
      droppedSeconds: dropped.reduce((sum, { from, to }) => sum + to - from, 0)
    }
  })
})

/** Sessions grow old now and then. */
const settings = ({ seconds }: Plan, speed: number, random: () => number): FluxSettings.SettingsPatch => ({
  maxSessionAge: Math.round((1000 * (Math.min(20, seconds / 6) + (random() * seconds) / 2)) / speed)
})
