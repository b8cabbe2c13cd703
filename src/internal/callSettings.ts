/**
 * The settings of one call in their three levels: what the call sets for itself stands over the service's defaults, and
 * a change of those reaches the call in all that it has not set itself.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { FluxError } from "../FluxError.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { Capabilities } from "../FluxTransport.ts"
import type { Applied, OpenedConversation } from "./sessionShape.ts"
import type { Change } from "./settingsChange.ts"

/** See the module. */
export interface CallSettings {
  /** Sets for this call; see `Conversation.update`. */
  readonly update: (patch: FluxSettings.SettingsPatch) => Effect.Effect<Applied, FluxError>
  /** Follows the defaults for as long as it runs; what cannot be had is told as `SettingsRejected`. */
  readonly follow: (changes: Stream.Stream<FluxSettings.Settings>) => Effect.Effect<void>
}

/** The settings of a call that was opened with `own` laid over `base`. */
export const make = (options: {
  readonly session: Pick<OpenedConversation, "change" | "reject">
  readonly capabilities: Capabilities
  readonly base: FluxSettings.Settings
  readonly own: FluxSettings.SettingsPatch
}): CallSettings => {
  const { capabilities, session } = options
  const own = new Set(keysOf(options.own))
  /** What is being set now, change by change: one that fails takes nothing from another. */
  const asking = new Set<ReadonlyArray<string>>()
  const isOwn = (key: string): boolean => own.has(key) || [...asking].some((keys) => keys.includes(key))
  let base = options.base

  const laidOver = (patch: Readonly<Record<string, unknown>>): Change => (current) =>
    FluxSettings.resolveUnknown(current, patch, capabilities)

  const followOne = (next: FluxSettings.Settings): Effect.Effect<void> =>
    Effect.suspend(() => {
      const patch = difference(base, next, isOwn)
      base = next
      const names = Object.keys(patch)
      if (names.length === 0) return Effect.void
      let isValid = true
      const change: Change = (current) => {
        const made = laidOver(patch)(current)
        isValid = Result.isSuccess(made)
        return made
      }
      return Effect.catch(Effect.asVoid(session.change(change)), (error) =>
        // what Flux made of it the session tells itself
        isValid && error.reason._tag !== "UnsupportedByEndpoint" ? Effect.void : session.reject(names, error))
    })

  return {
    update: (patch) =>
      Effect.suspend(() => {
        const keys = keysOf(patch)
        asking.add(keys)
        return Effect.onExit(session.change(laidOver({ ...patch })), (exit) =>
          Effect.sync(() => {
            asking.delete(keys)
            if (mayBeInForce(exit)) for (const key of keys) own.add(key)
          }))
      }),
    // one that waits for its answer does not hold up the next
    follow: (changes) => Stream.runForEach(changes, (next) =>
        // at once, as the next one is laid over it
        next === base ? Effect.void : Effect.forkChild(followOne(next), { startImmediately: true }))
  }
}

/** Not where it was refused; but where nobody waited for the answer, or it never came. */
const mayBeInForce = (exit: Exit.Exit<unknown, FluxError>): boolean =>
  Option.match(Exit.findErrorOption(exit), { onNone: () => true, onSome: ({ reason }) => reason._tag === "ConfigureUnanswered" })

const keysOf = (patch: FluxSettings.SettingsPatch): Array<string> =>
  Object.entries(patch).flatMap(([key, value]) => (value === undefined ? [] : [key]))

/** The patch that makes one out of the other, but for some keys. */
const difference = (from: FluxSettings.Settings, to: FluxSettings.Settings, but: (key: string) => boolean): Record<string, unknown> => {
  const [before, after]: ReadonlyArray<Readonly<Record<string, unknown>>> = [from, to]
  const patch: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (!but(key) && !Equal.equals(before?.[key], after?.[key])) patch[key] = after?.[key] ?? null
  }
  return patch
}
