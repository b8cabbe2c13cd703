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
import * as monotonic from "../internal/monotonic.ts"
import * as liveLine from "./liveLine.ts"
import { say } from "./print.ts"
import * as Summary from "./Summary.ts"

/** Who watches: the live line is for a terminal at stdout, the summary for one at stderr. */
export interface Watchers {
  /** What it takes to draw, which is loaded where there is somebody to see it. */
  readonly Screen: typeof import("./Screen.ts") | undefined
  readonly canColor: boolean
  readonly atStderr: boolean
}

/** Finds out who watches; with `json` stdout is for programs. */
export const watchers = Effect.fnUntraced(function*(json: boolean): Effect.fn.Return<Watchers, never, Stdio.Stdio> {
  const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
  return {
    Screen: canAnimate && !json ? yield* Effect.promise(() => import("./Screen.ts")) : undefined,
    canColor,
    atStderr: yield* (yield* Stdio.Stdio).stderrIsTerminal
  }
})

/** Has all that a command tells on stderr stand above the live line, where both are on the same terminal. */
export const aboveLine = ({ Screen, atStderr }: Watchers) => <A, E, R>(command: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Screen !== undefined && atStderr ? Screen.above(command) : command

/** How one call is watched. */
export interface Watching {
  /** To be told of all that happens. */
  readonly event: (event: FluxEvent) => Effect.Effect<void>
  /** Watches the audio as it is handed over. */
  readonly audio: (format: Audio.Format) => <E, R>(audio: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Uint8Array, E, R>
  /** Around the call. */
  readonly around: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Scope.Scope> | R | Terminal.Terminal>
}

/** For a call with these settings. */
export const make = ({ Screen, atStderr, canColor }: Watchers, settings: Settings): Watching => {
  const line = liveLine.make(settings)
  const summary = Summary.make()
  const isWatched = Screen !== undefined || atStderr
  const summarise = Effect.suspend(() => Effect.forEach(summary.lines(), say, { discard: true }))

  return {
    event: (event) =>
      Effect.map(Clock.Clock, (clock) => {
        line.tell(event)
        summary.tell(event, monotonic.millis(clock))
      }),
    audio: (format) => (audio) =>
      isWatched ? Stream.suspend(() => {
        let bytes = 0
        return Stream.tap(audio, (chunk) =>
          Effect.map(Clock.Clock, (clock) => {
            bytes += chunk.length
            const seconds = Audio.secondsOf(format, bytes)
            line.hear(seconds)
            summary.hear(seconds, monotonic.millis(clock))
          }))
      }) : audio,
    around: <A, E, R>(call: Effect.Effect<A, E, R>) => {
      const summarised = atStderr ? Effect.ensuring(call, summarise) : call
      if (Screen === undefined) return summarised
      const shown = Screen.show((columns, cut) => line.render(columns, canColor, cut))
      return Effect.scoped(Effect.andThen(shown, summarised))
    }
  }
}
