/** Runs a script against its own server, and holds what came of it to all invariants. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FakeTransport from "../../src/FakeTransport.ts"
import { profiles } from "../../src/FluxTransport.ts"
import { audio } from "./invariants/audio.ts"
import { ending } from "./invariants/ending.ts"
import { settings } from "./invariants/settings.ts"
import { silence } from "./invariants/silence.ts"
import { time } from "./invariants/time.ts"
import { turns } from "./invariants/turns.ts"
import { wire } from "./invariants/wire.ts"
import * as peers from "./peer.ts"
import { type OtherSide, play } from "./run.ts"
import { isPolite, isReading, sayingsOf, type Script } from "./script.ts"

/** Fails where an invariant does not hold. */
export const check = Effect.fnUntraced(function*({ server, user }: Script) {
  const made = peers.make(server, user.rate, yield* Clock.Clock)
  const capabilities = profiles[server.profile]
  const blocksMillis = isReading(server) ? 0 : server.trouble === "slow" ? 90 : 5000
  const other: OtherSide = { blocksMillis, frees: server.hangs !== "released" }
  const outcome = yield* Effect.provide(play(user, other), FakeTransport.layerPeer(() => made.peer, { capabilities }))
  wire(outcome, capabilities, other)
  turns(outcome, sayingsOf(server).has("fewer"))
  audio(outcome)
  time(outcome)
  silence(outcome, isReading(server))
  settings(outcome, made, sayingsOf(server))
  ending(outcome, isPolite(server))
  return outcome
})
