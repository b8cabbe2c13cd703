/** Settings of a session as they are now, and how each of them can change while it runs (protocol 3.2). */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as FluxError from "../FluxError.ts"
import type * as FluxMessage from "../FluxMessage.ts"
import * as configure from "./configure.ts"
import { check, type Limits, type Settings } from "./settings.ts"
import type { Duty } from "./watch.ts"

/** Settings that are durations. */
export type DurationSetting = {
  [K in keyof Settings]-?: Settings[K] extends Duration.Duration ? K : never
}[keyof Settings]

/** What became of a change. */
export type News =
  | { readonly type: "SettingsApplied"; readonly settings: ReadonlyArray<string> }
  | {
    readonly type: "SettingsRejected"
    readonly settings: ReadonlyArray<string>
    readonly code?: string | undefined
    readonly description?: string | undefined
  }
  | { readonly type: "Notice"; readonly code: string; readonly description: string }

/** What settings are to become of those that are; or why they cannot. */
export type Change = (current: Settings) => Result.Result<Settings, FluxError.FluxError>

/** See the module. */
export interface SettingsChange {
  /** As they are now; what Flux has refused is back at what it was. */
  readonly settings: () => Settings
  /** What of others a session that runs cannot have. */
  readonly obstacles: (next: Settings) => Obstacles
  /**
   * Brings into force what is made of them at that moment, all or nothing, with no other change in between; completes when
   * it is. It has been checked against the endpoint.
   */
  readonly change: (next: Change) => Effect.Effect<void, FluxError.FluxError>
  readonly start: () => void
  readonly onSuccess: (answer: FluxMessage.ConfigureSuccess) => void
  readonly onFailure: (answer: FluxMessage.ConfigureFailure) => void
  readonly stop: (error: FluxError.FluxError) => void
  /** A duty of the session's watch. */
  readonly look: Duty<never>
}

/** Settings that need another session: any would do, or one of an endpoint that takes Configure as well. */
export interface Obstacles {
  readonly session: ReadonlyArray<string>
  readonly configure: ReadonlyArray<string>
}

/** Settings that only a new session can have. */
const ofSession: ReadonlySet<string> = new Set<keyof Settings>([
  "model",
  "encoding",
  "sampleRate",
  "profanityFilter",
  "redact",
  "mipOptOut",
  "tag"
])
const ofFlux: ReadonlySet<string> = new Set<string>(configure.keys)

/** A new one. */
export const make = (options: {
  readonly initial: Settings
  /** What the endpoint takes, and whether Configure is among it. */
  readonly capabilities: Limits & { readonly configure: boolean }
  readonly now: () => number
  readonly failure: (reason: FluxError.Reason) => FluxError.FluxError
  /** The watch has something to do so soon. */
  readonly dueIn: (millis: number) => void
  /** Sends a Configure, and tells when it is handed over. */
  readonly configure: (change: FluxMessage.Configure, handedOver: () => void) => void
  readonly tell: (news: News) => void
}): SettingsChange => {
  const { capabilities, failure, tell } = options
  let settings = options.initial
  /** After Flux has had its say. */
  const follow = (): void => {
    settings = withActive(settings, configurator.wanted())
  }
  const configurator = configure.make({
    initial: configure.activeOf(settings),
    check: (active) => check(withActive(settings, active), capabilities),
    now: options.now,
    timeout: () => Duration.toMillis(settings.configureTimeout),
    dueIn: options.dueIn,
    send: options.configure,
    failure,
    told: {
      applied: (keys) => {
        follow()
        tell({ type: "SettingsApplied", settings: keys })
      },
      rejected: (keys, answer) => {
        follow()
        tell({ type: "SettingsRejected", settings: keys, ...answer })
      },
      unanswered: (keys) =>
        tell({
          type: "Notice",
          code: "CONFIGURE_UNANSWERED",
          description: `Flux did not answer a change of ${keys.join(", ")}: it may be in force or not`
        })
    }
  })

  const unsupported = (feature: string): Effect.Effect<never, FluxError.FluxError> =>
    Effect.fail(failure(new FluxError.UnsupportedByEndpoint({ feature })))

  const obstacles = (next: Settings): Obstacles => {
    const before = configure.activeOf(settings)
    const active = configure.activeOf(next)
    const session = changedKeys(settings, next).filter((key) => ofSession.has(key))
    // there is no word for it (protocol 3.2)
    if (before.eagerEotThreshold !== undefined && active.eagerEotThreshold === undefined) session.push("eagerEotThreshold to none")
    return { session, configure: capabilities.configure ? [] : configure.differing(before, active) }
  }

  return {
    settings: () => settings,
    obstacles,
    change: (change) =>
      Effect.suspend(() => {
        const made = change(settings)
        if (Result.isFailure(made)) return Effect.fail(made.failure)
        const next = made.success
        const { configure: unconfigurable, session } = obstacles(next)
        if (session.length > 0) return unsupported(`a change of ${session.join(", ")} in mid-session, which no endpoint takes`)
        if (unconfigurable.length > 0) return unsupported(`a change of ${unconfigurable.join(", ")} in mid-session`)
        const changed = changedKeys(settings, next).filter((key) => !ofFlux.has(key))
        const active = configure.activeOf(next)
        settings = next
        if (changed.length > 0) tell({ type: "SettingsApplied", settings: changed })
        return capabilities.configure ? configurator.want(active) : Effect.void
      }),
    start: configurator.start,
    onSuccess: configurator.onSuccess,
    onFailure: configurator.onFailure,
    stop: configurator.stop,
    look: configurator.look
  }
}

/** Names of settings that differ. */
export const changedKeys = (from: Settings, to: Settings): Array<string> => {
  const [before, after]: ReadonlyArray<Readonly<Record<string, unknown>>> = [from, to]
  return [...new Set([...Object.keys(from), ...Object.keys(to)])].filter((key) => !Equal.equals(before?.[key], after?.[key]))
}

/** Settings with what Flux can be asked for set to this; where they say nothing of what is Flux's own default, they go on saying nothing. */
const withActive = (settings: Settings, active: configure.Active): Settings => {
  const { eagerEotThreshold: _, ...rest } = settings
  const unset = configure.activeOf(settings)
  return {
    ...rest,
    ...(settings.eotThreshold === undefined && active.eotThreshold === unset.eotThreshold ? {} : { eotThreshold: active.eotThreshold }),
    ...(settings.eotTimeoutMs === undefined && active.eotTimeoutMs === unset.eotTimeoutMs ? {} : { eotTimeoutMs: active.eotTimeoutMs }),
    ...(active.eagerEotThreshold === undefined ? {} : { eagerEotThreshold: active.eagerEotThreshold }),
    ...(settings.numerals === undefined && !active.numerals ? {} : { numerals: active.numerals }),
    keyterm: active.keyterm,
    languageHints: active.languageHints
  }
}
