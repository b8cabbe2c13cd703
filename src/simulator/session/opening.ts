/** What becomes of a request before Flux says Connected: the faults of that time, the first of which decides. Pure. */
import type { Fault } from "../Fault.ts"
import * as refusals from "./refusals.ts"
import type { Refusal } from "../wire.ts"

/** The answer to a request, as far as faults make it; `delay` in ms. */
export type Opening =
  | { readonly answer: "none"; readonly by: Fault }
  | { readonly answer: "refusal"; readonly by: Fault; readonly refusal: Refusal; readonly delay: number }
  | { readonly answer: "headers"; readonly delay: number }

/** The milliseconds of all faults of a name. */
export const delayOf = (
  faults: ReadonlyArray<Fault>,
  name: "late-headers" | "late-connected" | "lag"
): number => faults.reduce((sum, fault) => (fault.fault === name ? sum + fault.delay : sum), 0)

/** Reads the faults of a session. Refusals come after late headers, if both are asked for. */
export const read = (faults: ReadonlyArray<Fault>, endpointName: string, region: string): Opening => {
  const late = delayOf(faults, "late-headers")
  for (const by of faults) {
    switch (by.fault) {
      case "accept-and-hang":
      case "no-headers":
        return { answer: "none", by }
      case "reject-424":
      case "deny-403":
      case "expired-token-403":
      case "throttle-400":
      case "throttle-429":
      case "error-500":
      case "unavailable-503":
        return {
          answer: "refusal",
          by,
          refusal: refusalOf[by.fault](endpointName, region),
          delay: late + (by.delay ?? 0)
        }
    }
  }
  return { answer: "headers", delay: late }
}

const refusalOf = {
  "reject-424": (endpointName: string, region: string) => refusals.unreachable(endpointName, region, "the container refused"),
  "deny-403": refusals.accessDenied,
  "expired-token-403": refusals.expiredToken,
  "throttle-400": () => refusals.throttled(400),
  "throttle-429": () => refusals.throttled(429),
  "error-500": refusals.internalError,
  "unavailable-503": refusals.unavailable
}
