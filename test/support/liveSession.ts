/** A session under way, for what hands over between sessions: it does nothing but what a test has it do. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { FluxError } from "../../src/FluxError.ts"
import type { Live } from "../../src/internal/relay.ts"
import type { OneSession } from "../../src/internal/sessionShape.ts"
import { settings } from "./session.ts"

/** One that is ready, has heard nothing and can have all settings; what is given stands in the place of that. */
export const liveSession = (number: number, session: Partial<OneSession> = {}): Live => ({
  number,
  asked: settings,
  up: Deferred.makeUnsafe<void, FluxError>(),
  over: Deferred.makeUnsafe<void, FluxError>(),
  session: {
    feed: () => {},
    retire: () => {},
    isRetired: () => false,
    tell: () => {},
    obstacles: () => ({ session: [], configure: [] }),
    change: () => Effect.void,
    endTurn: () => Effect.void,
    mutedChanged: () => {},
    status: () => "ready",
    acceptedAt: () => 0,
    settings: () => settings,
    turnOpen: () => false,
    tellsOfIdleAudio: () => true,
    reached: () => 0,
    outboxBytes: () => 0,
    behindSeconds: () => 0,
    run: Effect.void,
    scopeClosing: () => {},
    ...session
  }
})
