/** Waiting for sockets, within bounds. */
import type { ClientHttp2Session } from "node:http2"
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import type * as FluxError from "../FluxError.ts"

/** Waits for an event; an error before it is a failure, and so is an end, in the words of `ended`. Takes its listeners away. */
export const happens = (
  source: Socket | ClientHttp2Session,
  event: string,
  { ended, explain }: { readonly ended: string; readonly explain: (cause: Error) => FluxError.FluxError }
): Effect.Effect<void, FluxError.FluxError> =>
  Effect.callback<void, FluxError.FluxError>((resume) => {
    const came = (): void => resume(Effect.void)
    const broke = (cause: Error): void => resume(Effect.fail(explain(cause)))
    const closed = (): void => broke(new Error(ended))
    source.once(event, came).once("error", broke).once("close", closed)
    return Effect.sync(() => void source.off(event, came).off("error", broke).off("close", closed))
  })

/** Bounds a step by seconds; what is late fails with `late`. */
export const within = <A>(
  seconds: number,
  step: Effect.Effect<A, FluxError.FluxError>,
  late: () => FluxError.FluxError
): Effect.Effect<A, FluxError.FluxError> =>
  Effect.timeoutOrElse(step, { duration: `${seconds} seconds`, orElse: () => Effect.suspend(() => Effect.fail(late())) })
