/** An endpoint that is out for a while: sessions that are open break, and whoever opens one meets what is said. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FluxError from "../../src/FluxError.ts"
import { type FluxConnection, FluxTransport } from "../../src/FluxTransport.ts"

/** What of it shows. */
export interface Seen {
  /** Sessions that were being opened at once, at most. */
  most: number
  /** Sessions that were asked for. */
  opens: number
  /** When each was, ms on the Clock. */
  readonly at: Array<number>
}

/** Seconds on the Clock; `opening` is what an open comes to in that time, and may wait for ever. */
export interface Outage {
  readonly from: number
  readonly to: number
  readonly opening: Effect.Effect<never, FluxError.FluxError>
}

const broken = FluxError.make(new FluxError.ConnectionLost({ detail: "the endpoint is out" }), "streaming")

/** Between a transport and whoever uses it. */
export const layer = ({ from, opening, to }: Outage, seen: Seen = start()): Layer.Layer<FluxTransport, never, FluxTransport> =>
  Layer.effect(FluxTransport, Effect.gen(function*() {
    const transport = yield* FluxTransport
    const clock = yield* Clock.Clock
    const now = (): number => clock.currentTimeMillisUnsafe() / 1000
    const isOut = (): boolean => now() >= from && now() < to
    let pending = 0

    const breaks = (connection: FluxConnection): FluxConnection =>
      now() >= from ? connection : {
        ...connection,
        messages: Stream.merge(
          connection.messages,
          Stream.fromEffectDrain(Effect.delay(Effect.fail(broken), (from - now()) * 1000)),
          { haltStrategy: "left" }
        )
      }
    const open = (query: string): Effect.Effect<FluxConnection, FluxError.FluxError, Scope.Scope> =>
      Effect.suspend(() => {
        seen.opens++
        seen.at.push(clock.currentTimeMillisUnsafe())
        seen.most = Math.max(seen.most, ++pending)
        return Effect.ensuring(
          isOut() ? opening : Effect.map(transport.open(query), breaks),
          Effect.sync(() => pending--)
        )
      })
    return { ...transport, open }
  }))

/** Nothing seen. */
export const start = (): Seen => ({ most: 0, opens: 0, at: [] })
