/** Sources of audio that know nothing of Effect, as streams. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Audio from "../Audio.ts"
import type { FluxError } from "../FluxError.ts"
import { isBytes, refused } from "./audioBytes.ts"

type Chunks = AsyncIterator<Audio.Bytes> | Iterator<Audio.Bytes>

/** What a source throws is what the stream fails with. Fails at once with what is no source. */
export const streamOf = (source: Audio.Source): Result.Result<Stream.Stream<Audio.Bytes, unknown>, FluxError> => {
  if (isBytes(source)) return Result.succeed(Stream.succeed(source))
  const begin = beginning(source)
  if (begin === undefined) return Result.fail(refused(source, "the source of audio"))
  return Result.succeed(Stream.unwrap(Effect.map(
    Effect.acquireRelease(Effect.suspend(() => Effect.fromResult(Result.try(begin))), ({ leave }) => leave),
    ({ next }) => Stream.fromEffectRepeat(next)
  )))
}

/**
 * A Node stream that breaks before anybody reads it would end the process, as one of a missing file does while Flux is being
 * connected. Whoever reads it then is told all the same.
 */
export const guard = (source: Audio.Source): void => {
  if (!isObject(source) || guarded.has(source) || !("pipe" in source && "on" in source && typeof source.on === "function")) return
  guarded.add(source)
  source.on("error", () => {})
}
const guarded = new WeakSet<object>()

/** Not every caller has a type checker. */
const isObject = (source: unknown): source is object => typeof source === "object" && source !== null

/** Text can be iterated, too, and so can samples. */
const beginning = (source: Exclude<Audio.Source, Audio.Bytes>): (() => Pulling) | undefined => {
  if (!isObject(source) || ArrayBuffer.isView(source)) return undefined
  if (Symbol.asyncIterator in source && (source[Symbol.asyncIterator] ?? undefined) !== undefined) return () => pulling(source[Symbol.asyncIterator](), 256)
  return Symbol.iterator in source ? () => pulling(source[Symbol.iterator](), 1) : undefined
}

/** How long a source may take to be left. */
const leaveBound = "2 seconds"

/** What pulls chunks one at a time, and leaves a source before its end. */
interface Pulling {
  readonly next: Effect.Effect<Audio.Bytes, unknown>
  readonly leave: Effect.Effect<void>
}

/** Other work has its turn before each so many chunks: a source that is not async never waits, and an async one may not. */
const pulling = (chunks: Chunks, turnEvery: number): Pulling => {
  let state: "idle" | "pulling" | "over" = "idle"
  let pulled = 0
  const turn = Effect.suspend(() => ++pulled % turnEvery === 0 ? Effect.yieldNow : Effect.void)
  const pull = async (): Promise<Result.Result<IteratorResult<Audio.Bytes>, unknown>> => {
    state = "pulling"
    try {
      const result = await chunks.next()
      state = result.done === true ? "over" : "idle"
      return Result.succeed(result)
    } catch (error) {
      state = "over"
      return Result.fail(error)
    }
  }
  const end = async (): Promise<void> => void await chunks.return?.()
  return {
    next: turn.pipe(
      Effect.andThen(Effect.promise(pull)),
      Effect.flatMap(Effect.fromResult),
      Effect.flatMap((result) => result.done === true ? Cause.done() : Effect.succeed(result.value))
    ),
    leave: Effect.suspend(() => {
      if (state === "over") return Effect.void
      // on a fiber of its own, as the one that ends here may not be interrupted any more
      const ending = Effect.forkDetach(Effect.timeoutOption(Effect.ignore(Effect.tryPromise(end)), leaveBound))
      // behind a pull that is under way it may never come back
      return state === "pulling" ? Effect.asVoid(ending) : Effect.flatMap(ending, Fiber.await)
    })
  }
}
