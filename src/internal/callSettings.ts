/**
 * The settings of one call in their three levels: what the call sets for itself stands over the service's defaults, and
 * a change of those reaches the call in all that it has not set itself.
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Stream from "effect/Stream"
import type { FluxError } from "../FluxError.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { Capabilities } from "../FluxTransport.ts"
import type { FluxSession } from "./openSession.ts"
import type { OpenedSession } from "./sessionShape.ts"

/** See the module. */
export interface CallSettings {
  /** Sets for this call; see `Conversation.update`. */
  readonly update: (patch: FluxSettings.SettingsPatch) => Effect.Effect<"configured", FluxError>
  /** Follows the defaults for as long as it runs; what cannot be had is told as `SettingsRejected`. */
  readonly follow: (changes: Stream.Stream<FluxSettings.Settings>) => Effect.Effect<void>
}

/** The settings of a call that was opened with `own` laid over `base`. */
export const make = (options: {
  readonly session: Pick<FluxSession, "settings" | "update"> & Pick<OpenedSession, "reject">
  readonly capabilities: Capabilities
  readonly base: FluxSettings.Settings
  readonly own: FluxSettings.SettingsPatch
}): CallSettings => {
  const { capabilities, session } = options
  const own = new Set(keysOf(options.own))
  let base = options.base

  const apply = (patch: Readonly<Record<string, unknown>>): Effect.Effect<"configured", FluxError> =>
    session.settings.pipe(
      Effect.flatMap((current) => Effect.fromResult(FluxSettings.resolveUnknown(current, patch, capabilities))),
      Effect.flatMap(session.update)
    )

  const followOne = (next: FluxSettings.Settings): Effect.Effect<void> =>
    Effect.suspend(() => {
      const patch = difference(base, next, own)
      base = next
      const names = Object.keys(patch)
      if (names.length === 0) return Effect.void
      return Effect.catch(Effect.asVoid(apply(patch)), (error) =>
        toldAlready.has(error.reason._tag) ? Effect.void : session.reject(names, error))
    })

  return {
    update: (patch) =>
      Effect.suspend(() => {
        const added = keysOf(patch).filter((key) => !own.has(key))
        for (const key of added) own.add(key)
        return Effect.tapError(apply({ ...patch }), () =>
          Effect.sync(() => {
            for (const key of added) own.delete(key)
          }))
      }),
    // one that waits for its answer does not hold up the next
    follow: (changes) => Stream.runDrain(Stream.mapEffect(changes, followOne, { concurrency: "unbounded" }))
  }
}

/** Failures that the session tells itself, or whose session is over. */
const toldAlready: ReadonlySet<FluxError["reason"]["_tag"]> = new Set(["SettingsRefused", "ConfigureUnanswered", "ConnectionLost"])

const keysOf = (patch: FluxSettings.SettingsPatch): Array<string> =>
  Object.entries(patch).flatMap(([key, value]) => (value === undefined ? [] : [key]))

/** The patch that makes one out of the other, but for some keys. */
const difference = (from: FluxSettings.Settings, to: FluxSettings.Settings, but: ReadonlySet<string>): Record<string, unknown> => {
  const [before, after]: ReadonlyArray<Readonly<Record<string, unknown>>> = [from, to]
  const patch: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (!but.has(key) && !Equal.equals(before?.[key], after?.[key])) patch[key] = after?.[key] ?? null
  }
  return patch
}
