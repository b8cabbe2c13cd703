/** A terminal with one line at its end that changes, below lines that stay. */
import cliTruncate from "cli-truncate"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Terminal from "effect/Terminal"
import type { Cut } from "./liveLine.ts"

/** Takes back what stands in the last line. */
export const erase = "\r\u001b[2K"

/** How often the line is looked at, ms: a chunk of audio. */
const interval = 80
/** After so many looks it is drawn although it is the same, as something may have been printed in its place. */
const patience = 12
/** Where a terminal does not say. */
const defaultColumns = 80

const cut: Cut = (text, columns) => cliTruncate(text, Math.max(1, columns), { position: "start" })

/** Draws the line, as long as the Scope; then it is gone. */
export const show = Effect.fnUntraced(function*(
  render: (columns: number, cut: Cut) => string
): Effect.fn.Return<void, never, Scope.Scope | Terminal.Terminal> {
  const terminal = yield* Terminal.Terminal
  const display = (text: string): Effect.Effect<void> => Effect.ignore(terminal.display(text))
  let shown: string | undefined
  let looks = 0
  const draw = Effect.gen(function*() {
    const columns = (yield* terminal.columns) || defaultColumns
    // the last column would wrap
    const line = render(columns - 1, cut)
    if (line === shown && ++looks < patience) return
    looks = 0
    shown = line
    yield* display(`${erase}${line}`)
  })
  yield* Effect.addFinalizer(() => display(erase))
  yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced(`${interval} millis`)))
})

/** Has what goes to stderr, of the same terminal, stand above the line. */
export const above = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Console.Console, (console) =>
    Effect.provideService(effect, Console.Console, {
      ...console,
      error: (...args) => console.error(...(typeof args[0] === "string" ? [`${erase}${args[0]}`, ...args.slice(1)] : args))
    }))
