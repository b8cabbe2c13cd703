/**
 * What a call asks of Flux, and the bounds its client keeps. The service holds the defaults of every call; each
 * call may patch them. Rules that Flux or SageMaker would enforce (opaquely) are checked here, before any connection.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Encoding, type Format } from "./Audio.ts"
import * as FluxError from "./FluxError.ts"
import { type Capabilities, defaultProfile, profiles } from "./FluxTransport.ts"
import { list, scalar, YesNo } from "./internal/config.ts"
import * as internal from "./internal/settings.ts"
import { defaults, Model, Settings } from "./internal/settings.ts"

export { defaults, fluxEotThreshold, fluxEotTimeoutMs, Model, Settings } from "./internal/settings.ts"

/** A change of settings: an absent key means unchanged, `null` means back to the default. Durations take any Effect duration input. */
export type SettingsPatch = {
  readonly [K in keyof Settings]?:
    | (Settings[K] extends Duration.Duration ? Duration.Input : Settings[K])
    | null
    | undefined
}

/** How the audio of these settings is to be read. */
export const format = (settings: Settings): Format => ({
  encoding: settings.encoding,
  sampleRate: settings.sampleRate
})

/** Bytes of audio that may wait to be sent with these settings: `outboxLimit`, else 35 s at their rate and encoding. */
export const outboxLimit: (settings: Settings) => number = internal.outboxLimit

const durationKeys: ReadonlySet<string> = new Set(
  Object.entries(defaults).flatMap(([key, value]) => (Duration.isDuration(value) ? [key] : []))
)
/** `fromInput` takes anything and gives nothing for what is no duration, whatever its type says. */
const decodeDuration = (value: unknown): Option.Option<Duration.Duration> => Duration.fromInput(value as Duration.Input)
const decodeSettings = Schema.decodeUnknownResult(Schema.toType(Settings), {
  errors: "all",
  onExcessProperty: "error"
})

/**
 * Lays a patch over settings and checks the outcome against what the endpoint takes. Fails with
 * `InvalidSettings`, which names every broken rule.
 */
export const resolve = (
  base: Settings,
  patch: SettingsPatch,
  capabilities: Capabilities = profiles[defaultProfile]
): Result.Result<Settings, FluxError.FluxError> => resolveUnknown(base, patch, capabilities)

/** {@link resolve} for a patch that no type has checked, such as one out of JSON or a command line. */
export const resolveUnknown = (
  base: Settings,
  patch: Readonly<Record<string, unknown>>,
  capabilities: Capabilities = profiles[defaultProfile]
): Result.Result<Settings, FluxError.FluxError> => {
  const isPatched = Object.keys(patch).length > 0
  const known = isPatched ? undefined : valid.get(base)
  if (known?.capabilities === capabilities) return Result.succeed(known.settings)
  const merged: Record<string, unknown> = { ...base }
  const issues: Array<FluxError.SettingsIssue> = []
  const fallback: Record<string, unknown> = defaults
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue
    if (!(key in Settings.fields)) issues.push({ setting: key, problem: "there is no such setting" })
    else if (value === null) {
      if (key in fallback) merged[key] = fallback[key]
      else delete merged[key]
    } else if (durationKeys.has(key)) {
      const duration = decodeDuration(value)
      if (Option.isSome(duration)) merged[key] = duration.value
      else issues.push({ setting: key, problem: `must be a duration such as "2 seconds"` })
    } else merged[key] = value
  }
  const decoded = decodeSettings(merged)
  if (Result.isSuccess(decoded)) {
    issues.push(...internal.check(decoded.success, capabilities))
    if (issues.length === 0) {
      const settings = decoded.success
      valid.set(settings, { capabilities, settings })
      if (!isPatched) valid.set(base, { capabilities, settings })
      return Result.succeed(settings)
    }
  } else {
    const misshapen = internal.shapeIssues(decoded.failure)
    issues.push(...misshapen)
    // the rules of the others are worth telling, too
    const others = Object.entries(merged).filter(([key]) => !misshapen.some(({ setting }) => setting.split(".")[0] === key))
    const rest = decodeSettings({ ...defaults, ...Object.fromEntries(others) })
    if (Result.isSuccess(rest)) issues.push(...internal.check(rest.success, capabilities))
  }
  return Result.fail(FluxError.make(new FluxError.InvalidSettings({ issues }), "settings"))
}

/** What settings have been resolved to, as they are: most calls are opened with the same ones, on the same endpoint. */
const valid = new WeakMap<Settings, { readonly capabilities: Capabilities; readonly settings: Settings }>()

/** The `v2/listen` query string of valid settings, legal under protocol 1.3: `%20` for spaces, no empty values. */
export const query: (settings: Settings) => string = internal.query

