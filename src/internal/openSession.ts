/** Opens a conversation with all that belongs to it, for as long as a Scope. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as FluxError from "../FluxError.ts"
import type { FluxEvent } from "../FluxEvent.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { FluxTransport } from "../FluxTransport.ts"
import { make, type Survival } from "./conversation.ts"
import * as events from "./events.ts"
import * as telemetry from "./telemetry.ts"
import type { Finish, OpenedConversation, Session } from "./sessionShape.ts"

/** An open session. It works by itself as long as its Scope. */
export interface FluxSession extends Session {
  /** What the session has to say, for one consumer; ends, or fails, with the session. */
  readonly events: Stream.Stream<FluxEvent, FluxError.FluxError>
}

/** How a session is opened. */
export interface SessionOptions {
  /** Id in events, logs and spans. */
  readonly id: string
  /** Default `close`. */
  readonly finish?: Finish | undefined
  /** Put Flux's own messages into turn events; default false. */
  readonly raw?: boolean | undefined
}

/** See `FluxSession.open`; with what it needs to survive, it is a conversation that outlives its sessions. */
export const openSession = Effect.fnUntraced(function*(
  transport: FluxTransport["Service"],
  settings: FluxSettings.Settings,
  { finish = "close", id, raw = false }: SessionOptions,
  survival?: Survival
): Effect.fn.Return<FluxSession & Pick<OpenedConversation, "change" | "reject">, FluxError.FluxError, Scope.Scope> {
  const checked = yield* Effect.fromResult(FluxSettings.resolve(settings, {}, transport.capabilities))
  const clock = yield* Clock.Clock
  const context = telemetry.metricContext(yield* Effect.context<never>())
  const told = yield* events.make({ id, raw, model: checked.model })
  const { run, scopeClosing, ...session } = make({
    transport,
    settings: checked,
    clock,
    context,
    finish,
    events: told,
    survival
  })
  yield* run.pipe(
    Effect.annotateLogs({ conversation: id }),
    Effect.forkScoped({ startImmediately: true })
  )
  yield* Effect.addFinalizer(() => scopeClosing)
  return { ...session, events: told.stream }
})
