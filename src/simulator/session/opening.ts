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
      case "not-found-400":
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
          refusal: refusalOf(by, endpointName, region),
          delay: late + (by.delay ?? 0)
        }
    }
  }
  return { answer: "headers", delay: late }
}

/** A fault that answers the request with a status of its own. */
type Refusing = Extract<Fault, { readonly fault: `${string}-${400 | 403 | 424 | 429 | 500 | 503}` }>

const refusalOf = (by: Refusing, endpointName: string, region: string): Refusal => {
  switch (by.fault) {
    case "not-found-400":
      return refusals.notFound(endpointName)
    case "reject-424":
      return refusals.unreachable(endpointName, region, "the container refused")
    case "deny-403":
      return refusals.accessDenied(endpointName, region)
    case "expired-token-403":
      return refusals.expiredToken()
    case "throttle-400":
      return refusals.throttled(400)
    case "throttle-429":
      return refusals.throttled(429)
    case "error-500":
      return by.as === "typed" ? refusals.internalServerError() : refusals.internalErrorPage()
    case "unavailable-503":
      return refusals.unavailable()
  }
}