/** The defaults of every call; readable, changeable while running, and watchable. */
export class FluxSettings extends Context.Service<FluxSettings, {
  /** The settings now. */
  readonly get: Effect.Effect<Settings>
  /** Changes them for calls to come and, save for fields set per call, for those under way. Checked against the widest profile; each endpoint checks again. */
  readonly update: (patch: SettingsPatch) => Effect.Effect<Settings, FluxError.FluxError>
  /** The settings now, then after each change. */
  readonly changes: Stream.Stream<Settings>
}>()("effect-flux-sagemaker/FluxSettings") {}

/** A service that starts with a patch over {@link defaults}. */
export const make = Effect.fnUntraced(function*(
  patch: SettingsPatch = {}
): Effect.fn.Return<FluxSettings["Service"], FluxError.FluxError> {
  const widest = profiles["hosted-2026-09"]
  const initial = yield* Effect.fromResult(resolve(defaults, patch, widest))
  const ref = yield* SubscriptionRef.make(initial)
  return FluxSettings.of({
    get: SubscriptionRef.get(ref),
    update: Effect.fn("FluxSettings.update")((change) =>
      SubscriptionRef.updateAndGetEffect(ref, (current) => Effect.fromResult(resolve(current, change, widest)))
    ),
    changes: SubscriptionRef.changes(ref)
  })
})

/** Settings from code. */
export const layer = (patch: SettingsPatch = {}): Layer.Layer<FluxSettings, FluxError.FluxError> =>
  Layer.effect(FluxSettings, make(patch))

/** Settings from any Config, for example {@link config} over one's own prefix. */
export const layerConfig = (
  source: Config.Config<SettingsPatch> = config
): Layer.Layer<FluxSettings, FluxError.FluxError | Config.ConfigError> =>
  Layer.effect(FluxSettings, Effect.flatMap(source, make))

const duration = (name: string): Config.Config<Duration.Duration | undefined> => scalar(Schema.DurationFromString, name)

/**
 * The environment: `FLUX_MODEL`, `FLUX_EOT_THRESHOLD`, `FLUX_OPEN_TIMEOUT` ("15 seconds"), ...; `FLUX_KEYTERM`,
 * `FLUX_LANGUAGE_HINTS` and `FLUX_TAG` are parted by commas. Blanks and line ends around a value are no part of it.
 */
export const config: Config.Config<SettingsPatch> = Config.all({
  model: scalar(Model, "MODEL"),
  encoding: scalar(Encoding, "ENCODING"),
  sampleRate: scalar(Schema.Int, "SAMPLE_RATE"),
  eotThreshold: scalar(Schema.Finite, "EOT_THRESHOLD"),
  eagerEotThreshold: scalar(Schema.Finite, "EAGER_EOT_THRESHOLD"),
  eotTimeoutMs: scalar(Schema.Int, "EOT_TIMEOUT_MS"),
  keyterm: list("KEYTERM"),
  languageHints: list("LANGUAGE_HINTS"),
  numerals: scalar(YesNo, "NUMERALS"),
  profanityFilter: scalar(YesNo, "PROFANITY_FILTER"),
  redact: scalar(Schema.Literals(["numbers", "aggressive_numbers"]), "REDACT"),
  mipOptOut: scalar(YesNo, "MIP_OPT_OUT"),
  tag: list("TAG"),
  minConfidence: scalar(Schema.Finite, "MIN_CONFIDENCE"),
  shouldInterrupt: scalar(YesNo, "SHOULD_INTERRUPT"),
  watchdogMinTimeout: duration("WATCHDOG_MIN_TIMEOUT"),
  openTimeout: duration("OPEN_TIMEOUT"),
  connectedTimeout: duration("CONNECTED_TIMEOUT"),
  drainTimeout: duration("DRAIN_TIMEOUT"),
  disconnectTimeout: duration("DISCONNECT_TIMEOUT"),
  sendTimeout: duration("SEND_TIMEOUT"),
  stallTimeout: duration("STALL_TIMEOUT"),
  keepAliveInterval: duration("KEEP_ALIVE_INTERVAL"),
  configureTimeout: duration("CONFIGURE_TIMEOUT"),
  outboxLimit: scalar(Schema.Int, "OUTBOX_LIMIT"),
  outboxPolicy: scalar(Settings.fields.outboxPolicy, "OUTBOX_POLICY"),
  replayWindow: duration("REPLAY_WINDOW"),
  catchUpSpeed: scalar(Schema.Finite, "CATCH_UP_SPEED"),
  maxSessionAge: duration("MAX_SESSION_AGE")
}).pipe(Config.nested("FLUX"))
