/** A session of one second, as `flux-stt doctor --connect` opens it, and what it shows. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Audio from "../Audio.ts"
import type * as FluxError from "../FluxError.ts"
import type { FluxEvent } from "../FluxEvent.ts"
import * as FluxSession from "../FluxSession.ts"
import * as FluxSettings from "../FluxSettings.ts"
import { type Capabilities, FluxTransport } from "../FluxTransport.ts"
import * as Finding from "./Finding.ts"
import * as steps from "./steps.ts"

/** Audio that is sent, all of it silence, in seconds. */
const audioSeconds = 1

/** The checks of it, in order. */
export const checks = ["session", "audio", "configure", "close"] as const
type Check = typeof checks[number]

/** What it is to be held with. */
export interface Rehearsal {
  readonly transport: FluxTransport["Service"]
  readonly settings: FluxSettings.Settings
  readonly target: Finding.Target
  readonly tell: steps.Tell
}

/** Holds it: tells each finding as it comes. What comes after a check that fails is skipped. */
export const rehearse = ({ settings, target, tell, transport }: Rehearsal): Effect.Effect<boolean> => {
  const explain = (check: Check, error: FluxError.FluxError): Finding.Finding => Finding.fromError(check, error, target)
  return steps.run({ checks, tell, explain, why: () => "the session failed" }, Effect.fnUntraced(function*(begin) {
    begin("session")
    const session = yield* FluxSession.open(settings, { id: "doctor" })
    const heard = yield* Effect.forkChild(Effect.exit(Stream.runCollect(session.events)))
    const [opening, { requestId, variant }] = yield* timed(session.connected)
    const from = variant === undefined ? "" : ` from variant ${variant}`
    yield* tell(Finding.ok("session", `Connected${from} after ${opening} ms (request ${requestId})`))

    begin("audio")
    const format = FluxSettings.format(settings)
    yield* Stream.make(Audio.silence(format, audioSeconds * 1000)).pipe(
      Audio.frames(format),
      Audio.paced(format),
      Stream.runForEach(session.send)
    )
    yield* tell(Finding.ok("audio", `${audioSeconds} s of silence was taken`))

    begin("configure")
    yield* tell(yield* configure(session, settings, transport.capabilities, target))

    begin("close")
    const [closing] = yield* timed(session.finish)
    const odd = Exit.getSuccess(yield* Fiber.join(heard)).pipe(Option.getOrElse(() => [])).flatMap(oddity)
    yield* tell(odd.length === 0
      ? Finding.ok("close", `Flux ended the session ${closing} ms after CloseStream`)
      : Finding.warning("close", odd.join("; "), "Calls live with this; to look into it, capture one: flux-stt transcribe --capture FILE"))
  }, Effect.provideService(FluxTransport, transport)))
}

/** A change that means little, to see whether the bundle knows Configure as its profile says. */
const configure = (
  session: FluxSession.FluxSession,
  settings: FluxSettings.Settings,
  capabilities: Capabilities,
  target: Finding.Target
): Effect.Effect<Finding.Finding, FluxError.FluxError> => {
  const check: Check = "configure"
  if (!capabilities.configure) return Effect.succeed(Finding.skipped(check, `${capabilities.name} has none: settings change with another session`))
  const eotTimeoutMs = settings.eotTimeoutMs === 6000 ? 5000 : 6000
  return timed(session.update({ ...settings, eotTimeoutMs })).pipe(
    Effect.map(([millis]) => Finding.ok(check, `a change of settings was in force after ${millis} ms`)),
    // the session lives
    Effect.catchReasons("FluxError", {
      SettingsRefused: (_, error) => Effect.succeed(Finding.fromError(check, error, target)),
      ConfigureUnanswered: (_, error) => Effect.succeed(Finding.fromError(check, error, target))
    })
  )
}

/** What an effect gives, and the milliseconds it took. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [millis: number, value: A], E, R> =>
  Effect.map(Effect.timed(effect), ([duration, value]) => [Math.round(Duration.toMillis(duration)), value])

/** What a session that went well should not have said, unless the check of Configure has told it. */
const oddity = (event: FluxEvent): ReadonlyArray<string> => {
  if (event.type === "Warning") return event.code === "CONFIGURE_UNANSWERED" ? [] : [`${event.description} (${event.code})`]
  return event.type === "Unrecognized" ? [`a message of the unknown type ${event.messageType}`] : []
}
