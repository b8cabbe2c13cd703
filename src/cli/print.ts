/** The way of lines to stdout and stderr. */
import type * as Cause from "effect/Cause"
import * as CliOutput from "effect/cli/CliOutput"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { type EndOfTurn, type FluxEvent, isTurnEvent, type TurnEvent } from "../FluxEvent.ts"
import { Broken, report } from "./Failure.ts"
import * as Output from "./Output.ts"
import { plain } from "./plain.ts"

/** Help and version go to stdout, a command line that makes no sense to stderr only. */
export const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(
        [
          ...event.errors.map((error) => `flux-stt: ${error.message}${lacksValue.test(error.message) ? "; one that begins with a dash is given with =" : ""}`),
          `  See ${event.commandPath.join(" ")} --help.`
        ].join("\n")
      )
      : CliOutput.defaultPresenter.present(event)
}

const lacksValue = /^Missing value for flag/

/** What a failure has to say goes to stderr. */
export const tell = <E>(cause: Cause.Cause<E>): Effect.Effect<void> => {
  const text = report(cause)
  return text === undefined ? Effect.void : Console.error(text)
}

/** A line to stderr; what a server said in it does nothing to a terminal. */
export const say = (line: string): Effect.Effect<void> => Console.error(`flux-stt: ${plain(line)}`)

/** Without `--log-level` only what goes wrong is logged: sessions, and an embedded simulator, tell more than the command's user asks for. */
export const quiet = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | GlobalFlag.Setting.Identifier<"log-level">> =>
  Effect.flatMap(GlobalFlag.LogLevel, (level) =>
    Option.isSome(level) ? effect : Effect.provideService(effect, References.MinimumLogLevel, "Warn"))

/** Whoever read stdout has gone. */
class StdoutClosed extends Schema.TaggedError<StdoutClosed>()("StdoutClosed", {}) {}

/** Lines to stdout, as they come. A reader that has gone ends it quietly, and so does a terminal that has. */
export const write = <E, R>(lines: Stream.Stream<string, E, R>): Effect.Effect<void, E | Broken, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) =>
    Effect.flatMap(stdio.stdoutIsTerminal, (isTerminal) =>
      lines.pipe(
        Stream.map((line) => `${line}\n`),
        Stream.run(Sink.mapError(stdio.stdout({ endOnDone: false }), brokenStdout(isTerminal))),
        Effect.catchIf((error) => error instanceof StdoutClosed, () => Effect.void)
      )))

/** What a command has to say, to stdout. */
export const answer = (text: string): Effect.Effect<void, Broken, Stdio.Stdio> => write(Stream.make(text))

/** How events are printed. */
export interface Printing {
  /** One event as JSON a line, after a header; else finished turns as text. */
  readonly json: boolean
  /** The call's own, for a turn that an interruption leaves open. */
  readonly minConfidence: number
  /** A terminal's line that changes is in the way of those that stay: this takes it back. Default: none. */
  readonly erase?: string | undefined
  /** Told of the turn that an interruption ended; it is in no stream of events. */
  readonly onAbandoned?: ((event: EndOfTurn) => Effect.Effect<void>) | undefined
}

/**
 * Writes events as lines to stdout and what else there is to know to stderr. A reader that has gone ends it quietly; an
 * interruption ends the open turn first, as its words are all that will be heard of it.
 */
export const print = ({ erase, json, minConfidence, onAbandoned }: Printing) =>
<E, R>(events: Stream.Stream<FluxEvent, E, R>): Effect.Effect<void, E | Broken, R | Stdio.Stdio> =>
  Effect.gen(function*() {
    let open: Exclude<TurnEvent, EndOfTurn> | undefined
    let isConnected = false
    const lineOf = (event: FluxEvent): string | undefined => {
      if (json) return Output.json(event)
      const text = Output.text(event)
      return text === undefined || erase === undefined ? text : `${erase}${plain(text)}`
    }
    const lines = events.pipe(
      Stream.tap((event) => {
        if (isTurnEvent(event)) open = event.type === "EndOfTurn" ? undefined : event
        isConnected ||= event.type === "Connected"
        // of a call that never was, the error tells all
        const note = event.type === "AudioDropped" && !isConnected ? undefined : Output.note(event)
        return note === undefined ? Effect.void : say(note)
      }),
      Stream.filterMap((event) => {
        const line = lineOf(event)
        return line === undefined ? Result.failVoid : Result.succeed(line)
      })
    )
    yield* write(Stream.concat(json ? Stream.make(Output.header) : Stream.empty, lines)).pipe(
      Effect.onInterrupt(() => {
        const abandoned = open && Output.abandoned(open, minConfidence)
        const line = abandoned && lineOf(abandoned)
        const told = abandoned && onAbandoned?.(abandoned)
        return Effect.andThen(told ?? Effect.void, line === undefined ? Effect.void : Effect.ignore(write(Stream.make(line))))
      })
    )
  })

const brokenStdout = (isTerminal: boolean) => ({ cause, message }: PlatformError.PlatformError): StdoutClosed | Broken =>
  cause instanceof Error && "code" in cause && (cause.code === "EPIPE" || (isTerminal && cause.code === "EIO"))
    ? new StdoutClosed({})
    : new Broken({ what: "standard output cannot be written", cause: cause ?? message })
