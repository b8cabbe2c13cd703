/** What somebody at a terminal has of a call besides its lines: the live line while it lasts, and a summary after it. */
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type * as Terminal from "effect/Terminal"
import * as Audio from "../Audio.ts"
import type { FluxEvent } from "../FluxEvent.ts"
import type { Settings } from "../FluxSettings.ts"
import * as liveLine from "./liveLine.ts"
import { say } from "./print.ts"
import * as Summary from "./Summary.ts"

/** How one call is watched. */
export interface Watching {
  /** Before a line that stays; undefined where no line changes. */
  readonly erase: string | undefined
  /** To be told of all that happens. */
  readonly event: (event: FluxEvent) => Effect.Effect<void>
  /** Watches the audio as it is handed over. */
  readonly audio: (format: Audio.Format) => <E, R>(audio: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Uint8Array, E, R>
  /** Around the call. */
  readonly around: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Scope.Scope> | R | Terminal.Terminal>
}

/** The live line is for a terminal at stdout, the summary for one at stderr; with `json` stdout is for programs. */
export const make = Effect.fnUntraced(function*(
  { json, settings }: { readonly json: boolean; readonly settings: Settings }
): Effect.fn.Return<Watching, never, Stdio.Stdio> {
  const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const atStderr = yield* (yield* Stdio.Stdio).stderrIsTerminal
  const isLive = canAnimate && !json
  // what it takes to draw is loaded where there is somebody to see it
  const Screen = isLive ? yield* Effect.promise(() => import("./Screen.ts")) : undefined
  const line = liveLine.make(settings)
  const summary = Summary.make()

  return {
    erase: Screen?.erase,
    event: (event) =>
      Effect.sync(() => {
        line.tell(event)
        summary.tell(event)
      }),
    audio: (format) => (audio) =>
      Stream.suspend(() => {
        let bytes = 0
        return Stream.tap(audio, (chunk) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            bytes += chunk.length
            const seconds = Audio.secondsOf(format, bytes)
            line.hear(seconds)
            summary.hear(seconds, now)
          }))
      }),
    around: <A, E, R>(call: Effect.Effect<A, E, R>) => {
      const summarised = atStderr
        ? Effect.ensuring(call, Effect.suspend(() => Effect.forEach(summary.text().split("\n"), say, { discard: true })))
        : call
      if (Screen === undefined) return summarised
      const shown = Screen.show((columns, cut) => line.render(columns, canColor, cut))
      return Effect.scoped(Effect.andThen(shown, atStderr ? Screen.above(summarised) : summarised))
    }
  }
})
